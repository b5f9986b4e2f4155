// What a person may see of a request that would be sent (P8): of a value its kind and its length, with as much of an address as
// tells whose kind it is, never the value, unless it was asked for. References to secrets stay references, always. Pure
// display: nothing here is ever sent.
import type { ApiRequest, Operation } from './api.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { isChannelKey } from './profile.ts'
import { referenceName } from './secret-reference.ts'

/** `clear`: as it is, but for secrets. */
export type Masking = 'masked' | 'clear'

export interface ShownRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly body: JsonObject | null
}

export function showRequest(request: ApiRequest, masking: Masking): ShownRequest {
  switch (request.kind) {
    case 'upsert':
      return { method: 'POST', body: showMembers(request.body, masking) }
    case 'edit':
      return { method: 'PATCH', body: { operations: request.operations.map((each) => showOperation(each, masking)) } }
    case 'delete':
      return { method: 'DELETE', body: null }
    case 'get':
      return { method: 'GET', body: null }
  }
}

function showOperation(operation: Operation, masking: Masking): JsonObject {
  if ('$append' in operation) return { $append: showMembers(operation.$append, masking) }
  if ('$remove' in operation) return { $remove: showMembers(operation.$remove, masking) }
  if ('$set' in operation) return { $set: showMembers(operation.$set, masking) }
  return { $unset: operation.$unset.map((name) => showName(name, masking)) }
}

/** Channels, properties, and what stands beside a push token. */
function showMembers(members: JsonObject, masking: Masking): JsonObject {
  const shown = new Map<string, Json>()
  for (const [key, value] of Object.entries(members)) {
    const name = showName(key, masking)
    let free = name
    for (let more = 2; shown.has(free); more += 1) free = `${name} ${more}`
    shown.set(free, isChannelKey(key) ? showChannel(value, masking) : showMember(key, value, masking))
  }
  return Object.fromEntries(shown)
}

/**
 * Keys are the mapping's or the API's own, but for the members of a whole object (`properties`), which are the row's: an application
 * may have named them by addresses.
 */
export function showName(name: string, masking: Masking): string {
  return masking === 'masked' && /@|\d{6}/.test(name) ? maskText(name) : name
}

function showMember(key: string, value: Json, masking: Masking): Json {
  return key === '$id_provider' && isProvider(value) ? value : maskValue(value, masking)
}

/** A value of a channel, or the list of them that POST takes. */
function showChannel(value: Json, masking: Masking): Json {
  if (Array.isArray(value)) return value.map((each: Json) => maskChannelValue(each, masking))
  return maskChannelValue(value, masking)
}

/** `a…@e….com (17)`, `+44…23 (13)`, `text(12)`; of an object each field, the names of unknown fields left out. */
export function maskChannelValue(value: Json, masking: Masking): Json {
  if (masking === 'clear' || !isJsonObject(value) || referenceName(value) !== null) return maskValue(value, masking)
  const known = Object.entries(value).filter(([key]) => FIELDS.has(key))
  const shown = known.map(([key, field]) => [
    key,
    key === '$id_provider' && isProvider(field) ? field : maskChannelValue(field, masking),
  ])
  const others = Object.keys(value).length - known.length
  return { ...Object.fromEntries(shown), ...(others === 0 ? {} : { '…': `fields(${others})` }) }
}

/** A property's value, or one within it. */
export function maskValue(value: Json, masking: Masking): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') {
    return masking === 'clear' ? value : value === null ? 'null' : typeof value
  }
  if (typeof value === 'string') return masking === 'clear' ? value : maskText(value)
  if (!isJsonObject(value)) {
    return masking === 'clear' ? value.map((each) => maskValue(each, masking)) : `list(${value.length})`
  }
  const name = referenceName(value)
  if (name !== null) return `\${${name}}`
  if (masking === 'masked') return `object(${Object.keys(value).length})`
  // A token that somebody else put there may be in what is to be removed: it is shown to nobody.
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, maskValue(each, key === 'access_token' ? 'masked' : masking)]),
  )
}

/** Field names of the API's own objects (Slack, Teams, web push, tokens with a provider). Others may be somebody's data. */
const FIELDS: ReadonlySet<string> = new Set([
  ...['email', 'email_id', 'user_id', 'channel_id', 'channel', 'access_token', 'incoming_webhook', 'url'],
  ...['tenant_id', 'service_url', 'conversation_id'],
  ...['endpoint', 'expirationTime', 'keys', 'p256dh', 'auth'],
  ...['value', '$id_provider', '$bundle_id'],
])

const PROVIDERS: readonly Json[] = ['fcm', 'xiaomi', 'oppo', 'apns', 'vapid', 'suprsend']

function isProvider(value: Json): boolean {
  return PROVIDERS.includes(value)
}

/** Two letters of an address would be half of a short one: then none is shown. */
const ADDRESS = /^([^@\s]+)@([^@\s]+)\.([a-z]{2,4})$/i
const NUMBER = /^\+\d{9,15}$/

function maskText(text: string): string {
  const [, local, domain, end] = ADDRESS.exec(text) ?? []
  if (local !== undefined && domain !== undefined && end !== undefined) {
    return `${firstOf(local)}…@${firstOf(domain)}….${end} (${text.length})`
  }
  if (NUMBER.test(text)) return `${text.slice(0, 3)}…${text.slice(-2)} (${text.length})`
  return `text(${text.length})`
}

/** One letter of two would be half of it. */
function firstOf(text: string): string {
  return text.length < 3 ? '' : (text.at(0) ?? '')
}
