// When one user is tried again: exponential backoff with full jitter, Retry-After as a floor, a pause after an unclear
// outcome. The only retry policy there is; nothing else repeats a request. Randomness comes in as an argument.
import type { Outcome } from './api.ts'

export const RETRY_BASE_MS = 500
/** A user's own backoff ends here, so that a mended cause shows within half a minute. */
export const RETRY_CAP_MS = 30_000
/** A Retry-After beyond this is a mistake or an attack; the host is asked again after it. */
export const RETRY_AFTER_MAX_MS = 3_600_000
/** After an unclear outcome the old request may still be on its way: the next write waits for it (DESIGN §7.4). */
export const UNCLEAR_HOLD_MS = 2_000

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

export function retryFloorMs(outcome: Extract<Outcome, { kind: 'retry' }>): number {
  return Math.max(outcome.floorMs, outcome.applied === 'unclear' ? UNCLEAR_HOLD_MS : 0)
}
