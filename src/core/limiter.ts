// The arithmetic of one sender's part of the deployment's limits: requests in flight and requests a second, as a value and
// its transitions. Guarantees, for senders whose fractions are one whole at most at any moment (held-fraction.ts), that no
// half-open window of one second holds more than the rate of all together (a fractional rate: the next whole number), and,
// where who gives up has few enough under way before (`fits`), never more than the whole in flight. Slows by what answers
// tell (pressure.ts, share.ts). Time comes in as milliseconds of any clock that does not jump.
import { countedAt, type Held, HOLDS_NOTHING, held, nextGainMs } from './held-fraction.ts'
import { smoothedMs } from './latency.ts'
import { type AnswerSeen, felt, NO_PRESSURE, type Pressure } from './pressure.ts'
import {
  type Fall,
  fallen,
  mayFall,
  resumed,
  type Share,
  SMALLEST_SHARE,
  shareAt,
  suspended,
  WHOLE_SHARE,
} from './share.ts'

/** Of the whole deployment, whoever many senders it has. */
export interface LimiterSettings {
  readonly maxInFlight: number
  /** null = as fast as SuprSend takes them. */
  readonly ratePerSecond: number | null
}

export interface LimiterState {
  readonly settings: LimiterSettings
  readonly inFlight: number
  readonly tokens: number
  readonly held: Held
  readonly share: Share
  readonly pressure: Pressure
  readonly updatedAtMs: number
  /** When a request last had to wait for its second: then the rate is what limits. */
  readonly rateMetAtMs: number
}

/** What a sender may do, its share of it applied. */
export interface Effective {
  readonly inFlight: number
  readonly ratePerSecond: number | null
  readonly share: number
}

export type Taken =
  | { readonly kind: 'go'; readonly state: LimiterState }
  | { readonly kind: 'wait'; readonly state: LimiterState; readonly waitMs: number }
  /** Nobody may pass before one ends, more is held, or `waitMs` is over, after which more may be allowed; null: never. */
  | { readonly kind: 'full'; readonly state: LimiterState; readonly waitMs: number | null }

/** A share that grows lets more pass before one of those under way ends, which may take half a minute (P6). */
const GROWS_MS = 250
/** 63/64 of something must not be one less for being binary. */
const ROUNDING = 1e-9
/** Of the rate: what a late timer may make up for below 100 a second. */
const LATE = 0.01
/** Of the rate: what is left free, as requests may arrive up to 10 ms closer together than they left. */
const JITTER = 0.01

/** Holds nothing: nobody passes before `holdFraction`. */
export function openLimiter(settings: LimiterSettings, nowMs: number): LimiterState {
  return {
    settings,
    inFlight: 0,
    tokens: 1,
    held: HOLDS_NOTHING,
    share: WHOLE_SHARE,
    pressure: NO_PRESSURE,
    updatedAtMs: nowMs,
    rateMetAtMs: Number.NEGATIVE_INFINITY,
  }
}

export interface Hold {
  readonly fraction: number
  /** Nobody can have used the gain within the last second: its rate counts at once. */
  readonly settled: boolean
}

/** A loss counts at once; of a gain the requests in flight at once, the rate a second later. */
export function holdFraction(before: LimiterState, { fraction, settled }: Hold, nowMs: number): LimiterState {
  const state = advance(before, nowMs)
  const after = { ...state, held: held(state.held, fraction, nowMs, { settled }) }
  return { ...after, tokens: Math.min(state.tokens, bucket(after, nowMs)?.size ?? 1) }
}

export function takeSlot(before: LimiterState, nowMs: number): Taken {
  const state = advance(before, nowMs)
  const most = inFlightLimit(state, nowMs)
  if (state.inFlight >= most) {
    return { kind: 'full', state, waitMs: most < partInFlight(state.settings, state.held.fraction) ? GROWS_MS : null }
  }
  const next = { ...state, inFlight: state.inFlight + 1 }
  const gainMs = nextGainMs(state.held, nowMs)
  const tokens = bucket(state, nowMs)
  if (tokens === null) return { kind: 'go', state: next }
  if (tokens.refillPerMs === 0) {
    return gainMs === null ? { kind: 'full', state, waitMs: null } : { kind: 'wait', state, waitMs: atLeastOne(gainMs) }
  }
  if (state.tokens >= 1) return { kind: 'go', state: { ...next, tokens: state.tokens - 1 } }
  const waitMs = Math.min((1 - state.tokens) / tokens.refillPerMs, gainMs ?? Number.POSITIVE_INFINITY)
  return { kind: 'wait', state: { ...state, rateMetAtMs: nowMs }, waitMs: atLeastOne(waitMs) }
}

export function releaseSlot(state: LimiterState): LimiterState {
  return { ...state, inFlight: Math.max(0, state.inFlight - 1) }
}

/** Not more are under way than what is held allows, whatever the share: what was given up may be somebody else's. */
export function fits({ settings, inFlight, held: { fraction } }: LimiterState): boolean {
  return inFlight <= partInFlight(settings, fraction)
}

