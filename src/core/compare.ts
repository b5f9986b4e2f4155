// Compares SuprSend's own view of a user, as its answers carry it, with what we own of that user, and says how to mend the
// difference (DESIGN §7.5). Guarantees: values that others added are left alone (P4), and spellings that SuprSend changes
// by itself (case of an address, `_` for `-` in a locale, fields it drops) are no difference.
import type { Operation, RemoteUser } from './api.ts'
import { likeness, standsFor } from './channel-value.ts'
import { type Json, sameJson } from './json.ts'
import { type Entry, entriesOf, identityOf, operationsOf, property, resembles } from './operations.ts'
import { type ChannelKey, type ChannelValue, EMPTY_PROFILE, type Profile } from './profile.ts'

const LANGUAGE_KEYS: readonly string[] = ['$locale', '$preferred_language']

/**
 * The one PATCH that makes `user` hold of ours exactly `target`; empty = it does already.
 * `owned`: every profile of which SuprSend may have kept something (synced and unclear ones); null = a DELETE.
 */
export function repairPlan(
  user: RemoteUser,
  target: Profile | null,
  owned: readonly (Profile | null)[],
): readonly Operation[] {
  const wanted = target ?? EMPTY_PROFILE
  const formers = owned.filter((profile) => profile !== null)
  const remove = staleEntries(user, wanted, formers)
  const append = [...entriesOf(wanted)].filter((entry) => resembles(entry, remove) || !holds(user, entry, formers))
  return operationsOf({
    remove,
    unset: staleProperties(user, wanted, formers),
    append,
    set: Object.fromEntries(
      Object.entries(wanted.properties).filter(([key, value]) => !holdsProperty(user, key, value)),
    ),
  })
}

function staleEntries(user: RemoteUser, wanted: Profile, formers: readonly Profile[]): readonly Entry[] {
  const seen = new Set([...entriesOf(wanted)].map(identityOf))
  const stale: Entry[] = []
  for (const entry of formers.flatMap((former) => [...entriesOf(former)])) {
    const id = identityOf(entry)
    if (seen.has(id)) continue
    seen.add(id)
    const remote = remoteValues(user, entry.key).filter((value) => standsFor(entry.key, value, entry.value))
    const mine = wanted.channels[entry.key] ?? []
    // An entry that stands for a wanted value as well (a push token whose provider is not told) is no leftover.
    if (remote.some((value) => !mine.some((want) => standsFor(entry.key, value, want)))) stale.push(entry)
  }
  return stale
}

function staleProperties(user: RemoteUser, wanted: Profile, formers: readonly Profile[]): readonly string[] {
  const keys = new Set(formers.flatMap((former) => Object.keys(former.properties)))
  return [...keys].filter((key) => property(wanted, key) === undefined && property(user, key) !== undefined).sort()
}

function holds(user: RemoteUser, entry: Entry, formers: readonly Profile[]): boolean {
  const values = remoteValues(user, entry.key)
  if (values.some((value) => standsFor(entry.key, value, entry.value))) return true
  if (typeof entry.value !== 'string') return false
  // SuprSend may have respelled an address; but a spelling that we sent earlier ourselves is the old value, not this one.
  const mine = likeness(entry.key, entry.value)
  const old = formers.flatMap((former) => former.channels[entry.key] ?? [])
  return values.some(
    (value) =>
      typeof value === 'string' &&
      likeness(entry.key, value) === mine &&
      !old.some((former) => standsFor(entry.key, value, former)),
  )
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
