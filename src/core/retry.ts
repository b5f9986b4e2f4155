// When one user is tried again: exponential backoff with full jitter, Retry-After as a floor, a pause after an unclear
// outcome; and when no more, which by default is never. The only retry policy there is; nothing else repeats a request.
// Randomness and time come in as arguments.
import type { Outcome } from './api.ts'

type Retry = Extract<Outcome, { kind: 'retry' }>

const RETRY_BASE_MS = 500
/** A user's own backoff ends here, so that a mended cause shows within half a minute. */
const RETRY_CAP_MS = 30_000
/** A Retry-After beyond this is a mistake or an attack; the host is asked again after it. */
export const RETRY_AFTER_MAX_MS = 3_600_000
/** For a 429 without Retry-After. */
export const THROTTLE_DEFAULT_MS = 1_000
/** After an unclear outcome the old request may still be on its way: the next write waits for it (DESIGN §7.4). */
export const UNCLEAR_HOLD_MS = 2_000

/** Who was asked to slow down, and for how long the others go before it. */
const HELD_MOST_MS = 5_000
/** As long as a refused credential is not asked about again (host-state.ts). */
const STOPPED_HOLD_MS = 15_000

export interface RetryInput {
  /** Failed attempts so far, this one included: 1 after the first. */
  readonly attempts: number
  readonly floorMs: number
  /** 0 ≤ random < 1 */
  readonly random: number
}

/**
 * Between the floor and the backoff's ceiling, evenly. Where the floor is above the ceiling the spread above it is one base
 * delay: those whom one Retry-After sent away must not all come back at one instant.
 */
export function retryDelayMs({ attempts, floorMs, random }: RetryInput): number {
  // 2^6 × 500 ms is above the cap already; the bound keeps the power finite.
  const doublings = Math.min(Math.max(attempts - 1, 0), 6)
  const ceiling = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** doublings)
  const floor = Math.min(Math.max(floorMs, 0), RETRY_AFTER_MAX_MS)
  return Math.round(floor + random * (ceiling > floor ? ceiling - floor : RETRY_BASE_MS))
}

/**
 * After a refusal of the credential. A 401 is about the key: whoever met it is due again before the next probe, so that
 * sending resumes with it. A 402 or 403 may be about this user: it is due only after the next probe, so that another is it.
 */
export function stoppedDelayMs(status: number | null, { attempts, random }: Omit<RetryInput, 'floorMs'>): number {
  if (status === 401) return retryDelayMs({ attempts: 1, floorMs: 0, random })
  return retryDelayMs({ attempts, floorMs: STOPPED_HOLD_MS, random })
}

/**
 * After trouble that holds everybody, while the gate says when it is over. Who was asked to slow down is due a little after that:
 * it may be asked so alone, and always being the first it would hold up everybody (P6). Within seconds all the same: in an hour's
 * pause it is then behind those who have waited longer, and a process that begins anew, and asks again, sends it too.
 */
export function heldDelayMs({ failure, floorMs }: Retry, random: number): number {
  if (failure.status === null) return 0
  const floor = Math.min(Math.max(floorMs, THROTTLE_DEFAULT_MS), HELD_MOST_MS)
  return retryDelayMs({ attempts: 1, floorMs: floor, random })
}

export function retryFloorMs(outcome: Retry): number {
  return Math.max(outcome.floorMs, outcome.applied === 'unclear' ? UNCLEAR_HOLD_MS : 0)
}

/** Trouble of this user alone. What we gave up ourselves is nobody's, and what the host lacks it lacks for all. */
export function isOwnTrouble({ scope, failure }: Retry): boolean {
  return scope === 'user' && failure.code !== 'aborted'
}

/**
 * Since when this user fails by its own trouble, from its first failed attempt on; null: it does not. An edit that could not
 * be sent for hours, because the host was away or the queue long, begins anew.
 */
export function failingSince(
  { attempts, failingSince }: { readonly attempts: number; readonly failingSince: number | null },
  outcome: Retry,
  now: number,
): number | null {
  // Set aside, retried and edited users begin with no attempts.
  const since = attempts === 0 ? null : failingSince
  return isOwnTrouble(outcome) ? (since ?? now) : since
}

/** A SuprSend that accepted somebody within this time is well. */
const WELL_MS = 60_000

export interface GiveUpInput {
  readonly since: number
  readonly now: number
  /** null: never. */
  readonly giveUpAfterMs: number | null
  /** When somebody was last accepted; null: nobody yet. */
  readonly acceptedAt: number | null
}

/** Only while others are accepted: an outage of which each answer looks like this user's own trouble sets nobody aside. */
export function givesUp({ since, now, giveUpAfterMs, acceptedAt }: GiveUpInput): boolean {
  if (giveUpAfterMs === null || now - since < giveUpAfterMs) return false
  return acceptedAt !== null && now - acceptedAt <= WELL_MS
}
