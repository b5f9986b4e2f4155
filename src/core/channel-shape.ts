// One mapped value as a channel holds it: checked, and reduced to exactly what SuprSend keeps, so that a second plan is empty.
// Of several ways to reach somebody on Slack or Teams the documented precedence decides. Messages never hold the value (P8);
// a text may be a secret reference, whose text was checked when the configuration was read. Pure.
import { formatEmail } from './formats.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import type { ChannelKey, ChannelValue } from './profile.ts'
import { isSecretReference } from './secret-reference.ts'

export type Checked =
  | { readonly kind: 'value'; readonly value: ChannelValue }
  | { readonly kind: 'invalid'; readonly code: string; readonly message: string }

/** The first is the one that a token without provider has. */
export const PROVIDERS: { readonly [key in ChannelKey]?: readonly [string, ...string[]] } = {
  $androidpush: ['fcm', 'xiaomi', 'oppo'],
  $iospush: ['apns'],
}

/** Of channels whose values are objects: the fields that the mapping may give one by one. */
export const OBJECT_FIELDS: { readonly [key in ChannelKey]?: readonly string[] } = {
  $slack: ['email', 'email_id', 'user_id', 'channel_id', 'channel', 'access_token', 'incoming_webhook'],
  $ms_teams: ['tenant_id', 'service_url', 'conversation_id', 'user_id', 'incoming_webhook'],
  $webpush: ['endpoint', 'keys.p256dh', 'keys.auth', 'expirationTime'],
}

/** Longest token or id; FCM's have 163 characters today, web push endpoints some hundreds. */
const MAX_TOKEN = 4_096
const MAX_URL = 2_048

export function checkChannelValue(key: ChannelKey, value: Json): Checked {
  switch (key) {
    case '$email':
    case '$sms':
    case '$whatsapp': {
      const text = typeof value === 'number' ? String(value) : value
      return typeof text === 'string' ? { kind: 'value', value: text } : NOT_AN_ADDRESS
    }
    case '$inbox':
    case '$androidpush':
    case '$iospush':
      return checkToken(key, value)
    case '$slack':
      return isJsonObject(value) ? checkSlack(value) : invalid(key, NOT_AN_OBJECT)
    case '$ms_teams':
      return isJsonObject(value) ? checkTeams(value) : invalid(key, NOT_AN_OBJECT)
    case '$webpush':
      return isJsonObject(value) ? checkSubscription(value) : invalid(key, NOT_AN_OBJECT)
  }
}

const NOT_AN_OBJECT = 'expected an object'
const NOT_AN_ADDRESS: Checked = {
  kind: 'invalid',
  code: 'invalid_value',
  message: 'the value is an object or a boolean where a text was expected',
}

function invalid(key: ChannelKey, message: string): Checked {
  return { kind: 'invalid', code: `invalid_${key.slice(1)}`, message }
}

function checkToken(key: ChannelKey, value: Json): Checked {
  if (isSecretReference(value)) return { kind: 'value', value }
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : null
  if (text === null) return NOT_AN_ADDRESS
  if (text === '' || /\s/.test(text)) return invalid(key, 'empty, or with blanks in it')
  return text.length > MAX_TOKEN ? invalid(key, `longer than ${MAX_TOKEN} characters`) : { kind: 'value', value: text }
}