/** An answer came, or will not. Before `releaseSlot`. */
export function noteAnswer(before: LimiterState, answer: Omit<AnswerSeen, 'busy'>, nowMs: number): LimiterState {
  const state = advance(before, nowMs)
  const busy = state.inFlight * 2 >= inFlightLimit(state, nowMs) || nowMs - state.rateMetAtMs < 1_000
  // What it cannot act upon it does not take for judged.
  const { pressure, fall } = felt(state.pressure, { ...answer, busy: busy && mayFall(state.share, nowMs) }, nowMs)
  return fall === null ? { ...state, pressure } : slowed({ ...state, pressure }, fall, nowMs)
}

/** SuprSend asked to slow down; nobody sends for `forMs`. Many answers of one burst count as one. */
export function slowDown(before: LimiterState, forMs: number, nowMs: number): LimiterState {
  const fall = { factor: 1 / 2, least: SMALLEST_SHARE, untilMs: nowMs + forMs }
  return slowed(advance(before, nowMs), fall, nowMs)
}

/** The host went away; `resume` begins with little, and soon has the share of before. */
export function suspend(before: LimiterState, nowMs: number): LimiterState {
  const state = advance(before, nowMs)
  return { ...state, share: suspended(state.share, nowMs) }
}

/** It takes requests (again). Nothing without an outage before. */
export function resume(before: LimiterState, nowMs: number): LimiterState {
  const state = advance(before, nowMs)
  const after = { ...state, share: resumed(state.share, nowMs) }
  return { ...after, tokens: Math.min(state.tokens, bucket(after, nowMs)?.size ?? 1) }
}

export function effective(state: LimiterState, nowMs: number): Effective {
  const share = shareAt(state.share, nowMs)
  const rate = partRate(state.settings, countedAt(state.held, nowMs).counted)
  return {
    share,
    inFlight: inFlightLimit(state, nowMs),
    ratePerSecond: rate === null ? null : rate * share,
  }
}

/** How long an answer takes of late; null: none came yet. */
export function latencyMs({ pressure }: LimiterState): number | null {
  return smoothedMs(pressure.latency)
}

function slowed(state: LimiterState, fall: Fall, nowMs: number): LimiterState {
  const after = { ...state, share: fallen(state.share, fall, nowMs) }
  return { ...after, tokens: Math.min(state.tokens, bucket(after, nowMs)?.size ?? 1) }
}

function inFlightLimit({ settings, held: { fraction }, share }: LimiterState, nowMs: number): number {
  const part = partInFlight(settings, fraction)
  return Math.min(part, Math.max(1, Math.floor(part * shareAt(share, nowMs))))
}

function partInFlight({ maxInFlight }: LimiterSettings, fraction: number): number {
  return fraction === 1 ? maxInFlight : Math.max(0, Math.floor(maxInFlight * fraction + ROUNDING))
}

/** Whole numbers, so that they add up to the whole at most; less than one a second is nothing, but for who holds all. */
function partRate({ ratePerSecond }: LimiterSettings, fraction: number): number | null {
  if (ratePerSecond === null || fraction === 1) return ratePerSecond
  return Math.max(0, Math.floor(ratePerSecond * fraction + ROUNDING))
}

function advance(state: LimiterState, nowMs: number): LimiterState {
  const elapsedMs = Math.max(0, nowMs - state.updatedAtMs)
  if (elapsedMs === 0) return state
  const after = { ...state, held: countedAt(state.held, nowMs), updatedAtMs: nowMs }
  // As it was before: nothing falls within a stretch, so that this is the slower one of its two ends.
  const tokens = bucket(state, state.updatedAtMs)
  if (tokens === null) return after
  return { ...after, tokens: Math.min(tokens.size, state.tokens + elapsedMs * tokens.refillPerMs) }
}

interface Bucket {
  readonly size: number
  readonly refillPerMs: number
}

/**
 * A half-open second sees less than what the bucket held at its start plus one second's refill. A size of 2 % of the rate lets a
 * timer be 20 ms late without loss; size and refill are the rate, less what is left for jitter. Below 100 a second that would be
 * less than a request: the size is one, and 1 % of the rate, which is taken off the refill: 10 ms late without loss, and less than
 * rate + 1 in a second. Both rise with the rate, so that a second in which it changes holds no more than the higher one. null: no
 * rate.
 */
function bucket({ settings, held: { counted }, share }: LimiterState, nowMs: number): Bucket | null {
  const rate = partRate(settings, counted)
  if (rate === null) return null
  const part = shareAt(share, nowMs)
  const size = Math.floor(rate / 50)
  if (size < 2) return { size: 1 + rate * part * LATE, refillPerMs: (rate * part * (1 - LATE - JITTER)) / 1000 }
  return { size: Math.max(1, Math.floor(size * part)), refillPerMs: ((rate * (1 - JITTER) - size) * part) / 1000 }
}

function atLeastOne(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs))
}
