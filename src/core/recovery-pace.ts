// A gap that comes back before what the last one owed is read may come back for ever, as where the server's limit is smaller than
// what a reading writes: each recovery costs the application's server a slot and the reading of every row from the first one.
// So the first few are mended at once, further ones ever more rarely (P5).

const AT_ONCE = 3
const FIRST_WAIT_MS = 60_000
const LONGEST_WAIT_MS = 30 * 60_000

export class RecoveryPace {
  #unread = 0
  #lastAtMs = Number.NEGATIVE_INFINITY

  /** @param isOwed rows are left to be read for an earlier gap. @returns how long this one is to be left as it is; 0: not at all. */
  waitMs({ isOwed, nowMs }: { readonly isOwed: boolean; readonly nowMs: number }): number {
    if (!isOwed) this.#unread = 0
    if (this.#unread < AT_ONCE) return 0
    const apart = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#unread - AT_ONCE, 16))
    return Math.max(0, this.#lastAtMs + apart - nowMs)
  }

  began(nowMs: number): void {
    this.#unread += 1
    this.#lastAtMs = nowMs
  }
}
