// Reads the user object that GET, POST and PATCH return (DESIGN §7.5). Tolerant: only what is surely a user counts, all
// else is null, so that an odd answer is never taken for a user who lacks everything. Inactive entries are absent, and
// `$inbox` entries that SuprSend made itself are nobody's.
import type { RemoteUser } from './api.ts'
import { remoteValue } from './channel-value.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { CHANNEL_KEYS, type ChannelKey, type ChannelValue } from './profile.ts'

export function parseRemoteUser(body: Json): RemoteUser | null {
  if (!isJsonObject(body) || typeof body.distinct_id !== 'string' || !isJsonObject(body.properties)) return null
  const channels: { [key in ChannelKey]?: readonly ChannelValue[] } = {}
  for (const key of CHANNEL_KEYS) {
    const list = body[key]
    if (list === undefined || list === null) continue
    if (!Array.isArray(list)) return null
    const values: ChannelValue[] = []
    for (const entry of list) {
      const read = readEntry(entry)
      if (read === null) return null
      if (read.kind === 'value') values.push(read.value)
    }
    channels[key] = values
  }
  return { channels, properties: body.properties }
}

type Read = { readonly kind: 'value'; readonly value: ChannelValue } | { readonly kind: 'absent' } | null

function readEntry(entry: Json): Read {
  if (typeof entry === 'string') return { kind: 'value', value: entry }
  if (!isJsonObject(entry)) return null
  const provider = typeof entry.id_provider === 'string' && entry.id_provider !== '' ? entry.id_provider : null
  if (entry.status === 'inactive' || provider === 'suprsend') return { kind: 'absent' }
  const value = remoteValue(entryValue(entry), provider)
  return value === null ? null : { kind: 'value', value }
}

/** Newer answers keep objects in `value_json`, with a text form or nothing in `value`. */
function entryValue(entry: JsonObject): Json {
  const json = entry.value_json
  return isJsonObject(json) && Object.keys(json).length > 0 ? json : (entry.value ?? null)
}

/** The lists come from parseRemoteUser, which lets only texts and objects through. */
export function remoteValues(user: RemoteUser, key: ChannelKey): readonly ChannelValue[] {
  return (user.channels[key] ?? []).filter(
    (value): value is ChannelValue =>
      typeof value === 'string' || (typeof value === 'object' && value !== null && !Array.isArray(value)),
  )
}
