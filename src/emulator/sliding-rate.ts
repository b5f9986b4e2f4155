// The busiest second: the most events within any window of one second, wherever it begins. Keeps the instants of the
// last second alone. Time comes in, from a clock that does not go back.

const WINDOW_MS = 1_000

export class SlidingRate {
  #times: number[] = []
  /** Of the oldest that is still within the window; what is before it is dropped now and then. */
  #first = 0
  #peak = 0

  /** Returns how many the second that ends now holds, this one included. */
  add(nowMs: number): number {
    this.#times.push(nowMs)
    while ((this.#times[this.#first] ?? nowMs) <= nowMs - WINDOW_MS) this.#first += 1
    if (this.#first > 1_024 && this.#first * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#first)
      this.#first = 0
    }
    const count = this.#times.length - this.#first
    this.#peak = Math.max(this.#peak, count)
    return count
  }

  get peak(): number {
    return this.#peak
  }

  /** The last second, not the peak. */
  forget(): void {
    this.#times = []
    this.#first = 0
  }

  clear(): void {
    this.forget()
    this.#peak = 0
  }
}
