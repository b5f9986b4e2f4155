// What other processes decide through the state while the service runs: looked at every other second, for readiness and the log.
import { sleep } from '../core/abort.ts'
import type { OpenBreaker } from '../core/breaker.ts'
import type { Logger } from '../core/logger.ts'
import { readBounded } from '../state/bounded-read.ts'
import { readBreaker } from '../state/breaker-store.ts'
import type { StateDatabase } from '../state/database.ts'

const EVERY_MS = 2_000
const TIMEOUT_MS = 1_000

export class StateWatch {
  readonly #db: StateDatabase
  readonly #log: Logger
  #breaker: OpenBreaker | null = null

  constructor(db: StateDatabase, log: Logger) {
    this.#db = db
    this.#log = log
  }

  get breaker(): OpenBreaker | null {
    return this.#breaker
  }

  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#look().catch(() => undefined) // The state is away, or not made yet: others say so.
      await sleep(EVERY_MS, stop)
    }
  }

  async #look(): Promise<void> {
    const found = await readBounded(this.#db, TIMEOUT_MS, async (db) => ({ breaker: await readBreaker(db) }))
    if (found === null) return
    if (this.#breaker !== null && found.breaker === null) this.#log.info({}, 'the circuit breaker was closed')
    this.#breaker = found.breaker
  }
}
