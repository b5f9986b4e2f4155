// What was seen of the callers: calls by method and answer, the busiest second, and whether two writes of one user were
// ever in flight together. Reads are counted but are nobody's violation. A request is in flight from its arrival
// until the moment before its answer is written, so that a caller who waits for the answer is never accused.

export interface Stats {
  readonly requests: number
  /** By method, then by status; `dropped` = no answer was given. */
  readonly calls: { readonly [method: string]: { readonly [status: string]: number } }
  readonly inFlight: number
  readonly maxInFlight: number
  readonly maxInFlightPerUser: number
  /** Writes that arrived while another of the same user was in flight. */
  readonly concurrencyViolations: { readonly count: number; readonly users: readonly string[] }
  readonly peakRequestsPerSecond: number
}

/** Enough to find the fault; a list of every user would be none. */
const NAMED_VIOLATORS = 100

export class Traffic {
  readonly #writing = new Map<string, number>()
  #inFlight = 0
  #requests = 0
  #calls = new Map<string, Map<string, number>>()
  #maxInFlight = 0
  #maxPerUser = 0
  #violations = 0
  #violators = new Set<string>()
  #second = 0
  #inSecond = 0
  #peak = 0

  arrived(distinctId: string | null, nowMs: number): void {
    this.#requests += 1
    this.#inFlight += 1
    this.#maxInFlight = Math.max(this.#maxInFlight, this.#inFlight)
    const second = Math.floor(nowMs / 1000)
    this.#inSecond = second === this.#second ? this.#inSecond + 1 : 1
    this.#second = second
    this.#peak = Math.max(this.#peak, this.#inSecond)
    if (distinctId === null) return
    const writing = (this.#writing.get(distinctId) ?? 0) + 1
    this.#writing.set(distinctId, writing)
    this.#maxPerUser = Math.max(this.#maxPerUser, writing)
    if (writing === 1) return
    this.#violations += 1
    if (this.#violators.size < NAMED_VIOLATORS) this.#violators.add(distinctId)
  }

  /** `distinctId` as given to `arrived`. */
  ended(distinctId: string | null, method: string, status: number | 'dropped'): void {
    this.#inFlight -= 1
    const byStatus = this.#calls.get(method) ?? new Map<string, number>()
    byStatus.set(String(status), (byStatus.get(String(status)) ?? 0) + 1)
    this.#calls.set(method, byStatus)
    if (distinctId === null) return
    const writing = (this.#writing.get(distinctId) ?? 1) - 1
    if (writing === 0) this.#writing.delete(distinctId)
    else this.#writing.set(distinctId, writing)
  }

  /** Forgets what was counted; what is in flight stays so. */
  clear(): void {
    this.#requests = 0
    this.#calls = new Map()
    this.#maxInFlight = this.#inFlight
    this.#maxPerUser = Math.max(0, ...this.#writing.values())
    this.#violations = 0
    this.#violators = new Set()
    this.#inSecond = 0
    this.#peak = 0
  }

  stats(): Stats {
    return {
      requests: this.#requests,
      calls: Object.fromEntries([...this.#calls].map(([method, counts]) => [method, Object.fromEntries(counts)])),
      inFlight: this.#inFlight,
      maxInFlight: this.#maxInFlight,
      maxInFlightPerUser: this.#maxPerUser,
      concurrencyViolations: { count: this.#violations, users: [...this.#violators] },
      peakRequestsPerSecond: this.#peak,
    }
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
