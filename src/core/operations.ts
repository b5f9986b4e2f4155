// The difference between two profiles as PATCH operations, in an order that never depends on chance: removals before
// additions (`$remove`, `$unset`, `$append`, `$set`), keys in a fixed order, one channel value an operation. Removals come
// first because SuprSend may take two spellings for one value: what is desired is then put back after it.
import type { Operation } from './api.ts'
import { identity, likeness, patchValue, postValue } from './channel-value.ts'
import { type Json, type JsonObject, sameJson } from './json.ts'
import { CHANNEL_KEYS, type ChannelKey, type ChannelValue, type Profile } from './profile.ts'

export interface Entry {
  readonly key: ChannelKey
  readonly value: ChannelValue
}

export interface Change {
  readonly remove: readonly Entry[]
  readonly unset: readonly string[]
  readonly append: readonly Entry[]
  readonly set: { readonly [key: string]: Json }
}

/** The smallest change from what SuprSend certainly holds of ours. */
export function minimalChange(from: Profile, to: Profile): Change {
  const held = identities(entriesOf(from))
  const left = leftovers([from], to)
  const removed = likenessesOf(left.remove)
  return {
    ...left,
    append: [...entriesOf(to)].filter((entry) => !held.has(identityOf(entry)) || removed.has(likenessOf(entry))),
    set: Object.fromEntries(
      sortedProperties(to).filter(([key, value]) => {
        const old = property(from, key)
        return old === undefined || !sameJson(old, value)
      }),
    ),
  }
}

/** Everything, said again: right whatever part of `held` SuprSend really holds. */
export function wholeChange(held: readonly Profile[], to: Profile): Change {
  return { ...leftovers(held, to), append: [...entriesOf(to)], set: Object.fromEntries(sortedProperties(to)) }
}

/** What is left to do once a POST of the whole profile was accepted: remove what it cannot, add what it cannot say. */
export function changeAfterPost(held: readonly Profile[], to: Profile): Change {
  const left = leftovers(held, to)
  const removed = likenessesOf(left.remove)
  const append = [...entriesOf(to)].filter(
    (entry) => postValue(entry.key, entry.value) === null || removed.has(likenessOf(entry)),
  )
  return { ...left, append, set: {} }
}

export function operationsOf(change: Change): readonly Operation[] {
  return [
    ...change.remove.map(({ key, value }): Operation => ({ $remove: patchValue(key, value) })),
    ...(change.unset.length === 0 ? [] : [{ $unset: change.unset }]),
    ...change.append.map(({ key, value }): Operation => ({ $append: patchValue(key, value) })),
    ...(Object.keys(change.set).length === 0 ? [] : [{ $set: change.set }]),
  ]
}

/** Half of what a body may have (800 KB, https://docs.suprsend.com). */
const MAX_BODY_BYTES = 400_000

/**
 * The operations in order, in as many requests as they need: what was tried for long may have left more to remove than one body
 * holds. Each operation is of one value, and far smaller.
 */
export function inBodies(operations: readonly Operation[]): readonly (readonly Operation[])[] {
  // A value has 10 KB at most.
  if (operations.length < 40) return operations.length === 0 ? [] : [operations]
  const bodies: Operation[][] = []
  let left = 0
  for (const operation of operations) {
    const bytes = Buffer.byteLength(JSON.stringify(operation)) + 1
    if (bytes > left) {
      bodies.push([])
      left = MAX_BODY_BYTES
    }
    bodies.at(-1)?.push(operation)
    left -= bytes
  }
  return bodies
}

/** The body of POST, as the reference page shows it: channel keys with arrays, properties flat beside them. */
export function postBody(profile: Profile): JsonObject {
  const lists = new Map<ChannelKey, Json[]>()
  for (const { key, value } of entriesOf(profile)) {
    const sent = postValue(key, value)
    if (sent === null) continue
    const list = lists.get(key)
    if (list) list.push(sent)
    else lists.set(key, [sent])
  }
  return { ...Object.fromEntries(lists), ...Object.fromEntries(sortedProperties(profile)) }
}

export function* entriesOf(profile: Profile): Generator<Entry> {
  for (const key of CHANNEL_KEYS) {
    for (const value of profile.channels[key] ?? []) yield { key, value }
  }
}

export function identityOf(entry: Entry): string {
  return `${entry.key} ${identity(entry.key, entry.value)}`
}

/** Equal texts = SuprSend might take one for the other. */
export function likenessOf({ key, value }: Entry): string {
  return `${key} ${likeness(key, value)}`
}

export function likenessesOf(entries: readonly Entry[]): ReadonlySet<string> {
  return new Set(entries.map(likenessOf))
}

/** Own keys only: a property may be called `constructor`. */
export function property(profile: Pick<Profile, 'properties'>, key: string): Json | undefined {
  return Object.hasOwn(profile.properties, key) ? profile.properties[key] : undefined
}

function leftovers(held: readonly Profile[], to: Profile): Pick<Change, 'remove' | 'unset'> {
  const seen = identities(entriesOf(to))
  const remove: Entry[] = []
  const unset = new Set<string>()
  for (const profile of held) {
    for (const entry of entriesOf(profile)) {
      const id = identityOf(entry)
      if (seen.has(id)) continue
      seen.add(id)
      remove.push(entry)
    }
    for (const key of Object.keys(profile.properties)) if (property(to, key) === undefined) unset.add(key)
  }
  const order = (entry: Entry) => CHANNEL_KEYS.indexOf(entry.key)
  return { remove: remove.sort((a, b) => order(a) - order(b)), unset: [...unset].sort() }
}

function identities(entries: Iterable<Entry>): Set<string> {
  return new Set([...entries].map(identityOf))
}

function sortedProperties(profile: Profile): readonly (readonly [string, Json])[] {
  return Object.entries(profile.properties).sort(([a], [b]) => (a < b ? -1 : 1))
}
