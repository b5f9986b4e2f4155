// For a command that waits for the running service: why nothing comes forward, said once for each cause. What was asked for stays asked
// for, so the command goes on waiting.
import type { Config } from '../config/config.ts'
import type { Logger } from '../core/logger.ts'
import { captureTrouble } from '../core/status-problems.ts'
import { readDatabases } from './status-facts.ts'

/** A reading that goes on shows rows sooner; what passes by itself is mostly over. */
const STANDS_MS = 3_000
const LOOK_EVERY_MS = 5_000

export class CaptureTrouble {
  readonly #config: Config
  readonly #log: Logger
  #movedAtMs = performance.now()
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #said: string | null = null

  constructor(config: Config, log: Logger) {
    this.#config = config
    this.#log = log
  }

  moved(): void {
    this.#movedAtMs = performance.now()
    this.#said = null
  }

  /** To be asked as long as one waits. */
  async sayWhatIsNew(): Promise<void> {
    const nowMs = performance.now()
    if (nowMs - this.#movedAtMs < STANDS_MS || nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return
    const { source, recovery } = this.#config
    const trouble = captureTrouble(await readDatabases(this.#config), { slot: source.slot, recovery })
    this.#lookedAtMs = performance.now()
    if (trouble !== null && trouble.code !== this.#said) {
      const next = trouble.next === null ? '' : ` Next: ${trouble.next}.`
      this.#log.warn(
        { code: trouble.code },
        `the service does not capture, and what was asked for waits: ${trouble.message}${next}`,
      )
    }
    this.#said = trouble?.code ?? null
  }
}
