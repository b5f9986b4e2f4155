// How one user's attempt ended, as it is recorded: what is certain, what stays unclear, when the user is tried again, or why
// not any more. Keeps no state and sends nothing. The delays are core/retry.ts's, the words core/error-policy.ts's.
import type { Failure, Outcome } from '../core/api.ts'
import type { AttemptRecord, Claim } from '../core/delivery-port.ts'
import { givenUp, UNREADABLE } from '../core/outcome.ts'
import { type Profile, profileHash } from '../core/profile.ts'
import {
  failingSince,
  givesUp,
  heldDelayMs,
  isOwnTrouble,
  retryDelayMs,
  retryFloorMs,
  stoppedDelayMs,
} from '../core/retry.ts'
import { type Attempt, compactAttempts } from '../core/unclear.ts'

export type AttemptEnd =
  /** `record.failure`: everything but some keys. */
  | { readonly kind: 'accepted'; readonly record: AttemptRecord; readonly drifted: boolean; readonly sent: boolean }
  | { readonly kind: 'failed'; readonly record: AttemptRecord; readonly outcome: Outcome }
  /** Nothing of it was sent. */
  | { readonly kind: 'unsent' }

/** What is certain, and what is not, at one moment of the attempt. */
export interface Knowledge {
  readonly synced: Profile | null
  readonly unclear: readonly Attempt[]
}

/** When a user who always fails is set aside. */
export interface Patience {
  /** null: never. */
  readonly giveUpAfterMs: number | null
  /** When SuprSend last accepted somebody, milliseconds since 1970. */
  readonly acceptedAt: number | null
}

/** A request that did not end as it should; null: it did not leave. */
export interface Ended {
  readonly outcome: Outcome | null
  /** It was a GET, which leaves nothing. */
  readonly asked: boolean
  /** Something of the target may be stored. */
  readonly open: boolean
  /** Some request has left. */
  readonly sent: boolean
}

export const VANISHED_TWICE: Outcome = {
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

export interface Accepted {
  readonly claim: Claim
  /** As it is to be recorded: with references, not sealed. */
  readonly synced: Profile | null
  /** Of the keys that were left out. */
  readonly failure: Failure | null
  readonly drifted: boolean
  readonly sent: boolean
}

export function accepted({ claim, synced, failure, drifted, sent }: Accepted): AttemptEnd {
  // What was desired has its hash already: no need to write it out again for each user.
  const known = synced === claim.desired && !claim.held ? claim.desiredHash : null
  const syncedHash = synced === null ? null : (known ?? profileHash(synced))
  const attempts = failure === null ? 0 : claim.attempts + 1
  const record = { claim, synced, syncedHash, unclear: [], attempts, failure, failingSince: null, retryInMs: null }
  return { kind: 'accepted', drifted, sent, record }
}

export function ended(claim: Claim, known: Knowledge, end: Ended, patience: Patience): AttemptEnd {
  const { outcome, asked, open, sent } = end
  if (outcome === null && !open && !sent) return { kind: 'unsent' }
  const unclear =
    open || (!asked && outcome?.kind === 'retry' && outcome.applied === 'unclear')
      ? compactAttempts([...known.unclear, { token: claim.token, target: claim.desired }])
      : known.unclear
  const syncedHash = known.synced === null ? null : profileHash(known.synced)
  const record = { claim, synced: known.synced, syncedHash, unclear }
  if (outcome === null) {
    const { attempts, failingSince } = claim
    const waits = { attempts, failure: null, failingSince, retryInMs: 0 }
    return { kind: 'failed', outcome: VANISHED_TWICE, record: { ...record, ...waits } }
  }
  const judged = judge(claim, outcome, patience)
  return { kind: 'failed', outcome: judged, record: { ...record, ...consequence(claim, judged) } }
}

/** When our own code failed on this user: what may have been sent is unclear. Computes nothing that could fail again. */
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

/** Trouble that does not pass is a refusal in the end, if the operator wants it so. */
function judge(claim: Claim, outcome: Outcome, patience: Patience): Outcome {
  if (outcome.kind !== 'retry') return outcome
  const now = Date.now()
  const since = failingSince(claim, outcome, now)
  return since !== null && givesUp({ ...patience, since, now }) && isOwnTrouble(outcome) ? givenUp(outcome) : outcome
}

type Consequence = Pick<AttemptRecord, 'attempts' | 'failure' | 'failingSince' | 'retryInMs'>

function consequence(claim: Claim, outcome: Outcome): Consequence {
  switch (outcome.kind) {
    case 'rejected':
      return { attempts: claim.attempts + 1, failure: outcome.failure, failingSince: null, retryInMs: null }
    case 'retry': {
      // A host that certainly did nothing is not this user's failure: the gate decides when it is asked again.
      const hostly = outcome.scope === 'host' && outcome.applied === 'no'
      const attempts = claim.attempts + (hostly ? 0 : 1)
      const delayMs = hostly
        ? heldDelayMs(outcome, Math.random())
        : retryDelayMs({ attempts, floorMs: retryFloorMs(outcome), random: Math.random() })
      const since = failingSince(claim, outcome, Date.now())
      return { attempts, failure: hostly ? null : outcome.failure, failingSince: since, retryInMs: delayMs }
    }
    case 'stop': {
      const { status } = outcome.failure
      const attempts = claim.attempts + (status === 401 ? 0 : 1)
      const retryInMs = stoppedDelayMs(status, { attempts, random: Math.random() })
      return { attempts, failure: null, failingSince: claim.failingSince, retryInMs }
    }
    case 'accepted':
    case 'missing':
      return { attempts: claim.attempts, failure: null, failingSince: claim.failingSince, retryInMs: 0 }
  }
}
