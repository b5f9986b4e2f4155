// One user's attempt: carries out the plan step by step, checks SuprSend's own view in the last answer and mends it once
// (DESIGN §7.5), and draws up the record of how it ended. Keeps no state; everything it must remember is in the record.
// Plans, comparisons and records hold references to secrets; only what is sent holds their texts.
import type { ApiRequest, Outcome, RemoteUser } from '../core/api.ts'
import { repairPlan } from '../core/compare.ts'
import type { AttemptRecord, Claim } from '../core/delivery-port.ts'
import type { OnDelete } from '../core/mapping-spec.ts'
import { secretMissing, UNREADABLE } from '../core/outcome.ts'
import { planUser, type Step } from '../core/plan.ts'
import { type ChannelKey, type Profile, profileHash } from '../core/profile.ts'
import { retryDelayMs, retryFloorMs, stoppedDelayMs } from '../core/retry.ts'
import { type Attempt, compactAttempts } from '../core/unclear.ts'
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
}

/** Sends one request; null when it was not sent because we are stopping, or must not be any more. */
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
  /** `dropped`: something that may be held was left out, because what it says is not known. */
  | { readonly kind: 'accepted'; readonly user: RemoteUser | null; readonly dropped: boolean }
  | { readonly kind: 'gone' }
  | { readonly kind: 'vanished' }
  | { readonly kind: 'ended'; readonly outcome: Outcome | null; readonly partly: boolean }

/** What one attempt works with. */
interface Means extends AttemptOptions {
  readonly claim: Claim
  readonly box: AttemptSecrets
}

export async function attemptUser(claim: Claim, options: AttemptOptions): Promise<AttemptEnd> {
  const all = [claim.desired, claim.synced, ...claim.unclear.map(({ target }) => target)]
  const box = new AttemptSecrets(
    all.filter((profile) => profile !== null),
    options.secrets,
  )
  const means: Means = { ...options, claim, box }
  const desired = box.seal(claim.desired)
  let known: Knowledge = { synced: claim.synced, unclear: claim.unclear }
  for (let vanished = false; ; vanished = true) {
    const synced = box.seal(known.synced)
    const unclear = known.unclear.map(({ target }) => box.seal(target))
    const onDelete = claim.erase ? 'delete' : options.policy.onDelete
    const plan = planUser({ desired, synced, unclear, ...options.policy, onDelete })
    if (plan.kind === 'settled') return accepted(means, plan.synced, { drifted: false, sent: vanished })
    const run = await runSteps(means, plan.steps)
    switch (run.kind) {
      case 'accepted':
        return await verify(means, known, { target: plan.syncedAfter, owned: [synced, ...unclear], ...run })
      case 'gone':
        return accepted(means, null, { drifted: false, sent: true })
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

async function runSteps({ claim, box, send }: Means, steps: readonly Step[]): Promise<Run> {
  // All of them before the first: a user of whom one step cannot be sent is not sent half.
  for (const step of steps) {
    const resolved = box.resolve(step.request)
    if (resolved.kind === 'missing') return { kind: 'ended', outcome: secretMissing(resolved), partly: false }
  }
  let left = [...steps]
  let user: RemoteUser | null = null
  let partly = false
  let dropped = false
  for (let step = left.shift(); step; step = left.shift()) {
    const resolved = box.resolve(step.request)
    if (resolved.kind === 'missing') return { kind: 'ended', outcome: secretMissing(resolved), partly }
    const { request } = resolved
    dropped ||= resolved.dropped
    const outcome = await send(claim.distinctId, request)
    if (outcome?.kind === 'accepted') {
      if (request.kind !== 'get') partly = true
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
        // Nobody is there who could hold it.
        dropped = false
    }
  }
  return { kind: 'accepted', user, dropped }
}

interface Verification {
  /** As `owned`: sealed. */
  readonly target: Profile | null
  readonly owned: readonly (Profile | null)[]
  readonly user: RemoteUser | null
  readonly dropped: boolean
}

/** Compares the answer with what we own, mends it by one PATCH, and settles whatever comes of that: never a loop. */
async function verify(means: Means, known: Knowledge, view: Verification): Promise<AttemptEnd> {
  const { claim, box, send, policy } = means
  const { target, owned, user, dropped } = view
  if (user === null) {
    // What could not be removed without this answer may still be there (P4).
    if (dropped) return ended(claim, known, { kind: 'ended', outcome: UNREADABLE, partly: true }, true)
    return accepted(means, target, { drifted: false, sent: true })
  }
  const repair = (held: RemoteUser) => repairPlan(box.sealUser(held), target, { owned, exclusive: policy.exclusive })
  const operations = repair(user)
  if (operations.length === 0) return accepted(means, target, { drifted: false, sent: true })
  const resolved = box.resolve({ kind: 'edit', operations })
  if (resolved.kind === 'missing')
    return ended(claim, known, { kind: 'ended', outcome: secretMissing(resolved), partly: true }, true)
  const outcome = await send(claim.distinctId, resolved.request)
  if (outcome?.kind === 'accepted') {
    const drifted = outcome.user !== null && repair(outcome.user).length > 0
    return accepted(means, target, { drifted, sent: true })
  }
  // Rejected, too: what we own is then not what SuprSend holds, and a person must know (P1, P4).
  return ended(
    claim,
    known,
    { kind: 'ended', outcome: outcome?.kind === 'missing' ? VANISHED_TWICE : outcome, partly: true },
    true,
  )
}

/** @param sealed the profile as it was planned; recorded is what it was made of. */
function accepted(
  { claim, box }: Means,
  sealed: Profile | null,
  how: { readonly drifted: boolean; readonly sent: boolean },
): AttemptEnd {
  const synced = box.original(sealed)
  // What was desired has its hash already: no need to write it out again for each user.
  const known = synced === claim.desired && !claim.held ? claim.desiredHash : null
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

/** When our own code failed on this user: what may have been sent is unclear. Computes nothing that could fail again for good. */
export function brokenAttempt(claim: Claim): AttemptEnd {
  const { synced, syncedHash, token, desired } = claim
  const unclear = compactedIfItCan([...claim.unclear, { token, target: desired }])
  const record = { claim, synced, syncedHash, unclear, ...consequence(claim, UNREADABLE) }
  return { kind: 'failed', outcome: UNREADABLE, record }
}

/** What breaks each time is tried for weeks: its list must not grow with every try. */
function compactedIfItCan(attempts: readonly Attempt[]): readonly Attempt[] {
  try {
    return compactAttempts(attempts)
  } catch {
    // This may be what broke.
    return attempts
  }
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
