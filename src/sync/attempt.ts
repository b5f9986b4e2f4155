// One user's attempt: carries out the plan step by step, leaves out what SuprSend refuses by name and sends the rest (DESIGN
// §7.7), checks SuprSend's own view in the last answer and mends it once (§7.5), and draws up the record of how it ended.
// Keeps no state; everything it must remember is in the record. It ends: each refusal finds something new to leave out,
// MOST_REFUSALS times at most. Plans, comparisons and records hold references to secrets; only what is sent holds their texts.
import type { RemoteUser } from '../core/api.ts'
import type { Claim } from '../core/delivery-port.ts'
import { secretMissing } from '../core/outcome.ts'
import { planUser, type Step } from '../core/plan.ts'
import { isNothing, MOST_REFUSALS } from '../core/refusal.ts'
import { inquired } from './attempt-inquiry.ts'
import { type AttemptEnd, accepted, ended, type Patience, VANISHED_TWICE } from './attempt-record.ts'
import {
  type AttemptOptions,
  firstState,
  type Means,
  meansOf,
  NEVER_MADE,
  planInput,
  type Run,
  type State,
  type Stopped,
  vanishedState,
  withRefusal,
} from './attempt-state.ts'
import { settle, verify } from './attempt-verification.ts'

const ENDLESS: Patience = { giveUpAfterMs: null, acceptedAt: null }

export async function attemptUser(claim: Claim, options: AttemptOptions): Promise<AttemptEnd> {
  const means = meansOf(claim, options)
  const first = await inquired(means, firstState(means))
  if ('kind' in first) return stop(means, firstState(means), first)
  let state = first
  for (let refusals = 0; ; ) {
    const plan = planUser(planInput(means, state))
    if (plan.kind === 'settled') {
      const sent = state.vanished || !isNothing(state.refused)
      return settle(means, state, { base: plan.synced, view: null, drifted: false, sent })
    }
    const run = await runSteps(means, plan.steps)
    const result = run.kind === 'accepted' ? await verify(means, state, { ...run, base: plan.syncedAfter }) : run
    switch (result.kind) {
      case 'held':
        return settle(means, state, { ...result, sent: true })
      case 'gone':
        return accepted({ claim, synced: null, failure: null, drifted: false, sent: true })
      case 'vanished':
        if (state.vanished) return stop(means, state, { ...NEVER_MADE, outcome: VANISHED_TWICE })
        state = vanishedState(means, state)
        break
      case 'stopped': {
        const next = refusals < MOST_REFUSALS ? withRefusal(means, state, result) : null
        if (next === null) return stop(means, state, result)
        refusals += 1
        state = next
      }
    }
  }
}

async function runSteps({ claim, box, send }: Means, steps: readonly Step[]): Promise<Run> {
  // All of them before the first: a user of whom one step cannot be sent is not sent half.
  for (const step of steps) {
    const resolved = box.resolve(step.request)
    if (resolved.kind === 'missing') return { ...NEVER_MADE, outcome: secretMissing(resolved) }
  }
  let left = [...steps]
  let user: RemoteUser | null = null
  let partly = false
  let dropped = false
  for (let step = left.shift(); step; step = left.shift()) {
    const resolved = box.resolve(step.request)
    if (resolved.kind === 'missing') return { ...NEVER_MADE, outcome: secretMissing(resolved), partly }
    const { request } = resolved
    dropped ||= resolved.dropped
    const outcome = await send(claim.distinctId, request)
    if (outcome?.kind === 'accepted') {
      if (request.kind !== 'get') partly = true
      user = outcome.user
      continue
    }
    if (outcome?.kind !== 'missing') return { kind: 'stopped', outcome, request, partly }
    switch (step.onMissing.kind) {
      case 'done':
        return { kind: 'gone' }
      case 'vanished':
        return { kind: 'vanished' }
      case 'instead':
        left = [...step.onMissing.steps]
        // Nobody is there who could hold it.
        dropped = false
    }
  }
  return { kind: 'accepted', user, dropped }
}

/** What was refused by name may be stored in part: then, too, the outcome is open. */
function stop({ claim, patience = ENDLESS }: Means, state: State, { outcome, request, partly }: Stopped): AttemptEnd {
  const open = partly || !isNothing(state.refused)
  const asked = request?.kind === 'get'
  return ended(claim, state.known, { outcome, asked, open, sent: state.vanished }, patience)
}
