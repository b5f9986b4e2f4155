// How much of what it holds a sender uses: 1 = all of it. Falls when SuprSend shows that it is too much, once a second at
// most; comes back linearly, slowly up to where it fell from and then within half a minute to all; begins small after an
// outage and doubles each second. A value and its transitions; what they rest on is pressure.ts's.

export interface Share {
  /** At `fromMs`, from where on it rises, but not during an outage. */
  readonly value: number
  readonly fromMs: number
  /** The share of before the last fall. */
  readonly ceiling: number
  readonly fellAtMs: number
  /** Since when the host has been away; null: it is not. */
  readonly suspendedAtMs: number | null
  /** When the slow start after an outage began; null: none, or over. */
  readonly startedAtMs: number | null
}

export interface Fall {
  /** What is left of the share. */
  readonly factor: number
  readonly least: number
  /** Until when nobody sends (Retry-After): it rises from then on. */
  readonly untilMs?: number
}

export const SMALLEST_SHARE = 1 / 64
const FALLS_AT_MOST_EVERY_MS = 1_000
const RISE_MS = 30_000
/** Past the old ceiling by this factor without a complaint, capacity has come back: no reason to feel one's way any more. */
const PAST_THE_CEILING = 1.25
/** All of it after four seconds. */
const START_SHARE = 1 / 16
const START_DOUBLES_EVERY_MS = 1_000
/** A host that was back before was hardly away: some of what was under way failed, the rest did not. */
const OUTAGE_AT_LEAST_MS = 1_000

export const WHOLE_SHARE: Share = {
  value: 1,
  fromMs: Number.NEGATIVE_INFINITY,
  ceiling: 1,
  fellAtMs: Number.NEGATIVE_INFINITY,
  suspendedAtMs: null,
  startedAtMs: null,
}

export function shareAt(share: Share, nowMs: number): number {
  const { startedAtMs } = share
  const value = risen(share, nowMs)
  if (startedAtMs === null) return value
  const doublings = Math.max(0, nowMs - startedAtMs) / START_DOUBLES_EVERY_MS
  return doublings > 8 ? value : Math.min(value, START_SHARE * 2 ** doublings)
}

/** The many answers of one burst are one fall. During an outage there is none: it ends in a slow start anyway. */
export function fallen(share: Share, { factor, least, untilMs }: Fall, nowMs: number): Share {
  if (share.suspendedAtMs !== null) return share
  const fromMs = Math.max(nowMs, untilMs ?? nowMs)
  if (!mayFall(share, nowMs)) {
    return { ...share, value: risen(share, nowMs), fromMs: Math.max(share.fromMs, fromMs) }
  }
  const now = shareAt(share, nowMs)
  const value = Math.min(now, Math.max(least, now * factor))
  return { ...share, value, fromMs, ceiling: now, fellAtMs: nowMs, startedAtMs: null }
}

export function mayFall(share: Share, nowMs: number): boolean {
  return nowMs - share.fellAtMs >= FALLS_AT_MOST_EVERY_MS
}

/** The host went away: the share it had is kept for when it comes back. */
export function suspended(share: Share, nowMs: number): Share {
  if (share.suspendedAtMs !== null) return share
  return { ...share, value: risen(share, nowMs), fromMs: nowMs, suspendedAtMs: nowMs }
}

/** It is back: a small share first, so that no storm meets a server that has just come up. Without an outage: as it was. */
export function resumed(share: Share, nowMs: number): Share {
  const { suspendedAtMs } = share
  if (suspendedAtMs === null) return share
  const startedAtMs = nowMs - suspendedAtMs < OUTAGE_AT_LEAST_MS ? share.startedAtMs : nowMs
  return { ...share, fromMs: nowMs, suspendedAtMs: null, startedAtMs }
}

/**
 * Up to a quarter above where it fell from, in proportion to that: a service that takes 5 % of the settings is then asked
 * for more every few seconds, not in each, as every 429 costs a second of silence.
 */
function risen({ value, fromMs, ceiling, suspendedAtMs }: Share, nowMs: number): number {
  const elapsedMs = suspendedAtMs === null ? nowMs - fromMs : 0
  if (value >= 1 || elapsedMs <= 0) return value
  const knee = Math.min(1, ceiling * PAST_THE_CEILING)
  const toKneeMs = Math.max(0, ((knee - value) * RISE_MS) / ceiling)
  if (elapsedMs < toKneeMs) return value + (elapsedMs * ceiling) / RISE_MS
  return Math.min(1, Math.max(value, knee) + (elapsedMs - toKneeMs) / RISE_MS)
}
