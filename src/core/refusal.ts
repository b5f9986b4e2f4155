// What SuprSend refused of one user by naming its key: which of the values that the request carried is meant, and what
// profiles are without it. Guarantees that each refusal finds something new or nothing at all, so that leaving out ends.
// Values are held as they were planned; what the server said is read in server-message.ts and never comes here (P8).
import type { ApiRequest, Failure, RemoteUser } from './api.ts'
import { canonical, isJsonObject, type Json, type JsonObject, sameJson } from './json.ts'
import { type Entry, entriesOf, identityOf, property } from './operations.ts'
import { CHANNEL_KEYS, type ChannelKey, isChannelKey, type Profile } from './profile.ts'
import { remoteValues } from './remote-user.ts'
import { ValueIndex } from './value-index.ts'

export interface Refused {
  readonly entries: readonly Entry[]
  /** Keys of properties. */
  readonly properties: readonly string[]
}

export const NOTHING_REFUSED: Refused = { entries: [], properties: [] }

/** How often one attempt leaves something out and sends the rest; then the whole user is set aside. */
export const MOST_REFUSALS = 8

export function isNothing({ entries, properties }: Refused): boolean {
  return entries.length === 0 && properties.length === 0
}

/** The values that a request carries for this key, in their order. */
export function valuesOf(request: ApiRequest, key: string): readonly Json[] {
  switch (request.kind) {
    case 'get':
    case 'delete':
      return []
    case 'upsert': {
      const value = ownMember(request.body, key)
      if (value === undefined) return []
      return isChannelKey(key) && Array.isArray(value) ? value : [value]
    }
    case 'edit':
      return request.operations.flatMap((operation) =>
        Object.values(operation).flatMap((members: Json) => {
          const value = isJsonObject(members) ? ownMember(members, key) : undefined
          return value === undefined ? [] : [value]
        }),
      )
  }
}

/** A property may be called `constructor`. */
function ownMember(members: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(members, key) ? members[key] : undefined
}

/** Keys of the properties that a request writes. */
export function propertiesOf(request: ApiRequest): readonly string[] {
  switch (request.kind) {
    case 'get':
    case 'delete':
      return []
    case 'upsert':
      return Object.keys(request.body).filter((key) => !isChannelKey(key))
    case 'edit':
      return request.operations.flatMap((operation) => ('$set' in operation ? Object.keys(operation.$set) : []))
  }
}

/** The channel that the operation at this place is about; null: it is about none, or there is no such operation. */
export function keyOfOperation(request: ApiRequest, place: number | null): string | null {
  const operation = request.kind === 'edit' && place !== null ? request.operations[place] : undefined
  if (operation === undefined || '$unset' in operation || '$set' in operation) return null
  return Object.keys('$append' in operation ? operation.$append : operation.$remove).find(isChannelKey) ?? null
}

export interface Complaint {
  /** As it was sent. */
  readonly request: ApiRequest
  readonly key: string
  /** Which of `valuesOf` the answer repeats; empty: none for certain. */
  readonly places: readonly number[]
}

export interface Suspects {
  readonly desired: Profile | null
  readonly synced: Profile | null
  readonly unclear: readonly (Profile | null)[]
  /** The value as a request carries it; undefined: none does. */
  readonly sent: (entry: Entry) => Json | undefined
}

/**
 * What is refused besides `before`; null: nothing that the request carried. Of several values of which none is named, those that
 * are new are blamed first, then the others that are wanted, then what was to be removed.
 */
export function refusedBy({ request, key, places }: Complaint, suspects: Suspects, before: Refused): Refused | null {
  const values = valuesOf(request, key)
  if (values.length === 0) return null
  if (!isChannelKey(key)) {
    return before.properties.includes(key) ? null : { ...before, properties: [...before.properties, key] }
  }
  const named = places.flatMap((place) => values[place] ?? [])
  const carried = carriedEntries(key, named.length > 0 ? named : values, suspects)
  const known = new Set(before.entries.map(identityOf))
  const fresh = carried.filter((entry) => !known.has(identityOf(entry)))
  const wanted = fresh.filter(isIn(suspects.desired))
  const isHeld = isIn(suspects.synced)
  const added = wanted.filter((entry) => !isHeld(entry))
  const blamed = named.length > 0 ? fresh : [added, wanted, fresh].find((some) => some.length > 0)
  if (blamed === undefined || blamed.length === 0) return null
  return { ...before, entries: [...before.entries, ...blamed] }
}

function carriedEntries(key: ChannelKey, values: readonly Json[], suspects: Suspects): readonly Entry[] {
  const found = new Map<string, Entry>()
  // Not each with each: a thousand subscriptions among thousands that are unclear would take minutes.
  const carried = new Set(values.map(canonical))
  for (const profile of [suspects.desired, suspects.synced, ...suspects.unclear]) {
    for (const value of profile?.channels[key] ?? []) {
      const entry = { key, value }
      const sent = suspects.sent(entry)
      if (sent !== undefined && carried.has(canonical(sent))) found.set(identityOf(entry), entry)
    }
  }
  return [...found.values()]
}

