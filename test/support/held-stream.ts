// A change stream that hands on what another one brings; while it is held it gathers, and then gives all of it at once, so
// that a test decides what capture finds in one batch.
import type { Lsn } from '../../src/core/lsn.ts'
import type { ChangeStream } from '../../src/core/source-port.ts'
import type { StreamEvent } from '../../src/core/stream-event.ts'

export class HeldStream implements ChangeStream {
  readonly #inner: ChangeStream
  readonly #gathered: StreamEvent[] = []
  #pending: Promise<readonly StreamEvent[]> | null = null
  #held: PromiseWithResolvers<null> | null = null
  #allowed = 0
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

  /** The first of what is held, keepalives not counted; the rest stays held. */
  releaseFirst(count: number): void {
    let left = count
    const end = this.#gathered.findIndex((event) => event.kind !== 'keepalive' && --left === 0)
    if (end < 0) throw new Error('fewer events are held')
    this.#allowed = end + 1
    this.#held?.resolve(null)
    this.#held = Promise.withResolvers()
  }

  async take(): Promise<readonly StreamEvent[]> {
    while (this.#allowed === 0 && (this.#held || this.#gathered.length === 0)) {
      this.#pending ??= this.#inner.take()
      const events = await Promise.race(this.#held ? [this.#pending, this.#held.promise] : [this.#pending])
      if (events === null) continue
      this.#pending = null
      this.#gathered.push(...events)
    }
    const events = this.#gathered.splice(0, this.#allowed || this.#gathered.length)
    this.#allowed = 0
    return events
  }

  confirm(lsn: Lsn): void {
    this.confirmed.push(lsn)
    this.#inner.confirm(lsn)
  }

  /** What is held was never received. */
  destroy(reason: unknown): void {
    if (this.#held) this.#gathered.length = 0
    this.release()
    this.#inner.destroy(reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]()
  }
}
