// Who sends which users (DESIGN §7.1): 64 buckets of users, shared out among the senders that are there. Pure. Guarantees: from the same
// view every sender draws the same shares, which add up to all buckets and differ by one at most; nothing moves while they are
// right. That no bucket has two owners is the locks' part, not this one's: a view may be old.
import type { LimiterSettings } from './limiter.ts'

export const BUCKETS = 64

export const ALL_BUCKETS: readonly number[] = Array.from({ length: BUCKETS }, (_, bucket) => bucket)

export interface SharingView {
  /** Whose sessions are there, in the order in which they came. */
  readonly senders: readonly string[]
  /** The owner of each bucket; null: nobody. */
  readonly owners: readonly (string | null)[]
  /** So many may work: the least that any of them allows (mostSenders), so that all count alike while they are configured anew. */
  readonly most: number
}

export interface Sharing {
  /** Of those it owns; the others it gives up once nothing of them is under way. */
  readonly keep: readonly number[]
  /** Free ones to be taken. */
  readonly take: readonly number[]
}

/** Each sender's share of the rate is whole requests a second: with fewer than this too much would be rounded off. */
const LEAST_RATE = 4

/**
 * So many work, the others stand by: each must have at least one request in flight and enough requests a second. Those who came first,
 * so that one more moves nothing.
 */
export function mostSenders({ maxInFlight, ratePerSecond }: LimiterSettings): number {
  const byRate = ratePerSecond === null ? BUCKETS : Math.floor(ratePerSecond / LEAST_RATE)
  return Math.max(1, Math.min(BUCKETS, maxInFlight, byRate))
}

/** How many buckets each of so many senders has: the first ones have the remainder. */
export function bucketQuota(rank: number, senders: number): number {
  if (rank < 0 || rank >= senders) return 0
  return Math.floor(BUCKETS / senders) + (rank < BUCKETS % senders ? 1 : 0)
}

/**
 * @param leaving buckets that it owns and is about to give up: those first, if some must go.
 */
export function shareBuckets(
  { senders, owners, most }: SharingView,
  { me, leaving }: { readonly me: string; readonly leaving: ReadonlySet<number> },
): Sharing {
  const rank = senders.indexOf(me)
  const working = Math.min(senders.length, most)
  const quota = bucketQuota(rank, working)
  const mine = owners.flatMap((owner, bucket) => (owner === me ? [bucket] : []))
  const keep = [...mine.filter((bucket) => !leaving.has(bucket)), ...mine.filter((bucket) => leaving.has(bucket))]
  const free = owners.flatMap((owner, bucket) => (owner === null ? [bucket] : []))
  // Each begins elsewhere, so that two who look at once do not reach for the same ones.
  const from = Math.floor((Math.max(rank, 0) * free.length) / Math.max(working, 1))
  const turned = [...free.slice(from), ...free.slice(0, from)]
  return { keep: keep.slice(0, quota), take: turned.slice(0, Math.max(0, quota - mine.length)) }
}
