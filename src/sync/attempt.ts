// One user's attempt: carries out the plan step by step, checks SuprSend's own view in the last answer and mends it once
// (DESIGN §7.5), and draws up the record of how it ended. Keeps no state; everything it must remember is in the record.
import type { ApiRequest, Outcome, RemoteUser } from '../core/api.ts'
import { repairPlan } from '../core/compare.ts'
import type { AttemptRecord, Claim } from '../core/delivery-port.ts'
import type { OnDelete } from '../core/mapping-spec.ts'
import { UNREADABLE } from '../core/outcome.ts'
import { planUser, type Step } from '../core/plan.ts'
import { type Profile, profileHash } from '../core/profile.ts'
import { retryDelayMs, retryFloorMs, stoppedDelayMs } from '../core/retry.ts'
import { type Attempt, compactAttempts } from '../core/unclear.ts'

export interface AttemptPolicy {
  readonly onDelete: OnDelete
  readonly firstContact: 'upsert' | 'edit'
}

/** Sends one request; null when it was not sent because we are stopping. */
export type Send = (distinctId: string, request: ApiRequest) => Promise<Outcome | null>

export type AttemptEnd =
  | { readonly kind: 'accepted'; readonly record: AttemptRecord; readonly drifted: boolean; readonly sent: boolean }
  | { readonly kind: 'failed'; readonly record: AttemptRecord; readonly outcome: Outcome }
  /** Nothing of it was sent. */
  | { readonly kind: 'unsent' }

/** What is certain, and what is not, at one moment of the attempt. */
interface Knowledge {
  readonly synced: Profile | null
  readonly unclear: readonly Attempt[]
}

type Run =
  | { readonly kind: 'accepted'; readonly user: RemoteUser | null }
  | { readonly kind: 'gone' }
  | { readonly kind: 'vanished' }
  | { readonly kind: 'ended'; readonly outcome: Outcome | null; readonly partly: boolean }

export async function attemptUser(claim: Claim, policy: AttemptPolicy, send: Send): Promise<AttemptEnd> {
  let known: Knowledge = { synced: claim.synced, unclear: claim.unclear }
  for (let vanished = false; ; vanished = true) {
    const targets = known.unclear.map(({ target }) => target)
    const plan = planUser({ desired: claim.desired, synced: known.synced, unclear: targets, ...policy })
    if (plan.kind === 'settled') return accepted(claim, plan.synced, { drifted: false, sent: vanished })
    const run = await runSteps(claim.distinctId, plan.steps, send)
    switch (run.kind) {
      case 'accepted':
        return await verify(claim, known, { target: plan.syncedAfter, user: run.user }, send)
      case 'gone':
        return accepted(claim, null, { drifted: false, sent: true })
      case 'ended':
        return ended(claim, known, run, vanished)
      case 'vanished':
        if (vanished) return ended(claim, known, { kind: 'ended', outcome: VANISHED_TWICE, partly: false }, true)
        known = { synced: null, unclear: [] }
    }
  }
}

const VANISHED_TWICE: Outcome = {
  kind: 'retry',
  applied: 'no',
  scope: 'user',
  floorMs: 0,
  failure: {
    code: 'not_found',
    status: 404,
    key: null,
    message: 'SuprSend does not find the user right after it was created; trying again.',
  },
}

async function runSteps(distinctId: string, steps: readonly Step[], send: Send): Promise<Run> {
  let left = [...steps]
  let user: RemoteUser | null = null
  let partly = false
  for (let step = left.shift(); step; step = left.shift()) {
    const outcome = await send(distinctId, step.request)
    if (outcome?.kind === 'accepted') {
      if (step.request.kind !== 'get') partly = true
      user = outcome.user
      continue
    }
    if (outcome?.kind !== 'missing') return { kind: 'ended', outcome, partly }
    switch (step.onMissing.kind) {
      case 'done':
        return { kind: 'gone' }
      case 'vanished':
        return { kind: 'vanished' }
      case 'instead':
        left = [...step.onMissing.steps]
    }
  }
  return { kind: 'accepted', user }
}

