// Gauges whose values have to be asked for (queries on state and source) at each scrape. Guarantees that a scrape waits a
// bounded time, that at most one question is under way however often it is scraped, and that what could not be read is
// absent, never stale: an alert must not rest on the figure from before the database went away.
import type { Logger } from '../core/logger.ts'

/** What is left out is not shown. */
export interface Readings {
  readonly profilesPending?: number
  /** Number of profiles set aside, by failure code. */
  readonly profilesFailed?: { readonly [code: string]: number }
  readonly oldestPendingAgeMs?: number
  readonly breakerOpen?: boolean
  /** Whose loss the breaker holds. */
  readonly heldUsers?: number
  /** Of readings that are not at their end: of the one that is read now, estimated. */
  readonly backfillRowsLeft?: number
  readonly backfillLeftMs?: number
  /** WAL between the slot's confirmed position and the server's newest. */
  readonly slotLagBytes?: number
  readonly slotLagMs?: number
  /** WAL that the server must keep for the slot. */
  readonly slotRetainedWalBytes?: number
  /** WAL that may yet be written before the server may give the slot up. */
  readonly slotSafeWalBytes?: number
  /** How fast WAL grows on the server, bytes a second. */
  readonly walBytesPerSecond?: number
  /** Until the server may give the slot up, if nothing more were confirmed and WAL grew on like this. */
  readonly slotInvalidatedInMs?: number
  readonly walBudget?: 'enough' | 'low' | 'spent'
}

/** Asks for the readings. The signal aborts when the scrape no longer waits for them. */
export type Collector = (signal: AbortSignal) => Promise<Readings>

export class ReadingsSource {
  readonly #collector: Collector
  readonly #timeoutMs: number
  readonly #log: Logger
  #underWay: Promise<Readings | null> | null = null

  constructor(collector: Collector, options: { readonly timeoutMs: number; readonly log: Logger }) {
    this.#collector = collector
    this.#timeoutMs = options.timeoutMs
    this.#log = options.log
  }

  /** Never rejects; null when nothing was read in time. */
  async read(): Promise<Readings | null> {
    const timeout = AbortSignal.timeout(this.#timeoutMs)
    const { promise: timedOut, resolve: giveUp } = Promise.withResolvers<null>()
    timeout.addEventListener('abort', () => giveUp(null), { once: true })
    this.#underWay ??= this.#ask(timeout).finally(() => {
      this.#underWay = null
    })
    return Promise.race([this.#underWay, timedOut])
  }

  async #ask(signal: AbortSignal): Promise<Readings | null> {
    try {
      return await this.#collector(signal)
    } catch (error) {
      this.#log.debug({ err: error }, 'metrics could not be read')
      return null
    }
  }
}
