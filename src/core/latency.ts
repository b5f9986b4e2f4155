// Whether SuprSend answers slower than it used to, as a value and its transition: a short and a long smoothed latency for
// each kind of request, and how far the short ones are above the long ones. Robust by design: kinds are compared with
// themselves, a single slow answer weighs little, and nothing under a tenth of a second counts as slow.
import type { RequestKind } from './api.ts'

export interface Latency {
  readonly kinds: { readonly [K in RequestKind]: Smoothed | null }
  /** Short over long latency, smoothed over all kinds: 1 = as ever. */
  readonly rise: number
  /** Answers since somebody last acted on `rise`. */
  readonly answers: number
}

interface Smoothed {
  readonly shortMs: number
  /** Follows a fall within seconds, a rise within minutes: an overload is not to become what is usual. */
  readonly longMs: number
  readonly answers: number
  readonly atMs: number
}

/** Below this our own event loop and the network make latencies differ manifold: a server that answers in 5 ms is not slow at 50. */
const LEAST_LONG_MS = 100
/** Answers that the short latency is smoothed over, and that are waited for before it is judged. */
const SMOOTHED_OVER = 32
const LONG_FALLS_MS = 5_000
const LONG_RISES_MS = 300_000
const LONGEST_STEP_MS = 1_000
/** An answer counts for no more than this times the usual: one that hung for 30 s must not stand for 300. */
const MOST_RISE = 8
/** Twice the usual is no chance any more, with 32 answers of each kind. */
const TOLERANCE = 2

export const NO_LATENCY: Latency = {
  kinds: { upsert: null, edit: null, delete: null, get: null },
  rise: 1,
  answers: 0,
}

export interface Timed {
  readonly kind: RequestKind
  readonly durationMs: number
}

export function withAnswer(latency: Latency, { kind, durationMs }: Timed, nowMs: number): Latency {
  const after = smoothed(latency.kinds[kind], durationMs, nowMs)
  const rise = Math.min(MOST_RISE, after.shortMs / Math.max(after.longMs, LEAST_LONG_MS))
  return {
    kinds: { ...latency.kinds, [kind]: after },
    rise: latency.rise + (rise - latency.rise) / SMOOTHED_OVER,
    answers: latency.answers + 1,
  }
}

/** Whether answers have become slow; not again before as many have come as it is smoothed over. */
export function isSlow({ rise, answers }: Latency): boolean {
  return answers >= SMOOTHED_OVER && rise > TOLERANCE
}

/** Acted upon: what comes now shows whether it helped. */
export function judged(latency: Latency): Latency {
  return { ...latency, answers: 0 }
}

/** The short one of all kinds, each as often as it is sent; null: nothing was answered yet. */
export function smoothedMs({ kinds }: Latency): number | null {
  const known = Object.values(kinds).filter((kind) => kind !== null)
  const answers = known.reduce((sum, kind) => sum + kind.answers, 0)
  return answers === 0 ? null : known.reduce((sum, kind) => sum + kind.shortMs * kind.answers, 0) / answers
}

function smoothed(before: Smoothed | null, durationMs: number, nowMs: number): Smoothed {
  if (before === null) return { shortMs: durationMs, longMs: durationMs, answers: 1, atMs: nowMs }
  const { shortMs, longMs, answers, atMs } = before
  const counted = Math.min(durationMs, MOST_RISE * Math.max(longMs, LEAST_LONG_MS))
  // The plain mean of the first ones; the first of all is also a new connection.
  const short = shortMs + (counted - shortMs) / Math.min(answers + 1, SMOOTHED_OVER)
  const after = { shortMs: short, answers: answers + 1, atMs: nowMs }
  if (answers < SMOOTHED_OVER) return { ...after, longMs: short }
  const stepMs = Math.min(LONGEST_STEP_MS, Math.max(0, nowMs - atMs))
  const weight = 1 - Math.exp(-stepMs / (short < longMs ? LONG_FALLS_MS : LONG_RISES_MS))
  return { ...after, longMs: longMs + (short - longMs) * weight }
}
