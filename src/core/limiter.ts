// The arithmetic of the one limiter: requests in flight and requests a second, as a value and its transitions. Guarantees
// that no window of one second holds more than the rate. Slows to half on every 429 or 503 with Retry-After, once a second
// at most, and comes back slowly. Time comes in as milliseconds of any clock that does not jump.

export interface LimiterSettings {
  readonly maxInFlight: number
  /** null = as fast as SuprSend takes them. */
  readonly ratePerSecond: number | null
}

export interface LimiterState {
  readonly inFlight: number
  readonly tokens: number
  /** Share of the settings in use: 1 = all. */
  readonly share: number
  readonly updatedAtMs: number
  readonly slowedAtMs: number
}

export type Taken =
  | { readonly kind: 'go'; readonly state: LimiterState }
  | { readonly kind: 'wait'; readonly state: LimiterState; readonly waitMs: number }
  /** As many in flight as may be: wait for one to end. */
  | { readonly kind: 'full'; readonly state: LimiterState }

const SMALLEST_SHARE = 1 / 64
/** From the smallest share back to all of it in half a minute. */
const RECOVERY_PER_MS = 1 / 30_000
const SLOW_AT_MOST_EVERY_MS = 1_000

export function openLimiter(nowMs: number): LimiterState {
  return { inFlight: 0, tokens: 1, share: 1, updatedAtMs: nowMs, slowedAtMs: Number.NEGATIVE_INFINITY }
}

export function takeSlot(settings: LimiterSettings, before: LimiterState, nowMs: number): Taken {
  const state = advance(settings, before, nowMs)
  if (state.inFlight >= Math.max(1, Math.floor(settings.maxInFlight * state.share))) return { kind: 'full', state }
  if (settings.ratePerSecond === null) return { kind: 'go', state: { ...state, inFlight: state.inFlight + 1 } }
  if (state.tokens >= 1) {
    return { kind: 'go', state: { ...state, inFlight: state.inFlight + 1, tokens: state.tokens - 1 } }
  }
  const { refillPerMs } = bucket(settings.ratePerSecond * state.share)
  return { kind: 'wait', state, waitMs: Math.max(1, Math.ceil((1 - state.tokens) / refillPerMs)) }
}

export function releaseSlot(state: LimiterState): LimiterState {
  return { ...state, inFlight: Math.max(0, state.inFlight - 1) }
}

/** SuprSend asked to slow down. Many answers of one burst count as one. */
export function slowDown(settings: LimiterSettings, before: LimiterState, nowMs: number): LimiterState {
  const state = advance(settings, before, nowMs)
  if (nowMs - state.slowedAtMs < SLOW_AT_MOST_EVERY_MS) return state
  const share = Math.max(SMALLEST_SHARE, state.share / 2)
  return { ...state, share, tokens: Math.min(state.tokens, 1), slowedAtMs: nowMs }
}

function advance(settings: LimiterSettings, state: LimiterState, nowMs: number): LimiterState {
  const elapsedMs = Math.max(0, nowMs - state.updatedAtMs)
  if (elapsedMs === 0) return state
  const share = Math.min(1, state.share + elapsedMs * RECOVERY_PER_MS)
  if (settings.ratePerSecond === null) return { ...state, share, updatedAtMs: nowMs }
  // With the share of before: the slower one of the two ends of this stretch of time.
  const { size, refillPerMs } = bucket(settings.ratePerSecond * state.share)
  return { ...state, share, tokens: Math.min(size, state.tokens + elapsedMs * refillPerMs), updatedAtMs: nowMs }
}

/**
 * Any second sees at most what the bucket held at its start plus one second's refill, so size + refill = rate. A size of 2 %
 * of the rate lets a timer be 20 ms late without loss. Below 100 a second the size is one request, and requests are evenly
 * spaced: a second then holds the rate at most without anything taken off.
 */
function bucket(rate: number): { readonly size: number; readonly refillPerMs: number } {
  const size = Math.floor(rate / 50)
  return size < 2 ? { size: 1, refillPerMs: rate / 1000 } : { size, refillPerMs: (rate - size) / 1000 }
}
