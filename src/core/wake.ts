// Waits for something that another process decides: until somebody rings, at the latest after a while, for a ring may be missed.
import { sleep } from './abort.ts'

export class Wake {
  #ring = new AbortController()

  ring(): void {
    this.#ring.abort()
    this.#ring = new AbortController()
  }

  /** Resolves early when somebody rings or the signal aborts. */
  async wait(atMostMs: number, signal: AbortSignal): Promise<void> {
    await sleep(atMostMs, AbortSignal.any([signal, this.#ring.signal]))
  }
}