/** Compares the answer with what we own, mends it by one PATCH, and settles whatever comes of that: never a loop. */
async function verify(
  claim: Claim,
  known: Knowledge,
  { target, user }: { readonly target: Profile | null; readonly user: RemoteUser | null },
  send: Send,
): Promise<AttemptEnd> {
  if (target === null || user === null) return accepted(claim, target, { drifted: false, sent: true })
  const owned = [known.synced, ...known.unclear.map((attempt) => attempt.target)]
  const operations = repairPlan(user, target, owned)
  if (operations.length === 0) return accepted(claim, target, { drifted: false, sent: true })
  const outcome = await send(claim.distinctId, { kind: 'edit', operations })
  if (outcome?.kind === 'accepted') {
    const drifted = outcome.user !== null && repairPlan(outcome.user, target, owned).length > 0
    return accepted(claim, target, { drifted, sent: true })
  }
  // Rejected, too: what we own is then not what SuprSend holds, and a person must know (P1, P4).
  return ended(
    claim,
    known,
    { kind: 'ended', outcome: outcome?.kind === 'missing' ? VANISHED_TWICE : outcome, partly: true },
    true,
  )
}

function accepted(
  claim: Claim,
  synced: Profile | null,
  how: { readonly drifted: boolean; readonly sent: boolean },
): AttemptEnd {
  // What was desired has its hash already: no need to write it out again for each user.
  const known = synced === claim.desired ? claim.desiredHash : null
  const syncedHash = synced === null ? null : (known ?? profileHash(synced))
  return {
    kind: 'accepted',
    ...how,
    record: { claim, synced, syncedHash, unclear: [], attempts: 0, failure: null, retryInMs: null },
  }
}

function ended(claim: Claim, known: Knowledge, run: Extract<Run, { kind: 'ended' }>, sent: boolean): AttemptEnd {
  const { outcome, partly } = run
  if (outcome === null && !partly && !sent) return { kind: 'unsent' }
  const open = partly || (outcome?.kind === 'retry' && outcome.applied === 'unclear')
  const unclear = open
    ? compactAttempts([...known.unclear, { token: claim.token, target: claim.desired }])
    : known.unclear
  const syncedHash = known.synced === null ? null : profileHash(known.synced)
  const record = { claim, synced: known.synced, syncedHash, unclear, attempts: claim.attempts, failure: null }
  if (outcome === null) return { kind: 'failed', record: { ...record, retryInMs: 0 }, outcome: VANISHED_TWICE }
  return { kind: 'failed', outcome, record: { ...record, ...consequence(claim, outcome) } }
}

/** When our own code failed on this user: what may have been sent is unclear. Computes nothing that could fail again. */
export function brokenAttempt(claim: Claim): AttemptEnd {
  const { synced, syncedHash, token, desired } = claim
  const unclear = [...claim.unclear, { token, target: desired }]
  const record = { claim, synced, syncedHash, unclear, ...consequence(claim, UNREADABLE) }
  return { kind: 'failed', outcome: UNREADABLE, record }
}

function consequence(claim: Claim, outcome: Outcome): Pick<AttemptRecord, 'attempts' | 'failure' | 'retryInMs'> {
  switch (outcome.kind) {
    case 'rejected':
      return { attempts: claim.attempts + 1, failure: outcome.failure, retryInMs: null }
    case 'retry': {
      // A host that certainly did nothing is not this user's failure: the gate decides when it is asked again.
      const hostly = outcome.scope === 'host' && outcome.applied === 'no'
      const attempts = claim.attempts + (hostly ? 0 : 1)
      const delayMs = hostly ? 0 : retryDelayMs({ attempts, floorMs: retryFloorMs(outcome), random: Math.random() })
      return { attempts, failure: hostly ? null : outcome.failure, retryInMs: delayMs }
    }
    case 'stop': {
      const { status } = outcome.failure
      const attempts = claim.attempts + (status === 401 ? 0 : 1)
      return { attempts, failure: null, retryInMs: stoppedDelayMs(status, { attempts, random: Math.random() }) }
    }
    case 'accepted':
    case 'missing':
      return { attempts: claim.attempts, failure: null, retryInMs: 0 }
  }
}
