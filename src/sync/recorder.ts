// Writes down how the attempts of one sender ended. Guarantees that every answer is recorded however long state is away, that whoever is
// recorded or given back is told of only then, and that what has gathered meanwhile goes in one statement. Leaves attempts to
// sync/attempt.ts, and what a record says to sync/attempt-record.ts.
import { sleep } from '../core/abort.ts'
import type { AttemptRecord, Claim, DeliveryState } from '../core/delivery-port.ts'
import type { Logger } from '../core/logger.ts'
import type { AttemptEnd } from './attempt-record.ts'
import { Signal } from './signal.ts'

export interface RecorderOptions {
  readonly state: Pick<DeliveryState, 'record' | 'release'>
  readonly log: Logger
  /** They are in hand no more. */
  readonly onRecorded: (claims: readonly Claim[]) => void
}

/** What waits by right goes round as often. */
const ROUND_MS = 1_000
const STATE_RETRY_MS = 1_000

export class Recorder {
  readonly #options: RecorderOptions
  readonly #changed = new Signal()
  /** Attempts under way: what they did is not yet among the records. */
  #expected = 0
  #closed = false
  #records: AttemptRecord[] = []
  #unsent: Claim[] = []
  #turnedAtMs = performance.now()

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  /** When it last had written down what there was. */
  get turnedAtMs(): number {
    return this.#turnedAtMs
  }

  /** An attempt begins, and will be told of by `ended`. */
  expect(): void {
    this.#expected += 1
  }

  ended(claim: Claim, end: AttemptEnd): void {
    if (end.kind === 'unsent') this.#unsent.push(claim)
    else this.#records.push(end.record)
    this.#expected -= 1
    this.#changed.notify()
  }

  /** No more attempts begin: it ends with the last of them. */
  close(): void {
    this.#closed = true
    this.#changed.notify()
  }

  /** Until it is closed and everything is recorded. Given up only when state is away and `destroy` aborted: the next sender finds these unclear. */
  async run(destroy: AbortSignal): Promise<void> {
    for (;;) {
      this.#turnedAtMs = performance.now()
      const seen = this.#changed.count
      if (this.#records.length === 0 && this.#unsent.length === 0) {
        if (this.#closed && this.#expected === 0) return
        await this.#changed.after(seen, ROUND_MS)
        continue
      }
      const records = this.#records
      const unsent = this.#unsent
      this.#records = []
      this.#unsent = []
      const { state, onRecorded } = this.#options
      if (records.length > 0) {
        if (!(await this.#insist((tries) => this.#record(records, tries), records.length, destroy))) continue
        onRecorded(records.map(({ claim }) => claim))
      }
      if (unsent.length > 0 && (await this.#insist(() => state.release(unsent), unsent.length, destroy)))
        onRecorded(unsent)
    }
  }

  async #record(records: readonly AttemptRecord[], tries: number): Promise<void> {
    const { state, log } = this.#options
    const lost = await state.record(records)
    // The answer of the try before may have been lost, and not what it did.
    if (lost.length > 0 && tries === 1)
      log.warn({ users: lost.length }, 'users were taken over before their answer was recorded')
  }

  /** @returns whether it was done. */
  async #insist(write: (tries: number) => Promise<void>, users: number, destroy: AbortSignal): Promise<boolean> {
    for (let tries = 1; ; tries += 1) {
      try {
        await write(tries)
        return true
      } catch (error) {
        if (destroy.aborted) return false
        this.#options.log.warn({ err: error, users }, 'recording failed; trying again')
        await sleep(STATE_RETRY_MS, destroy)
      }
    }
  }
}
