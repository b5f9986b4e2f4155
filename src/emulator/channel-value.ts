// One channel value as the API takes it: checks its shape and reduces it to what the API keeps. Messages are the ones
// the API is known to give (they quote the value, as it does). Pure.
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { ChannelKey } from '../core/profile.ts'
import { isE164 } from './phone-number.ts'

export type Checked = { readonly kind: 'ok'; readonly value: string | JsonObject } | Rejected
export interface Rejected {
  readonly kind: 'rejected'
  readonly message: string
}

const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/

export function checkChannelValue(key: ChannelKey, value: Json): Checked {
  const typed = checkValueType(key, value)
  if (typed.kind === 'rejected') return typed
  const message =
    typeof typed.value === 'string' ? stringProblem(key, typed.value) : objectProblem(key, typed.value, value)
  return message === null ? typed : reject(message)
}

/** The type alone, and the value as it is stored: what `$remove` needs to find it again. */
export function checkValueType(key: ChannelKey, value: Json): Checked {
  if (key === '$slack' || key === '$ms_teams' || key === '$webpush') {
    if (!isJsonObject(value)) return reject(`${key}: value must be of dict/map type`)
    return { kind: 'ok', value: storedObject(key, value) }
  }
  return typeof value === 'string' ? { kind: 'ok', value } : reject(`${key}: value must be of string type`)
}

function stringProblem(key: ChannelKey, value: string): string | null {
  switch (key) {
    case '$email':
      if (value.length < 6 || value.length > 320) return 'invalid email address. must be 6 <= len(email) <= 320'
      return EMAIL.test(value)
        ? null
        : `invalid value for channel 'email': ${value}. error: value in email format required`
    case '$sms':
    case '$whatsapp':
      if (isE164(value)) return null
      return `invalid value for channel '${key.slice(1)}': ${value}. error: error while parsing number to E164 format`
    case '$inbox':
    case '$androidpush':
    case '$iospush':
      return value.trim() === '' ? `invalid value for channel '${key.slice(1)}': ${value}. error: invalid value` : null
    case '$slack':
    case '$ms_teams':
    case '$webpush':
      return `${key}: value must be of dict/map type`
  }
}

function objectProblem(key: ChannelKey, stored: JsonObject, given: Json): string | null {
  switch (key) {
    case '$slack':
      return isSlack(stored) ? null : `invalid value for channel 'slack': ${goMap(given)}. error: invalid value`
    case '$ms_teams':
      return isTeams(stored)
        ? null
        : `invalid value for channel 'ms_teams'. error: invalid value: ${JSON.stringify(given)}`
    case '$webpush':
      return isWebpush(stored) ? null : `invalid webpush subscription: ${JSON.stringify(given)}`
    case '$email':
    case '$sms':
    case '$whatsapp':
    case '$inbox':
    case '$androidpush':
    case '$iospush':
      return `${key}: value must be of string type`
  }
}

// Of several identities given at once the API keeps the strongest alone: webhook, then channel or conversation, then
// user, then e-mail. Slack by `email_id` is the older name of `email`.
function storedObject(key: ChannelKey, value: JsonObject): JsonObject {
  if (key === '$webpush') return value
  if (isJsonObject(value.incoming_webhook)) return { incoming_webhook: { url: value.incoming_webhook.url ?? null } }
  if (key === '$slack') {
    const token = value.access_token ?? null
    if (value.channel_id !== undefined) return { channel_id: value.channel_id, access_token: token }
    if (value.user_id !== undefined) return { user_id: value.user_id, access_token: token }
    return { email: value.email ?? value.email_id ?? null, access_token: token }
  }
  const place = { tenant_id: value.tenant_id ?? null, service_url: value.service_url ?? null }
  if (value.conversation_id !== undefined) return { ...place, conversation_id: value.conversation_id }
  return { ...place, user_id: value.user_id ?? null }
}

function isSlack(value: JsonObject): boolean {
  if (value.incoming_webhook !== undefined) return isWebhook(value.incoming_webhook)
  if (!matches(value.access_token, /^xoxb-\S+$/)) return false
  if (value.channel_id !== undefined) return matches(value.channel_id, /^[cC][a-zA-Z0-9]+$/)
  if (value.user_id !== undefined) return matches(value.user_id, /^[UW][a-zA-Z0-9]+$/)
  return matches(value.email, EMAIL)
}

function isTeams(value: JsonObject): boolean {
  if (value.incoming_webhook !== undefined) return isWebhook(value.incoming_webhook)
  return (
    matches(value.tenant_id, /^\S+$/) &&
    matches(value.service_url, /^https:\/\/smba\.trafficmanager\.net(?:\/\S*)?$/) &&
    matches(value.conversation_id ?? value.user_id, /^\S+$/)
  )
}

function isWebhook(value: Json): boolean {
  return isJsonObject(value) && matches(value.url, /^https:\/\/[^\s/]+\/\S+$/)
}

function isWebpush(value: JsonObject): boolean {
  const { keys } = value
  return matches(value.endpoint, /\S/) && isJsonObject(keys) && matches(keys.p256dh, /\S/) && matches(keys.auth, /\S/)
}

function matches(value: Json | undefined, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value)
}

function reject(message: string): Rejected {
  return { kind: 'rejected', message }
}

// How the API's server, written in Go, prints a map: `map[access_token:xoxb-1 channel:C1]`.
function goMap(value: Json): string {
  if (!isJsonObject(value)) return Array.isArray(value) ? `[${value.map(goMap).join(' ')}]` : String(value)
  const members = Object.keys(value).sort()
  return `map[${members.map((key) => `${key}:${goMap(value[key] ?? null)}`).join(' ')}]`
}
