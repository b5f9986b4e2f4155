// What one user's attempt knows while it goes on: what SuprSend holds for certain, what it may hold, and what it has refused by
// name. Decides nothing of its own: plans are core/plan.ts's, what a refusal means is core/refusal.ts's. Profiles are sealed.
import type { ApiRequest, Failure, Outcome, RemoteUser } from '../core/api.ts'
import { patchValue } from '../core/channel-value.ts'
import type { Claim } from '../core/delivery-port.ts'
import type { OnDelete } from '../core/mapping-spec.ts'
import type { PlanInput } from '../core/plan.ts'
import type { ChannelKey, Profile } from '../core/profile.ts'
import { NOTHING_REFUSED, type Refused, refusedBy, unsaid, valuesOf, withoutRefused } from '../core/refusal.ts'
import type { Attempt } from '../core/unclear.ts'
import type { Knowledge, Patience } from './attempt-record.ts'
import { AttemptSecrets, type KnownSecrets } from './attempt-secrets.ts'

export interface AttemptPolicy {
  readonly onDelete: OnDelete
  readonly firstContact: 'upsert' | 'edit'
  /** Channels that hold what is mapped and nothing else. Looked at whenever something is sent; else it is reconcile's. */
  readonly exclusive: ReadonlySet<ChannelKey>
}

export interface AttemptOptions {
  readonly policy: AttemptPolicy
  readonly secrets: KnownSecrets
  readonly send: Send
  /** Absent: whoever fails is tried again for ever. */
  readonly patience?: Patience
}

/** Sends one request; null when it was not sent because we are stopping, or must not be any more. */
export type Send = (distinctId: string, request: ApiRequest) => Promise<Outcome | null>

/** What one attempt works with. */
export interface Means extends AttemptOptions {
  readonly claim: Claim
  readonly box: AttemptSecrets
}

export interface State {
  /** As it is recorded: not sealed. */
  readonly known: Knowledge
  readonly desired: Profile | null
  readonly synced: Profile | null
  /** With the target itself once a request of it was refused: docs do not say that nothing of it is stored then. */
  readonly unclear: readonly (Profile | null)[]
  readonly refused: Refused
  /** The first refusal's. */
  readonly failure: Failure | null
  readonly vanished: boolean
}

export type Run =
  /** `dropped`: something that may be held was left out, because what it says is not known. */
  | { readonly kind: 'accepted'; readonly user: RemoteUser | null; readonly dropped: boolean }
  | { readonly kind: 'gone' }
  | { readonly kind: 'vanished' }
  | Stopped

/** A request was not accepted. */
export interface Stopped {
  readonly kind: 'stopped'
  readonly outcome: Outcome | null
  /** null: it was not made. */
  readonly request: ApiRequest | null
  /** Something was accepted before it. */
  readonly partly: boolean
}

export const NEVER_MADE = { kind: 'stopped', request: null, partly: false } as const

export function meansOf(claim: Claim, options: AttemptOptions): Means {
  const all = [claim.desired, claim.synced, ...claim.unclear.map(({ target }) => target)]
  const profiles = all.filter((profile) => profile !== null)
  const keys = new Set(profiles.flatMap(({ properties }) => Object.keys(properties)))
  const send: Send = async (...request) => withOwn(await options.send(...request), keys)
  return { ...options, send, claim, box: new AttemptSecrets(profiles, options.secrets) }
}

/** What is held on to while more is sent. Properties of others are compared with nothing, and may be a megabyte of JSON (P7). */
function withOwn(outcome: Outcome | null, keys: ReadonlySet<string>): Outcome | null {
  if (outcome?.kind !== 'accepted' || outcome.user === null) return outcome
  const own = Object.entries(outcome.user.properties).filter(([key]) => keys.has(key))
  return { ...outcome, user: { ...outcome.user, properties: Object.fromEntries(own) } }
}

export function firstState(means: Means): State {
  const { synced, unclear } = means.claim
  const desired = means.box.seal(means.claim.desired)
  return { ...knowing(means, { synced, unclear }), desired, refused: NOTHING_REFUSED, failure: null, vanished: false }
}

/** SuprSend does not have the user. */
export function vanishedState(means: Means, state: State): State {
  return { ...state, ...knowing(means, { synced: null, unclear: [] }), vanished: true }
}

/** Less is unclear. */
export function narrowedState(
  means: Means,
  state: State,
  narrow: (unclear: readonly Attempt[]) => readonly Attempt[],
): State {
  const { synced, unclear } = state.known
  // Sealed, as SuprSend's answers are: one text, one reference.
  const sealed = unclear.map((attempt) => ({ ...attempt, target: means.box.seal(attempt.target) }))
  return { ...state, ...knowing(means, { synced, unclear: narrow(sealed) }) }
}

function knowing({ box }: Means, known: Knowledge): Pick<State, 'known' | 'synced' | 'unclear'> {
  return { known, synced: box.seal(known.synced), unclear: known.unclear.map(({ target }) => box.seal(target)) }
}

/** Nothing is said of what was refused, whether it is wanted or to go: it would be refused again. */
export function planInput({ claim, policy }: Means, state: State): PlanInput {
  const said = unsaid(state.refused, state)
  return {
    ...policy,
    onDelete: claim.erase ? 'delete' : policy.onDelete,
    desired: withoutRefused(state.desired, state.refused),
    synced: withoutRefused(state.synced, said),
    unclear: state.unclear.map((target) => withoutRefused(target, said)),
  }
}

/** With what the answer names left out besides; null: it names nothing that was sent. */
export function withRefusal({ box }: Means, state: State, { outcome, request }: Stopped): State | null {
  if (outcome?.kind !== 'rejected' || request === null) return null
  const { failure, places = [] } = outcome
  const { key } = failure
  if (key === null) return null
  const sent: Parameters<typeof refusedBy>[1]['sent'] = (entry) => {
    const resolved = box.resolve({ kind: 'edit', operations: [{ $append: patchValue(entry.key, entry.value) }] })
    return resolved.kind === 'resolved' ? valuesOf(resolved.request, key)[0] : undefined
  }
  const refused = refusedBy({ request, key, places }, { ...state, sent }, state.refused)
  if (refused === null) return null
  const noted = state.desired === null || state.unclear.includes(state.desired)
  const unclear = noted ? state.unclear : [...state.unclear, state.desired]
  return { ...state, refused, failure: state.failure ?? failure, unclear }
}
