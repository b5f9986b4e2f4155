// What answers tell about the load that SuprSend bears: asked to slow down (429), failing for many (503, no answer),
// doing nothing of what is asked, or slower than usual. A value and its transition, which says by how much to slow. Guarantees P6: who is troubled alone,
// even ten of them and whatever becomes of their retries, slows nobody. Leaves to others what the host's state is.
import type { Outcome, RequestKind } from './api.ts'
import { isSlow, judged, type Latency, NO_LATENCY, withAnswer } from './latency.ts'
import { RETRY_AFTER_MAX_MS } from './retry.ts'
import { type Fall, SMALLEST_SHARE } from './share.ts'

export interface Pressure {
  readonly latency: Latency
  /** Answers of the last second or the last hundred, whichever are more, in two parts of that length. */
  readonly before: Part
  readonly now: Part
  /** Answers in a row of which none did what was asked, nor told why not. */
  readonly vain: { readonly sinceMs: number; readonly answers: number }
}

interface Part {
  readonly sinceMs: number
  readonly answers: number
  readonly troubles: number
}

export interface AnswerSeen {
  readonly outcome: Outcome
  readonly kind: RequestKind
  readonly durationMs: number
  /** This user's attempt before this one failed as well: shows nothing new of the host. */
  readonly repeated: boolean
  /** This sender is the load: it uses its limits. */
  readonly busy: boolean
}

export interface Felt {
  readonly pressure: Pressure
  /** null: no reason to slow. */
  readonly fall: Fall | null
}

const PART_MS = 1_000
const PART_ANSWERS = 100
const OLDEST_PART_MS = 30_000
/** First troubles of so many users are no users' own; ten poisoned ones are (P6). */
const TROUBLES_AT_LEAST = 20
const TROUBLED_SHARE = 0.2
/** Answers of a gateway for a service that is away or has too much to do. */
const OVERLOADED: readonly (number | null)[] = [502, 503, 504, null]

const HALF: Fall = { factor: 1 / 2, least: SMALLEST_SHARE }
/** Latency alone never takes more than this: it has causes that no slowing mends. */
const GENTLE: Fall = { factor: 0.85, least: 1 / 8 }

/**
 * Whatever they fail of (a firewall's 403 for our address, a wrong path, a 500), and however often those users failed before: to go on
 * at this pace is of no use. A hundred users with trouble of their own alone, in backoff, come to fewer.
 */
const VAIN_ANSWERS = 100
const VAIN_WITHIN_MS = 10_000

const EMPTY: Part = { sinceMs: Number.NEGATIVE_INFINITY, answers: 0, troubles: 0 }
export const NO_PRESSURE: Pressure = {
  latency: NO_LATENCY,
  before: EMPTY,
  now: EMPTY,
  vain: { sinceMs: 0, answers: 0 },
}

export function felt(before: Pressure, seen: AnswerSeen, nowMs: number): Felt {
  const vain = vainAfter(before, seen.outcome, nowMs)
  if (vain.answers < VAIN_ANSWERS) return feltOf({ ...before, vain }, seen, nowMs)
  const pressure = { ...before, vain: { sinceMs: nowMs, answers: 0 } }
  const { fall, ...rest } = feltOf(pressure, seen, nowMs)
  return { ...rest, fall: fall ?? (nowMs - vain.sinceMs <= VAIN_WITHIN_MS ? HALF : null) }
}

function vainAfter({ vain }: Pressure, { kind }: Outcome, nowMs: number): Pressure['vain'] {
  if (kind !== 'retry' || vain.answers === 0) return { sinceMs: nowMs, answers: kind === 'retry' ? 1 : 0 }
  return { ...vain, answers: vain.answers + 1 }
}

function feltOf(pressure: Pressure, seen: AnswerSeen, nowMs: number): Felt {
  const { outcome, repeated, busy, ...timed } = seen
  if (isLimit(outcome))
    return { pressure, fall: { ...HALF, untilMs: nowMs + Math.min(outcome.floorMs, RETRY_AFTER_MAX_MS) } }
  const troubled = isTrouble(outcome)
  if (troubled && repeated) return { pressure, fall: null }
  const answered = outcome.kind === 'accepted' || outcome.kind === 'missing'
  const counted = counting(pressure, troubled, nowMs)
  // Refusals are answered without the work that makes latency.
  const latency = answered ? withAnswer(pressure.latency, timed, nowMs) : pressure.latency
  if (troubled && isConsiderable(counted)) {
    return { pressure: { ...pressure, latency, before: EMPTY, now: EMPTY }, fall: HALF }
  }
  if (answered && busy && isSlow(latency)) {
    return { pressure: { ...counted, latency: judged(latency) }, fall: GENTLE }
  }
  return { pressure: { ...counted, latency }, fall: null }
}

function isLimit(outcome: Outcome): outcome is Extract<Outcome, { kind: 'retry' }> {
  return outcome.kind === 'retry' && outcome.failure.status === 429 && outcome.scope === 'host'
}

/** What was certainly not sent tells of the way there: the host's state closes on it. */
function isTrouble(outcome: Outcome): boolean {
  if (outcome.kind !== 'retry' || !OVERLOADED.includes(outcome.failure.status)) return false
  return outcome.failure.status !== null || (outcome.scope === 'host' && outcome.applied === 'unclear')
}

function counting(pressure: Pressure, troubled: boolean, nowMs: number): Pressure {
  const { now } = pressure
  const ageMs = nowMs - now.sinceMs
  const full = ageMs >= PART_MS && (now.answers >= PART_ANSWERS || ageMs >= OLDEST_PART_MS)
  const open = full ? { sinceMs: nowMs, answers: 0, troubles: 0 } : now
  const before = full ? (ageMs < 2 * OLDEST_PART_MS ? now : EMPTY) : pressure.before
  return {
    ...pressure,
    before,
    now: { ...open, answers: open.answers + 1, troubles: open.troubles + Number(troubled) },
  }
}

function isConsiderable({ before, now }: Pressure): boolean {
  const troubles = before.troubles + now.troubles
  return troubles >= TROUBLES_AT_LEAST && troubles >= TROUBLED_SHARE * (before.answers + now.answers)
}
