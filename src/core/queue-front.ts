// From where a sender looks for who is due. Index entries of those who were due before stay while any transaction on the server is older than
// their end (a dump, a report), and every look from the very front passes all of them again. Pure. Guarantees that such a look is
// repeated within LONGEST_REST_MS, so that who comes to be due further in front (a commit that took long, a claim that was given back)
// is found no later than that; and where looks are quick, as they are without such a transaction, every look is from the very front.

type Lane = 0 | 1

interface Front {
  /** Nobody was due before: a timestamp in the server's words. */
  readonly from: string
  /** Of which buckets that was seen. */
  readonly buckets: ReadonlySet<number>
  readonly untilMs: number
}

/** By lane. */
export type QueueFronts = ReadonlyMap<Lane, Front>

export const NO_FRONTS: QueueFronts = new Map()

/** With nothing dead in front a look takes a few milliseconds. */
export const LONG_LOOK_MS = 25
/** Of a sender's time looks from the very front take a tenth at the most. */
const RESTS = 10
export const LONGEST_REST_MS = 5_000

export interface Look {
  readonly lane: Lane
  readonly buckets: readonly number[]
  /** The oldest that was seen, or a little before now where nobody was. */
  readonly oldest: string
  readonly tookMs: number
  readonly longMs: number
}

/** @returns null: from the very front. */
export function frontOf(
  fronts: QueueFronts,
  { lane, buckets }: Pick<Look, 'lane' | 'buckets'>,
  nowMs: number,
): string | null {
  const front = fronts.get(lane)
  if (front === undefined || nowMs >= front.untilMs) return null
  return buckets.every((bucket) => front.buckets.has(bucket)) ? front.from : null
}

/** After a look from the very front. */
export function lookedFrom(fronts: QueueFronts, look: Look, nowMs: number): QueueFronts {
  const { lane, buckets, oldest, tookMs, longMs } = look
  if (tookMs < longMs) return fronts
  const untilMs = nowMs + Math.min(tookMs * RESTS, LONGEST_REST_MS)
  return new Map([...fronts, [lane, { from: oldest, buckets: new Set(buckets), untilMs }]])
}