export function isIn(profile: Profile | null): (entry: Entry) => boolean {
  const ids = new Set(profile === null ? [] : [...entriesOf(profile)].map(identityOf))
  return (entry) => ids.has(identityOf(entry))
}

/** The same profile where nothing is left out. */
export function withoutRefused<P extends Profile | null>(profile: P, refused: Refused): P | Profile {
  if (profile === null) return profile
  const gone = new Set(refused.entries.map(identityOf))
  const keys = refused.properties.filter((key) => property(profile, key) !== undefined)
  const all = [...entriesOf(profile)]
  const left = all.filter((entry) => !gone.has(identityOf(entry)))
  if (left.length === all.length && keys.length === 0) return profile
  const channels = channelsOf(left)
  const properties = Object.fromEntries(Object.entries(profile.properties).filter(([key]) => !keys.includes(key)))
  return { channels, properties }
}

function channelsOf(entries: readonly Entry[]): Profile['channels'] {
  const lists = Map.groupBy(entries, ({ key }) => key)
  return Object.fromEntries([...lists].map(([key, list]) => [key, list.map(({ value }) => value)]))
}

/** Of a property that SuprSend holds as it is wanted nothing is said; any other value of it is still unset. */
export function unsaid(
  { entries, properties }: Refused,
  { desired, synced }: Pick<Suspects, 'desired' | 'synced'>,
): Refused {
  return { entries, properties: properties.filter((key) => isSameProperty(desired, synced, key)) }
}

function isSameProperty(a: Pick<Profile, 'properties'> | null, b: Pick<Profile, 'properties'> | null, key: string) {
  const [one, other] = [a, b].map((profile) => (profile === null ? undefined : property(profile, key)))
  return one !== undefined && other !== undefined && sameJson(one, other)
}

/** What of it SuprSend holds all the same: as it shows, or where it shows nothing as it had accepted before. */
export function heldAnyway(refused: Refused, { view, desired, synced }: View): Refused {
  const isHeld = view === null ? isIn(synced) : shownIn(view)
  return {
    entries: refused.entries.filter(isHeld),
    properties: refused.properties.filter((key) => isSameProperty(desired, view ?? synced, key)),
  }
}

export interface View extends Pick<Suspects, 'desired' | 'synced'> {
  readonly view: RemoteUser | null
}

/** An answer may list a hundred thousand values: not each is compared with each. */
function shownIn(user: RemoteUser): (entry: Entry) => boolean {
  const indexes = new Map<ChannelKey, ValueIndex>()
  return ({ key, value }) => {
    const index = indexes.get(key) ?? new ValueIndex(key, remoteValues(user, key))
    indexes.set(key, index)
    return index.standingFor(value).length > 0
  }
}

/** The user as if SuprSend did not show the values that it refused. */
export function withoutShown(user: RemoteUser, { entries }: Refused): RemoteUser {
  const channels = CHANNEL_KEYS.flatMap((key) => {
    if (user.channels[key] === undefined) return []
    const refused = new ValueIndex(
      key,
      entries.flatMap((entry) => (entry.key === key ? [entry.value] : [])),
    )
    return [[key, remoteValues(user, key).filter((remote) => !refused.hasWhat(remote))] as const]
  })
  return { ...user, channels: Object.fromEntries(channels) }
}

export function minus(refused: Refused, other: Refused): Refused {
  const ids = new Set(other.entries.map(identityOf))
  return {
    entries: refused.entries.filter((entry) => !ids.has(identityOf(entry))),
    properties: refused.properties.filter((key) => !other.properties.includes(key)),
  }
}

/** What SuprSend holds of ours: `target`, and what it holds although it is wanted no more and cannot be removed. */
export function withHeld(target: Profile | null, held: Refused): Profile | null {
  const isWanted = isIn(target)
  const extra = held.entries.filter((entry) => !isWanted(entry))
  if (extra.length === 0) return target
  const wanted = target === null ? [] : [...entriesOf(target)]
  return { channels: channelsOf([...wanted, ...extra]), properties: target?.properties ?? {} }
}

/** The failure of a user of whom everything else was sent. */
export function failureOfKeys(failure: Failure, { entries, properties }: Refused): Failure {
  const keys = [...new Set([...entries.map(({ key }) => key), ...properties])].sort()
  const about = [keys.length === 1 ? `key ${keys[0]}` : `keys ${keys.join(', ')}`]
  if (failure.status !== null) about.push(`HTTP ${failure.status}`)
  const message = `SuprSend refused a value (${about.join(', ')}); the rest of the profile was sent`
  return { code: failure.code, status: failure.status, key: keys[0] ?? failure.key, message, keys }
}
