// Long loops let go of the event loop now and then: what goes on beside them, such as a commit between two statements,
// would else wait for their end.
import { setImmediate } from 'node:timers/promises'

export class Breather {
  readonly #every: number
  #left: number

  constructor(every: number) {
    this.#every = every
    this.#left = every
  }

  /** To be asked once a round; the loop then awaits `breathe`. No promise for the rounds between. */
  isDue(): boolean {
    this.#left -= 1
    return this.#left <= 0
  }

  async breathe(): Promise<void> {
    this.#left = this.#every
    await setImmediate()
  }
}
