// Whether senders keep to the rate, seen from the receiving end. What they space evenly arrives in a bunch where a network held it, or
// where this process itself was late: such moments are left out, and how much of the time was judged is said. Time comes in.
import { SlidingRate } from '../../src/emulator/sliding-rate.ts'

/** After a disturbance: what was held arrives within this. */
const SETTLE_MS = 500
/** A turn of our own event loop that is later than this has bunched what arrived meanwhile. */
const LATE_MS = 40
/** Between two looks at how late we are. */
export const LOOK_EVERY_MS = 20

export class RateWatch {
  readonly #rate = new SlidingRate()
  #held = 0
  #unsettledUntilMs = 0
  #lookedAtMs: number | null = null
  #looks = 0
  #settledLooks = 0
  #seen = 0

  /** A request that the senders' limiters let out. */
  arrived(atMs: number): void {
    this.#seen += 1
    if (this.#isSettled(atMs)) this.#rate.add(atMs)
  }

  /** Every `LOOK_EVERY_MS`. */
  look(nowMs: number): void {
    const lateMs = this.#lookedAtMs === null ? 0 : nowMs - this.#lookedAtMs - LOOK_EVERY_MS
    this.#lookedAtMs = nowMs
    if (lateMs > LATE_MS) this.#unsettle(nowMs)
    this.#looks += 1
    if (this.#isSettled(nowMs)) this.#settledLooks += 1
  }

  /** A network to SuprSend begins to hold what is sent. */
  hold(): void {
    this.#held += 1
    this.#rate.forget()
  }

  release(nowMs: number): void {
    this.#held -= 1
    this.#unsettle(nowMs)
  }

  /** All of them. */
  get seen(): number {
    return this.#seen
  }

  get peak(): number {
    return this.#rate.peak
  }

  /** 0 to 1: of the looks, those at which it was judged. */
  get judgedShare(): number {
    return this.#looks === 0 ? 0 : this.#settledLooks / this.#looks
  }

  #isSettled(nowMs: number): boolean {
    return this.#held === 0 && nowMs >= this.#unsettledUntilMs
  }

  /** No second that is counted reaches back beyond this. */
  #unsettle(nowMs: number): void {
    this.#unsettledUntilMs = nowMs + SETTLE_MS
    this.#rate.forget()
  }
}
