// Compares SuprSend's own view of a user, as its answers carry it, with what we own of that user, and says how to mend the
// difference (DESIGN §7.5), or only in what they differ. Guarantees: values that others added are left alone (P4), except in channels that are
// exclusive; spellings that SuprSend changes by itself (case of an address, `_` for `-` in a locale, fields it drops) are
// no difference.
import type { Operation, RemoteUser } from './api.ts'
import { identity } from './channel-value.ts'
import { type Json, sameJson } from './json.ts'
import {
  type Change,
  type Entry,
  entriesOf,
  identityOf,
  likenessesOf,
  likenessOf,
  operationsOf,
  property,
} from './operations.ts'
import { CHANNEL_KEYS, type ChannelKey, type ChannelValue, EMPTY_PROFILE, type Profile } from './profile.ts'
import { remoteValues } from './remote-user.ts'
import { ValueIndex } from './value-index.ts'

const LANGUAGE_KEYS: readonly string[] = ['$locale', '$preferred_language']

export interface Holdings {
  /** Every profile of which SuprSend may have kept something (synced and unclear ones); null = a DELETE. */
  readonly owned: readonly (Profile | null)[]
  /** Channels that are to hold what is wanted and nothing else, whoever added it. */
  readonly exclusive: ReadonlySet<ChannelKey>
}

/** What `user` holds of ours that is not `target`, and what it lacks of it. */
export function differenceOf(user: RemoteUser, target: Profile | null, { owned, exclusive }: Holdings): Change {
  const wanted = target ?? EMPTY_PROFILE
  const formers = owned.filter((profile) => profile !== null)
  const views = CHANNEL_KEYS.filter((key) => [user, wanted, ...formers].some(({ channels }) => channels[key])).map(
    (key) => new ChannelView(key, { user, wanted, formers }),
  )
  const stale = views.flatMap((view) => view.stale())
  return {
    remove: [...stale, ...atMost(views.flatMap((view) => (exclusive.has(view.key) ? view.strangers(stale) : [])))],
    unset: staleProperties(user, wanted, formers),
    append: views.flatMap((view) => view.lacking()),
    set: Object.fromEntries(
      Object.entries(wanted.properties).filter(([key, value]) => !holdsProperty(user, key, value)),
    ),
  }
}

/** The one PATCH that makes `user` hold of ours exactly `target`; empty = it does already. */
export function repairPlan(user: RemoteUser, target: Profile | null, holdings: Holdings): readonly Operation[] {
  const difference = differenceOf(user, target, holdings)
  const lacking = new Set(difference.append.map(identityOf))
  const removed = likenessesOf(difference.remove)
  const append = [...entriesOf(target ?? EMPTY_PROFILE)].filter(
    (entry) => lacking.has(identityOf(entry)) || removed.has(likenessOf(entry)),
  )
  return operationsOf({ ...difference, append })
}

/** What one PATCH may take away of others: more would be refused for its size, and with it what is ours. The rest stays for the next. */
const MOST_STRANGERS = 1_000
const STRANGERS_BYTES = 200_000

function atMost(strangers: readonly Entry[]): readonly Entry[] {
  let bytes = 0
  return strangers
    .filter(({ value }) => {
      const size = Buffer.byteLength(JSON.stringify(value))
      if (bytes + size > STRANGERS_BYTES) return false
      bytes += size
      return true
    })
    .slice(0, MOST_STRANGERS)
}

/** One channel: what SuprSend holds of it, what is wanted, and what it was earlier. */
class ChannelView {
  readonly key: ChannelKey
  readonly #held: ValueIndex
  readonly #wanted: ValueIndex
  readonly #formers: ValueIndex

  constructor(
    key: ChannelKey,
    given: { readonly user: RemoteUser; readonly wanted: Profile; readonly formers: readonly Profile[] },
  ) {
    this.key = key
    this.#held = new ValueIndex(key, remoteValues(given.user, key))
    this.#wanted = new ValueIndex(key, given.wanted.channels[key] ?? [])
    this.#formers = new ValueIndex(
      key,
      given.formers.flatMap((former) => former.channels[key] ?? []),
    )
  }

  stale(): readonly Entry[] {
    const { key } = this
    const wanted = new Set(this.#wanted.values.map((value) => identity(key, value)))
    return this.#formers.values.flatMap((value): readonly Entry[] => {
      if (wanted.has(identity(key, value))) return []
      // An entry that stands for a wanted value as well (a push token whose provider is not told) is no leftover.
      const left = this.#held.standingFor(value).filter((remote) => !this.#wanted.hasWhat(remote))
      // A subscription is found again by its whole object only, with whatever SuprSend added to it.
      if (key === '$webpush') return left.map((remote) => ({ key, value: remote }))
      return left.length > 0 ? [{ key, value }] : []
    })
  }

  lacking(): readonly Entry[] {
    return this.#wanted.values.filter((value) => !this.#isHeld(value)).map((value) => ({ key: this.key, value }))
  }

  /** What others added. SuprSend's own spelling of a wanted value is that value. */
  strangers(stale: readonly Entry[]): readonly Entry[] {
    const { key } = this
    const removed = new ValueIndex(
      key,
      stale.flatMap((entry) => (entry.key === key ? [entry.value] : [])),
    )
    return this.#held.values
      .filter((remote) => !this.#isWanted(remote) && !removed.hasWhat(remote))
      .map((value) => ({ key, value }))
  }

  #isHeld(value: ChannelValue): boolean {
    if (this.#held.standingFor(value).length > 0) return true
    return typeof value === 'string' && this.#held.alike(value).some((remote) => this.#isRespelling(remote))
  }

  #isWanted(remote: ChannelValue): boolean {
    if (this.#wanted.hasWhat(remote)) return true
    if (!this.#isRespelling(remote)) return false
    return this.#wanted
      .alike(remote)
      .some((value) => typeof value === 'string' && this.#held.standingFor(value).length === 0)
  }

  /** SuprSend may have respelled an address; but a spelling that is itself wanted, or that we sent earlier, is that value. */
  #isRespelling(remote: ChannelValue): boolean {
    return typeof remote === 'string' && !this.#wanted.hasWhat(remote) && !this.#formers.hasWhat(remote)
  }
}

function staleProperties(user: RemoteUser, wanted: Profile, formers: readonly Profile[]): readonly string[] {
  const keys = new Set(formers.flatMap((former) => Object.keys(former.properties)))
  return [...keys].filter((key) => property(wanted, key) === undefined && property(user, key) !== undefined).sort()
}

function holdsProperty(user: RemoteUser, key: string, value: Json): boolean {
  const remote = property(user, key)
  if (remote === undefined) return false
  if (!LANGUAGE_KEYS.includes(key) || typeof remote !== 'string' || typeof value !== 'string') {
    return sameJson(remote, value)
  }
  const plain = (text: string) => text.replaceAll('_', '-').toLowerCase()
  return plain(remote) === plain(value)
}