/** https://docs.suprsend.com/docs/slack : webhook, then channel, then member, then e-mail. */
function checkSlack(value: JsonObject): Checked {
  const webhook = webhookOf(value)
  if (webhook !== undefined) return webhookValue('$slack', webhook)
  const channel = field(value, 'channel_id') ?? field(value, 'channel')
  const user = field(value, 'user_id')
  const email = field(value, 'email') ?? field(value, 'email_id')
  const token = field(value, 'access_token')
  if (channel === null && user === null && email === null)
    return invalid('$slack', 'needs one of email, user_id, channel_id and incoming_webhook')
  if (!fits(token, /^xoxb-\S+$/)) return invalid('$slack', 'needs access_token, a bot token that begins with xoxb-')
  const access = { access_token: token }
  if (channel !== null) {
    if (!fits(channel, /^[cC][a-zA-Z0-9]+$/)) return invalid('$slack', 'channel_id is no channel such as C0123456789')
    return { kind: 'value', value: { channel_id: channel, ...access } }
  }
  if (user !== null) {
    if (!fits(user, /^[UW][a-zA-Z0-9]+$/)) return invalid('$slack', 'user_id is no member such as U0123456789')
    return { kind: 'value', value: { user_id: user, ...access } }
  }
  if (!isSecretReference(email) && (typeof email !== 'string' || formatEmail(email).kind === 'invalid'))
    return invalid('$slack', 'email is no e-mail address')
  return { kind: 'value', value: { email, ...access } }
}

/** Webhook, then conversation, then user. */
function checkTeams(value: JsonObject): Checked {
  const webhook = webhookOf(value)
  if (webhook !== undefined) return webhookValue('$ms_teams', webhook)
  const conversation = field(value, 'conversation_id')
  const user = field(value, 'user_id')
  if (conversation === null && user === null)
    return invalid('$ms_teams', 'needs one of conversation_id, user_id and incoming_webhook')
  const tenant = field(value, 'tenant_id')
  const service = field(value, 'service_url')
  if (!fits(tenant, /^\S+$/)) return invalid('$ms_teams', 'needs tenant_id')
  if (!fits(service, /^https:\/\/smba\.trafficmanager\.net(?:\/\S*)?$/))
    return invalid('$ms_teams', 'needs service_url, which begins with https://smba.trafficmanager.net/')
  const who = conversation === null ? { user_id: user } : { conversation_id: conversation }
  if (!fits(conversation ?? user, /^\S+$/)) return invalid('$ms_teams', 'an id has blanks in it')
  return { kind: 'value', value: { tenant_id: tenant, service_url: service, ...who } }
}

/** https://developer.mozilla.org/docs/Web/API/PushSubscription/toJSON */
function checkSubscription(value: JsonObject): Checked {
  const endpoint = field(value, 'endpoint')
  const keys = isJsonObject(value.keys) ? value.keys : {}
  const [p256dh, auth] = [field(keys, 'p256dh'), field(keys, 'auth')]
  if (!fits(endpoint, /^https?:\/\/\S+$/)) return invalid('$webpush', 'endpoint is no URL')
  if (!fits(p256dh, /^\S+$/) || !fits(auth, /^\S+$/)) return invalid('$webpush', 'needs keys.p256dh and keys.auth')
  const expiration = value.expirationTime ?? null
  if (expiration !== null && typeof expiration !== 'number') return invalid('$webpush', 'expirationTime is no number')
  const until = expiration === null ? {} : { expirationTime: expiration }
  return { kind: 'value', value: { endpoint, ...until, keys: { p256dh, auth } } }
}

/** Undefined: there is none. */
function webhookOf(value: JsonObject): Json | undefined {
  const webhook = value.incoming_webhook ?? null
  if (webhook === null) return undefined
  return isJsonObject(webhook) && !isSecretReference(webhook) ? field(webhook, 'url') : webhook
}

function webhookValue(key: ChannelKey, url: Json): Checked {
  const text = typeof url === 'string' ? url.trim() : url
  if (!fits(text, /^https:\/\/[^\s/]+\/\S+$/, MAX_URL)) return invalid(key, 'incoming_webhook.url is no https URL')
  return { kind: 'value', value: { incoming_webhook: { url: text } } }
}

function field(value: JsonObject, name: string): Json {
  const found = Object.hasOwn(value, name) ? (value[name] ?? null) : null
  const text = typeof found === 'string' ? found.trim() : found
  return text === '' ? null : text
}

function fits(value: Json, pattern: RegExp, most = MAX_TOKEN): boolean {
  return isSecretReference(value) || (typeof value === 'string' && value.length <= most && pattern.test(value))
}
