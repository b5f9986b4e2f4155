// Values of one channel, found by one of them: those that SuprSend may take for it, without looking at every other. Guarantees
// that whatever `standsFor` or has the same `likeness` is among what is found; which of these counts, the caller tells. An answer
// of SuprSend's may list a hundred thousand values, and a sender that compared each with each would stand still for minutes.
import { identity, likeness, standsFor, tokenText } from './channel-value.ts'
import type { ChannelKey, ChannelValue } from './profile.ts'

export class ValueIndex {
  /** Each once, in the order in which they came. */
  readonly values: readonly ChannelValue[]
  readonly #key: ChannelKey
  readonly #near = new Map<string, ChannelValue[]>()
  #alike: Map<string, ChannelValue[]> | null = null

  constructor(key: ChannelKey, values: Iterable<ChannelValue>) {
    this.#key = key
    const byIdentity = new Map<string, ChannelValue>()
    for (const value of values) {
      const id = identity(key, value)
      // What stands for the same is told apart by its object only where that is what removes it.
      const each = key === '$webpush' ? JSON.stringify(value) : id
      if (byIdentity.has(each)) continue
      byIdentity.set(each, value)
      addTo(this.#near, tokenText(key, value) ?? id, value)
    }
    this.values = [...byIdentity.values()]
  }

  /** The remote values, of which this is the index, that stand for one of ours. */
  standingFor(value: ChannelValue): readonly ChannelValue[] {
    return this.#nearTo(value).filter((remote) => standsFor(this.#key, remote, value))
  }

  /** Whether the remote value stands for one of ours, of which this is the index. */
  hasWhat(remote: ChannelValue): boolean {
    return this.#nearTo(remote).some((value) => standsFor(this.#key, remote, value))
  }

  /** Those that SuprSend might take for it. */
  alike(value: ChannelValue): readonly ChannelValue[] {
    if (this.#alike === null) {
      this.#alike = new Map()
      for (const other of this.values) addTo(this.#alike, likeness(this.#key, other), other)
    }
    return this.#alike.get(likeness(this.#key, value)) ?? []
  }

  #nearTo(value: ChannelValue): readonly ChannelValue[] {
    return this.#near.get(tokenText(this.#key, value) ?? identity(this.#key, value)) ?? []
  }
}

function addTo(map: Map<string, ChannelValue[]>, id: string, value: ChannelValue): void {
  const list = map.get(id)
  if (list) list.push(value)
  else map.set(id, [value])
}
