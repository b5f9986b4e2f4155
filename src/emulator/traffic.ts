// What was seen of the callers: calls by method and answer, the busiest second, and whether two writes of one user were
// ever in flight together. Reads are counted but are nobody's violation. A write is in flight from the arrival of its
// headers until the moment before its answer is written, so that a caller who waits for the answer is never accused; and
// no longer than its client is there. A client that dies and another that goes on in its place are seen in any order, so
// an overlap is taken back when the earlier write ends by its client's leaving within a moment.
import type { Ending } from './exchange.ts'
import { SlidingRate } from './sliding-rate.ts'

export interface Stats {
  readonly requests: number
  /** By method, then by status; `dropped` = no answer was given. */
  readonly calls: { readonly [method: string]: { readonly [status: string]: number } }
  readonly inFlight: number
  readonly maxInFlight: number
  readonly maxInFlightPerUser: number
  /** Writes that arrived while another of the same user was in flight. */
  readonly concurrencyViolations: { readonly count: number; readonly users: readonly string[] }
  /** From the leaving of a client without an answer to the next write of that user; null = there was none. */
  readonly soonestAfterLeftMs: number | null
  /** The most that arrived within one second, wherever it begins. */
  readonly peakRequestsPerSecond: number
}

/** Enough to find the fault; a list of every user would be none. */
const NAMED_VIOLATORS = 100
/** From a client's end until it is seen here: the kernel's, and this process's own delay. */
const LEAVING_MS = 250

/** A write that arrived while others of its user, `during`, were in flight. */
interface Overlap {
  readonly distinctId: string
  readonly atMs: number
  readonly during: Set<Arrival>
}

/** What `ended` wants back. */
export interface Arrival {
  /** Null: no write of a user. */
  readonly distinctId: string | null
  /** Overlaps in which this was the earlier write. */
  readonly overlaps: Overlap[]
}

export interface End {
  readonly method: string
  readonly status: Ending
  readonly clientLeft: boolean
  readonly nowMs: number
}

export class Traffic {
  readonly #writing = new Map<string, Set<Arrival>>()
  readonly #rate = new SlidingRate()
  /** Of users whose last write nobody waited for. */
  readonly #leftAtMs = new Map<string, number>()
  #inFlight = 0
  #requests = 0
  #calls = new Map<string, Map<string, number>>()
  #maxInFlight = 0
  #maxPerUser = 0
  #violations = 0
  #violators = new Map<string, number>()
  #soonestMs: number | null = null

  /** @param nowMs of a clock that does not go back. */
  arrived(distinctId: string | null, nowMs: number): Arrival {
    this.#requests += 1
    this.#inFlight += 1
    this.#maxInFlight = Math.max(this.#maxInFlight, this.#inFlight)
    this.#rate.add(nowMs)
    const arrival: Arrival = { distinctId, overlaps: [] }
    if (distinctId === null) return arrival
    const leftAtMs = this.#leftAtMs.get(distinctId)
    if (leftAtMs !== undefined) this.#soonestMs = Math.min(this.#soonestMs ?? nowMs - leftAtMs, nowMs - leftAtMs)
    this.#leftAtMs.delete(distinctId)
    const writing = this.#writing.get(distinctId) ?? new Set()
    if (writing.size > 0) this.#overlap({ distinctId, atMs: nowMs, during: new Set(writing) })
    writing.add(arrival)
    this.#writing.set(distinctId, writing)
    this.#maxPerUser = Math.max(this.#maxPerUser, writing.size)
    return arrival
  }

  ended(arrival: Arrival, { method, status, clientLeft, nowMs }: End): void {
    this.#inFlight -= 1
    const byStatus = this.#calls.get(method) ?? new Map<string, number>()
    byStatus.set(String(status), (byStatus.get(String(status)) ?? 0) + 1)
    this.#calls.set(method, byStatus)
    const { distinctId } = arrival
    if (distinctId === null) return
    const writing = this.#writing.get(distinctId)
    writing?.delete(arrival)
    if (writing?.size === 0) this.#writing.delete(distinctId)
    if (!clientLeft) return
    this.#leftAtMs.set(distinctId, nowMs)
    for (const overlap of arrival.overlaps) this.#forgive(overlap, arrival, nowMs)
  }

  /** Forgets what was counted; what is in flight stays so. */
  clear(): void {
    this.#requests = 0
    this.#calls = new Map()
    this.#maxInFlight = this.#inFlight
    this.#maxPerUser = 0
    for (const writing of this.#writing.values()) {
      this.#maxPerUser = Math.max(this.#maxPerUser, writing.size)
      for (const { overlaps } of writing) overlaps.splice(0)
    }
    this.#violations = 0
    this.#violators = new Map()
    this.#leftAtMs.clear()
    this.#soonestMs = null
    this.#rate.clear()
  }

  stats(): Stats {
    return {
      requests: this.#requests,
      calls: Object.fromEntries([...this.#calls].map(([method, counts]) => [method, Object.fromEntries(counts)])),
      inFlight: this.#inFlight,
      maxInFlight: this.#maxInFlight,
      maxInFlightPerUser: this.#maxPerUser,
      concurrencyViolations: { count: this.#violations, users: [...this.#violators.keys()] },
      soonestAfterLeftMs: this.#soonestMs,
      peakRequestsPerSecond: this.#rate.peak,
    }
  }

  #overlap(overlap: Overlap): void {
    for (const earlier of overlap.during) earlier.overlaps.push(overlap)
    this.#count(overlap.distinctId, 1)
  }

  /** As if the earlier write had ended before the later one came. */
  #forgive(overlap: Overlap, earlier: Arrival, nowMs: number): void {
    if (nowMs - overlap.atMs > LEAVING_MS) return
    overlap.during.delete(earlier)
    if (overlap.during.size === 0) this.#count(overlap.distinctId, -1)
  }

  #count(distinctId: string, change: 1 | -1): void {
    this.#violations += change
    const count = (this.#violators.get(distinctId) ?? 0) + change
    if (count <= 0) this.#violators.delete(distinctId)
    else if (count > 1 || this.#violators.size < NAMED_VIOLATORS) this.#violators.set(distinctId, count)
  }
}

/** At most `limit` in each second from the first request of that second on. */
export class RateWindow {
  #startMs = Number.NEGATIVE_INFINITY
  #count = 0

  /** Null when the request may pass, else the seconds to wait. */
  excess(limit: number | null, nowMs: number): number | null {
    if (limit === null) return null
    if (nowMs - this.#startMs >= 1000) {
      this.#startMs = nowMs
      this.#count = 0
    }
    this.#count += 1
    return this.#count <= limit ? null : 1
  }
}
