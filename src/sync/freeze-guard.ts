// Notices that this process stood still (SIGSTOP, a paused machine): meanwhile the server may have given its locks away, and
// everything it was about to send is old (P3). Its lost session is heard only after whatever else was ready to run, so
// that who sends or claims asks here first, and after a standstill only goes on once the lock session has answered.

const TICK_MS = 250
/** A pause of this length costs one question; the server frees the locks of a vanished host much later. */
const STANDSTILL_MS = 1_000

export interface FreezeGuardOptions {
  /** Whether the locks are still ours; false for good when they are not. */
  readonly confirm: () => Promise<boolean>
  /** Milliseconds; the system's clock by default, which goes on while a machine is paused. */
  readonly now?: () => number
}

export class FreezeGuard implements Disposable {
  readonly #confirm: () => Promise<boolean>
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  #awakeAt: number
  #asking: Promise<boolean> | null = null

  constructor({ confirm, now = Date.now }: FreezeGuardOptions) {
    this.#confirm = confirm
    this.#now = now
    this.#awakeAt = now()
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  /** true: go on. Else the answer to whether the work is still ours. */
  check(): true | Promise<boolean> {
    if (this.#asking) return this.#asking
    // A clock that was set back is no standstill, but as unclear as one.
    if (Math.abs(this.#now() - this.#awakeAt) < STANDSTILL_MS) return true
    this.#asking = this.#ask()
    return this.#asking
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    if (this.check() === true) this.#awakeAt = this.#now()
  }

  async #ask(): Promise<boolean> {
    for (;;) {
      const askedAt = this.#now()
      // Stays `asking`: who lost the locks gets no other answer.
      if (!(await this.#confirm())) return false
      this.#awakeAt = askedAt
      // An answer that waited for us through another standstill says nothing about now.
      if (Math.abs(this.#now() - askedAt) >= STANDSTILL_MS) continue
      this.#asking = null
      return true
    }
  }
}
