// The values that a row gives for one channel: each once, in the order in which they came, and no more than a channel may have.
import { PROVIDERS } from './channel-shape.ts'
import { entryOf } from './channel-value.ts'
import { type ChannelKey, type ChannelValue, MAX_VALUES } from './profile.ts'

/** Repeated and unfit ones too. */
const MAX_LOOKED = 10 * MAX_VALUES

export class ChannelValues {
  readonly #key: ChannelKey
  readonly #values = new Map<string, ChannelValue>()
  #looked = 0

  constructor(key: ChannelKey) {
    this.#key = key
  }

  /** Asked before each further value is looked at, which may take microseconds whether it is fit or not. */
  isFull(): boolean {
    this.#looked += 1
    return this.#values.size >= MAX_VALUES || this.#looked > MAX_LOOKED
  }

  add(value: ChannelValue): void {
    // A text is its own identity where no provider stands beside it; what is more is told by its canonical form.
    const isPlain = typeof value === 'string' && PROVIDERS[this.#key] === undefined
    const id = isPlain ? `"${value}` : entryOf(this.#key, value)
    if (!this.#values.has(id)) this.#values.set(id, value)
  }

  list(): readonly ChannelValue[] {
    return [...this.#values.values()]
  }
}
