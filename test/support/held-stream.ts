// A change stream that hands on what another one brings; while it is held it gathers, and then gives all of it at once, so
// that a test decides what capture finds in one batch.
import type { Lsn } from '../../src/core/lsn.ts'
import type { ChangeStream } from '../../src/core/source-port.ts'
import type { StreamEvent } from '../../src/core/stream-event.ts'

export class HeldStream implements ChangeStream {
  readonly #inner: ChangeStream
  #gathered: StreamEvent[] = []
  #pending: Promise<readonly StreamEvent[]> | null = null
  #held: PromiseWithResolvers<null> | null = null
  /** Everything that was confirmed, in order. */
  readonly confirmed: Lsn[] = []

  constructor(inner: ChangeStream) {
    this.#inner = inner
  }

  /** How many whole transactions wait to be let go. */
  get heldTransactions(): number {
    return this.#gathered.filter((event) => event.kind === 'commit').length
  }

  hold(): void {
    this.#held ??= Promise.withResolvers()
  }

  release(): void {
    this.#held?.resolve(null)
    this.#held = null
  }

  async take(): Promise<readonly StreamEvent[]> {
    while (this.#held || this.#gathered.length === 0) {
      this.#pending ??= this.#inner.take()
      const events = await Promise.race(this.#held ? [this.#pending, this.#held.promise] : [this.#pending])
      if (events === null) continue
      this.#pending = null
      this.#gathered.push(...events)
    }
    const events = this.#gathered
    this.#gathered = []
    return events
  }

  confirm(lsn: Lsn): void {
    this.confirmed.push(lsn)
    this.#inner.confirm(lsn)
  }

  destroy(reason: unknown): void {
    this.release()
    this.#inner.destroy(reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]()
  }
}
