// One user as the emulator keeps it: an immutable value with its channel entries, active and inactive. Owns how an
// entry is found again, the user object of the API's answers, and the comparable form that tests put beside a mapped
// row. What may be stored is decided in validation.ts, what changes it in user-edit.ts.
import type { RemoteUser } from '../core/api.ts'
import { isJsonObject, type Json, type JsonObject, sameJson } from '../core/json.ts'
import { CHANNEL_KEYS, type ChannelKey } from '../core/profile.ts'

export interface ChannelEntry {
  readonly value: string | JsonObject
  /** `fcm`, `apns`, `vapid`, …; `suprsend` for the inbox that the platform itself gives every user; null elsewhere. */
  readonly idProvider: string | null
  readonly deviceId: string | null
  readonly bundleId: string | null
  /** A removed value stays in the list as inactive. */
  readonly active: boolean
}

export interface StoredUser {
  readonly distinctId: string
  /** Order of creation over all users; a user that is deleted and created again gets a new one. */
  readonly sequence: number
  /** RFC 3339, as in the answers. */
  readonly createdAt: string
  readonly updatedAt: string
  readonly properties: JsonObject
  readonly channels: { readonly [key in ChannelKey]?: readonly ChannelEntry[] }
}

export interface Instant {
  /** A `timestamp`. */
  readonly now: string
  /** Given to a user that is created; larger than every one before. */
  readonly sequence: number
}

const PLATFORM_PROVIDER = 'suprsend'

export const DEFAULT_PROVIDER: { readonly [key in ChannelKey]?: string } = {
  $androidpush: 'fcm',
  $iospush: 'apns',
  $webpush: 'vapid',
}

export function newUser(distinctId: string, { sequence, now }: Instant): StoredUser {
  const inbox = {
    value: `inbox-of-user-${sequence}`,
    idProvider: PLATFORM_PROVIDER,
    deviceId: null,
    bundleId: null,
    active: true,
  }
  return {
    distinctId,
    sequence,
    createdAt: now,
    updatedAt: now,
    properties: {},
    channels: { $inbox: [inbox] },
  }
}

/** The platform's own entries are not the caller's to change. */
export function isPlatformEntry(entry: ChannelEntry): boolean {
  return entry.idProvider === PLATFORM_PROVIDER
}

export function sameIdentity(a: ChannelEntry, b: ChannelEntry): boolean {
  if (a.idProvider !== b.idProvider) return false
  if (typeof a.value === 'string' || typeof b.value === 'string') return a.value === b.value
  return sameJson(a.value, b.value)
}

/** The user object of GET, POST and PATCH answers, in the shape of the API page. */
export function userObject(user: StoredUser): JsonObject {
  const channels: Record<string, Json> = {}
  for (const key of CHANNEL_KEYS) {
    const entries = user.channels[key]
    if (entries !== undefined) channels[key] = entries.map(entryObject)
  }
  return { ...userSummary(user), ...channels }
}

/** The shape of one result of the list: without channels. */
export function userSummary(user: StoredUser): JsonObject {
  return {
    distinct_id: user.distinctId,
    properties: user.properties,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
  }
}

function entryObject(entry: ChannelEntry): JsonObject {
  return {
    value: typeof entry.value === 'string' ? entry.value : wireValue(entry.value),
    ...(entry.idProvider === null ? {} : { id_provider: entry.idProvider }),
    ...(entry.deviceId === null ? {} : { device_id: entry.deviceId }),
    status: entry.active ? 'active' : 'inactive',
    perma_status: 'active',
  }
}

// Slack's e-mail is sent as `email` and shown as `email_id` in every documented answer: a client must treat both as one.
function wireValue(value: JsonObject): JsonObject {
  if (!('email' in value)) return value
  const { email, ...rest } = value
  return { email_id: email ?? null, ...rest }
}

/** RFC 3339 with microseconds and a numeric offset, as in the API's examples. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000+00:00')
}

/**
 * What a mapped row can be compared with: active values only, in their order, without the platform's own inbox; a push
 * token of its default provider as the bare token, else as `{value, $id_provider, $bundle_id}`.
 */
export function comparable(user: StoredUser): RemoteUser {
  const channels: Record<string, readonly Json[]> = {}
  for (const key of CHANNEL_KEYS) {
    const values = (user.channels[key] ?? [])
      .filter((entry) => entry.active && !isPlatformEntry(entry))
      .map((entry) => comparableValue(key, entry))
    if (values.length > 0) channels[key] = values
  }
  return { channels, properties: user.properties }
}

function comparableValue(key: ChannelKey, entry: ChannelEntry): Json {
  if (isJsonObject(entry.value)) return entry.value
  const provider = entry.idProvider === (DEFAULT_PROVIDER[key] ?? null) ? null : entry.idProvider
  if (provider === null && entry.bundleId === null) return entry.value
  return {
    value: entry.value,
    ...(provider === null ? {} : { $id_provider: provider }),
    ...(entry.bundleId === null ? {} : { $bundle_id: entry.bundleId }),
  }
}
