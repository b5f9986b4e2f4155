// What an accepted POST or PATCH makes of a user. Pure: the old user is left as it was, so a history can keep it. The
// body has passed validation.ts. Owns both readings of POST, the order of operators and what removal means.
import { isJsonObject, type Json, type JsonObject, sameJson } from '../core/json.ts'
import { CHANNEL_KEYS, type ChannelKey, isChannelKey } from '../core/profile.ts'
import { checkValueType } from './channel-value.ts'
import { type ChannelEntry, DEFAULT_PROVIDER, isPlatformEntry, type StoredUser, sameIdentity } from './stored-user.ts'

/** What POST does with values a user already has; documented nowhere, described both ways (DESIGN §7.5). */
export type PostReading = 'append' | 'replace'

/** `replace`: what is not in the body goes inactive, properties are replaced. `append`: values are added, keys are set. */
export function upserted(user: StoredUser, body: JsonObject, reading: PostReading): StoredUser {
  const base = reading === 'replace' ? emptied(user) : user
  // One copy for all keys: this is every request of a first load.
  const channels: { [key in ChannelKey]?: readonly ChannelEntry[] } = { ...base.channels }
  const properties: [string, Json][] = []
  for (const [key, value] of Object.entries(body)) {
    if (isChannelKey(key)) {
      const values: readonly Json[] = Array.isArray(value) ? value : [value]
      for (const item of values) channels[key] = withAdded(channels[key] ?? [], entryOf(key, item, {}))
    } else {
      properties.push([key, value])
    }
  }
  return withProperties({ ...base, channels }, properties)
}

function emptied(user: StoredUser): StoredUser {
  return { ...CHANNEL_KEYS.reduce(withoutChannel, user), properties: {} }
}

/**
 * Operations in their order. Within one of them the operators run in the order most likely to expose a caller who relies
 * on another: the server's maps have none.
 */
export function edited(user: StoredUser, operations: readonly JsonObject[]): StoredUser {
  return operations.reduce(applyOperation, user)
}

function applyOperation(user: StoredUser, operation: JsonObject): StoredUser {
  let next = withProperties(user, membersOf(operation.$set))
  next = withProperties(
    next,
    membersOf(operation.$set_once).filter(([key]) => !Object.hasOwn(next.properties, key)),
  )
  for (const [key, by] of [...membersOf(operation.$add), ...membersOf(operation.$increment)]) {
    next = withProperties(next, [[key, numberIn(next, key) + (typeof by === 'number' ? by : 0)]])
  }
  next = applyMembers(next, operation.$append, withEntry, appended)
  next = applyMembers(next, operation.$remove, withoutEntry, removed)
  for (const key of Array.isArray(operation.$unset) ? operation.$unset : []) {
    next = isChannelKey(key) ? withoutChannel(next, key) : withoutProperty(next, key)
  }
  return next
}

/** The members of `$append` or `$remove`: channel values with their siblings, or items of list properties. */
function applyMembers(
  user: StoredUser,
  operand: Json | undefined,
  onEntry: (user: StoredUser, key: ChannelKey, entry: ChannelEntry) => StoredUser,
  onList: (list: Json | undefined, item: Json) => Json | undefined,
): StoredUser {
  const members = isJsonObject(operand) ? operand : {}
  let next = user
  for (const [key, value] of Object.entries(members)) {
    if (isChannelKey(key)) {
      next = onEntry(next, key, entryOf(key, value, members))
    } else if (!key.startsWith('$')) {
      const list = onList(Object.hasOwn(next.properties, key) ? next.properties[key] : undefined, value)
      if (list !== undefined) next = withProperties(next, [[key, list]])
    }
  }
  return next
}

function entryOf(key: ChannelKey, value: Json, siblings: JsonObject): ChannelEntry {
  const checked = checkValueType(key, value)
  // Validation has let only well-typed values through; anything else is a mistake of ours.
  if (checked.kind === 'rejected') throw new TypeError(checked.message)
  const push = DEFAULT_PROVIDER[key]
  return {
    value: checked.value,
    idProvider: push === undefined ? null : (text(siblings.$id_provider) ?? text(siblings.$pushvendor) ?? push),
    deviceId: push === undefined ? null : text(siblings.$device_id),
    bundleId: push === undefined ? null : text(siblings.$bundle_id),
    active: true,
  }
}

function withEntry(user: StoredUser, key: ChannelKey, entry: ChannelEntry): StoredUser {
  return withChannel(user, key, withAdded(user.channels[key] ?? [], entry))
}

function withAdded(entries: readonly ChannelEntry[], entry: ChannelEntry): readonly ChannelEntry[] {
  const at = entries.findIndex((other) => sameIdentity(other, entry))
  return at === -1 ? [...entries, entry] : entries.with(at, entry)
}

function withoutEntry(user: StoredUser, key: ChannelKey, entry: ChannelEntry): StoredUser {
  const entries = user.channels[key]
  if (entries === undefined) return user
  return withChannel(
    user,
    key,
    entries.map((other) => (sameIdentity(other, entry) ? { ...other, active: false } : other)),
  )
}

function withoutChannel(user: StoredUser, key: ChannelKey): StoredUser {
  const entries = user.channels[key]
  if (entries === undefined) return user
  return withChannel(
    user,
    key,
    entries.map((entry) => (isPlatformEntry(entry) ? entry : { ...entry, active: false })),
  )
}

function withChannel(user: StoredUser, key: ChannelKey, entries: readonly ChannelEntry[]): StoredUser {
  return { ...user, channels: { ...user.channels, [key]: entries } }
}

// fromEntries and not assignment: a property may be called `__proto__`.
function withProperties(user: StoredUser, members: readonly (readonly [string, Json])[]): StoredUser {
  if (members.length === 0) return user
  return { ...user, properties: { ...user.properties, ...Object.fromEntries(members) } }
}

function withoutProperty(user: StoredUser, key: Json): StoredUser {
  return { ...user, properties: Object.fromEntries(Object.entries(user.properties).filter(([name]) => name !== key)) }
}

function appended(list: Json | undefined, item: Json): Json {
  const items: readonly Json[] = Array.isArray(item) ? item : [item]
  if (list === undefined) return items
  return Array.isArray(list) ? [...list, ...items] : [list, ...items]
}

function removed(list: Json | undefined, item: Json): Json | undefined {
  const items: readonly Json[] = Array.isArray(item) ? item : [item]
  return Array.isArray(list) ? list.filter((kept: Json) => !items.some((gone) => sameJson(gone, kept))) : undefined
}

function membersOf(operand: Json | undefined): [string, Json][] {
  return isJsonObject(operand) ? Object.entries(operand) : []
}

function numberIn(user: StoredUser, key: string): number {
  const value = Object.hasOwn(user.properties, key) ? user.properties[key] : undefined
  return typeof value === 'number' ? value : 0
}

function text(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null
}
