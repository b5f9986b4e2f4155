// What SuprSend shows of a user after the last request of an attempt: compared with what we own, mended by one PATCH, and
// settled whatever comes of that, never in a loop (DESIGN §7.5). Guarantees that what is recorded as synced is what SuprSend
// was seen to hold of ours, also where it refused values by name. What is different is core/compare.ts's.
import type { RemoteUser } from '../core/api.ts'
import { repairPlan } from '../core/compare.ts'
import { secretMissing, UNREADABLE } from '../core/outcome.ts'
import type { Profile } from '../core/profile.ts'
import {
  failureOfKeys,
  heldAnyway,
  isIn,
  isNothing,
  minus,
  type Refused,
  withHeld,
  withoutRefused,
  withoutShown,
} from '../core/refusal.ts'
import { type AttemptEnd, accepted, VANISHED_TWICE } from './attempt-record.ts'
import { type Means, NEVER_MADE, type Run, type State, type Stopped, withRefusal } from './attempt-state.ts'

/** What SuprSend holds after the last request. */
export interface Held {
  readonly kind: 'held'
  /** As it was planned, without what was refused. */
  readonly base: Profile | null
  /** Sealed; null: it has not shown it. */
  readonly view: RemoteUser | null
  readonly drifted: boolean
}

type Planned = Extract<Run, { kind: 'accepted' }> & Pick<Held, 'base'>

export async function verify(means: Means, state: State, { base, user, dropped }: Planned): Promise<Held | Stopped> {
  // What was refused may be there all the same, and so may what could not be removed: that must be seen.
  const seen = user === null && (dropped || !isNothing(state.refused)) ? await look(means) : user
  if (seen === null) {
    // What could not be removed without this answer may still be there (P4).
    if (dropped) return { ...NEVER_MADE, outcome: UNREADABLE, partly: true }
    return { kind: 'held', base, view: null, drifted: false }
  }
  if ('kind' in seen) return seen
  const view = means.box.sealUser(seen)
  const held = { kind: 'held', base, view, drifted: false } as const
  const mended = await mend(means, state, held, { again: false })
  const again = mended.kind === 'stopped' && mended.outcome?.kind === 'rejected' && !isNothing(state.refused)
  if (!again || withRefusal(means, state, mended) !== null) return mended
  // What it refused to take it refuses to remove as well: that is what it holds, and the rest is mended.
  const rest = await look(means)
  if (rest === null) return { ...held, view: null, drifted: true }
  if ('kind' in rest) return rest
  const after = means.box.sealUser(rest)
  return await mend(means, state, { ...held, view: after }, { again: true })
}

/** @param how again: what cannot be removed is left alone. */
async function mend(means: Means, state: State, held: Held, how: { readonly again: boolean }): Promise<Held | Stopped> {
  const { claim, box, send, policy } = means
  const { base, view } = held
  if (view === null) return held
  const target = mendedTarget(state, base, view)
  const holdings = { owned: [state.synced, ...state.unclear], exclusive: policy.exclusive }
  const shown = how.again ? withoutShown(view, unwantedOf(state.refused, target)) : view
  const operations = repairPlan(shown, target, holdings)
  if (operations.length === 0) return { ...held, drifted: repairPlan(view, target, holdings).length > 0 }
  const resolved = box.resolve({ kind: 'edit', operations })
  if (resolved.kind === 'missing') return { ...NEVER_MADE, outcome: secretMissing(resolved), partly: true }
  const outcome = await send(claim.distinctId, resolved.request)
  if (outcome?.kind === 'accepted') {
    const after = outcome.user === null ? null : box.sealUser(outcome.user)
    return { ...held, view: after, drifted: after !== null && repairPlan(after, target, holdings).length > 0 }
  }
  // Rejected, too: what we own is then not what SuprSend holds, and a person must know (P1, P4).
  const why = outcome?.kind === 'missing' ? VANISHED_TWICE : outcome
  return { kind: 'stopped', outcome: why, request: resolved.request, partly: true }
}

async function look({ claim, send }: Means): Promise<RemoteUser | null | Stopped> {
  const outcome = await send(claim.distinctId, { kind: 'get' })
  if (outcome?.kind === 'accepted') return outcome.user
  if (outcome?.kind === 'rejected') return null
  return { ...NEVER_MADE, outcome: outcome?.kind === 'missing' ? VANISHED_TWICE : outcome, partly: true }
}

/** What was refused stays where SuprSend had accepted it before; where it was stored by chance it goes. */
function mendedTarget({ desired, synced, refused }: State, base: Profile | null, view: RemoteUser): Profile | null {
  if (isNothing(refused) || desired === null) return base
  const shown = heldAnyway(refused, { view, desired, synced })
  const before = heldAnyway(shown, { view: null, desired, synced })
  return withoutRefused(desired, minus(refused, before))
}

function unwantedOf({ entries }: Refused, wanted: Profile | null): Refused {
  const isWanted = isIn(wanted)
  return { entries: entries.filter((entry) => !isWanted(entry)), properties: [] }
}

/** Everything is sent that can be. */
export function settle(
  { claim, box }: Means,
  state: State,
  how: Omit<Held, 'kind'> & { readonly sent: boolean },
): AttemptEnd {
  const { refused, desired, synced } = state
  const { base, view, drifted, sent } = how
  if (isNothing(refused)) return accepted({ claim, synced: box.original(base), failure: null, drifted, sent })
  const held = heldAnyway(refused, { view, desired, synced })
  const lacking = minus(refused, held)
  const unwanted = unwantedOf(held, desired)
  const unmet = {
    entries: [...lacking.entries.filter(isIn(desired)), ...unwanted.entries],
    properties: lacking.properties,
  }
  const failure = isNothing(unmet) || state.failure === null ? null : failureOfKeys(state.failure, unmet)
  const wanted = desired === null ? base : withoutRefused(desired, lacking)
  return accepted({ claim, synced: box.original(withHeld(wanted, unwanted)), failure, drifted, sent })
}
