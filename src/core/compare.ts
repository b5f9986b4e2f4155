// Compares SuprSend's own view of a user, as its answers carry it, with what we own of that user, and says how to mend the
// difference (DESIGN §7.5), or only in what they differ. Guarantees: values that others added are left alone (P4), except in channels that are
// exclusive; spellings that SuprSend changes by itself (case of an address, `_` for `-` in a locale, fields it drops) are
// no difference.
import type { Operation, RemoteUser } from './api.ts'
import { likeness, standsFor } from './channel-value.ts'
import { type Json, sameJson } from './json.ts'
import { type Change, type Entry, entriesOf, identityOf, operationsOf, property, resembles } from './operations.ts'
import { CHANNEL_KEYS, type ChannelKey, type ChannelValue, EMPTY_PROFILE, type Profile } from './profile.ts'

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
  const ours = [wanted, ...formers]
  const stale = staleEntries(user, wanted, formers)
  return {
    remove: [...stale, ...strangers({ user, wanted, ours, stale }, exclusive)],
    unset: staleProperties(user, wanted, formers),
    append: [...entriesOf(wanted)].filter((entry) => !holds(user, entry, ours)),
    set: Object.fromEntries(
      Object.entries(wanted.properties).filter(([key, value]) => !holdsProperty(user, key, value)),
    ),
  }
}

/** The one PATCH that makes `user` hold of ours exactly `target`; empty = it does already. */
export function repairPlan(user: RemoteUser, target: Profile | null, holdings: Holdings): readonly Operation[] {
  const difference = differenceOf(user, target, holdings)
  const lacking = new Set(difference.append.map(identityOf))
  const append = [...entriesOf(target ?? EMPTY_PROFILE)].filter(
    (entry) => lacking.has(identityOf(entry)) || resembles(entry, difference.remove),
  )
  return operationsOf({ ...difference, append })
}

function staleEntries(user: RemoteUser, wanted: Profile, formers: readonly Profile[]): readonly Entry[] {
  const seen = new Set([...entriesOf(wanted)].map(identityOf))
  const stale: Entry[] = []
  for (const entry of formers.flatMap((former) => [...entriesOf(former)])) {
    const { key } = entry
    const id = identityOf(entry)
    if (seen.has(id)) continue
    seen.add(id)
    const mine = wanted.channels[key] ?? []
    // An entry that stands for a wanted value as well (a push token whose provider is not told) is no leftover.
    const left = remoteValues(user, key).filter(
      (value) => standsFor(key, value, entry.value) && !mine.some((want) => standsFor(key, value, want)),
    )
    // A subscription is found again by its whole object only, with whatever SuprSend added to it.
    if (key === '$webpush') stale.push(...left.map((value): Entry => ({ key, value })))
    else if (left.length > 0) stale.push(entry)
  }
  return stale
}

interface View {
  readonly user: RemoteUser
  readonly wanted: Profile
  readonly ours: readonly Profile[]
  readonly stale: readonly Entry[]
}

/** What others added to an exclusive channel. SuprSend's own spelling of a wanted value is that value. */
function strangers({ user, wanted, ours, stale }: View, exclusive: ReadonlySet<ChannelKey>): readonly Entry[] {
  return CHANNEL_KEYS.filter((key) => exclusive.has(key)).flatMap((key) => {
    const mine = wanted.channels[key] ?? []
    const values = remoteValues(user, key)
    const exact = (want: ChannelValue) => values.some((value) => standsFor(key, value, want))
    const isWanted = (value: ChannelValue) =>
      mine.some((want) => standsFor(key, value, want) || (!exact(want) && respells(value, { key, value: want }, ours)))
    const isRemoved = (value: ChannelValue) =>
      stale.some((entry) => entry.key === key && standsFor(key, value, entry.value))
    return values.filter((value) => !isWanted(value) && !isRemoved(value)).map((value): Entry => ({ key, value }))
  })
}

function staleProperties(user: RemoteUser, wanted: Profile, formers: readonly Profile[]): readonly string[] {
  const keys = new Set(formers.flatMap((former) => Object.keys(former.properties)))
  return [...keys].filter((key) => property(wanted, key) === undefined && property(user, key) !== undefined).sort()
}

function holds(user: RemoteUser, entry: Entry, ours: readonly Profile[]): boolean {
  const values = remoteValues(user, entry.key)
  if (values.some((value) => standsFor(entry.key, value, entry.value))) return true
  return values.some((value) => respells(value, entry, ours))
}

/** SuprSend may have respelled an address; but a spelling that is itself wanted, or that we sent earlier, is that value. */
function respells(remote: ChannelValue, { key, value }: Entry, ours: readonly Profile[]): boolean {
  if (typeof remote !== 'string' || typeof value !== 'string') return false
  if (likeness(key, remote) !== likeness(key, value)) return false
  return !ours.some((profile) => profile.channels[key]?.some((other) => standsFor(key, remote, other)))
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

/** RemoteUser's lists come from parseRemoteUser, which lets only texts and objects through. */
function remoteValues(user: RemoteUser, key: ChannelKey): readonly ChannelValue[] {
  return (user.channels[key] ?? []).filter(
    (value): value is ChannelValue =>
      typeof value === 'string' || (typeof value === 'object' && value !== null && !Array.isArray(value)),
  )
}
