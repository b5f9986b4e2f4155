// One value of a channel, seen from SuprSend: how it is written in POST and in PATCH, and when two of them are the same
// one. Owns the precedence of Slack's and Teams' fields (SuprSend stores only the winner) and the default providers.
// Leaves to others: which values are sent (plan.ts) and what an answer lacks (compare.ts).
import { canonical, isJsonObject, type Json, type JsonObject } from './json.ts'
import type { ChannelKey, ChannelValue } from './profile.ts'
import { isSecretReference, isTextual } from './secret-reference.ts'

const DEFAULT_PROVIDER: { readonly [key in ChannelKey]?: string } = {
  $androidpush: 'fcm',
  $iospush: 'apns',
  $webpush: 'vapid',
}

interface PushToken {
  readonly token: ChannelValue
  /** null = not known: SuprSend's answer need not name it. */
  readonly provider: string | null
  readonly bundleId: Json
}

/** The value in the array of a POST body, or null where POST has no shape for it (a push token of another provider). */
export function postValue(key: ChannelKey, value: ChannelValue): ChannelValue | null {
  const push = pushToken(key, value)
  if (push === null) return wireShape(key, value)
  const plain = push.bundleId === null && (push.provider === null || push.provider === DEFAULT_PROVIDER[key])
  return plain ? push.token : null
}

/** The object under `$append` or `$remove`. The provider is a sibling, so that an operation never carries two values. */
export function patchValue(key: ChannelKey, value: ChannelValue): JsonObject {
  const provider = DEFAULT_PROVIDER[key]
  if (provider === undefined) return { [key]: wireShape(key, value) }
  const push = pushToken(key, value)
  if (push === null) return { [key]: wireShape(key, value), $id_provider: provider }
  return {
    [key]: push.token,
    $id_provider: push.provider ?? provider,
    ...(push.bundleId === null ? {} : { $bundle_id: push.bundleId }),
  }
}

/** Equal texts = SuprSend is told the same value. */
export function identity(key: ChannelKey, value: ChannelValue): string {
  const push = pushToken(key, value)
  if (push === null) return canonical(storedShape(key, value))
  return canonical([push.token, push.provider ?? DEFAULT_PROVIDER[key] ?? null, push.bundleId])
}

/** Equal texts = one entry in SuprSend, of which it holds a single form: a token is of one app, whatever bundle is named. */
export function entryOf(key: ChannelKey, value: ChannelValue): string {
  const push = pushToken(key, value)
  if (push === null) return identity(key, value)
  return canonical([push.token, push.provider ?? DEFAULT_PROVIDER[key] ?? null])
}

/**
 * Equal texts = SuprSend might take one for the other: spellings of one address, one token under two providers, one
 * Slack member with two access tokens. Removing one of them may remove the other.
 */
export function likeness(key: ChannelKey, value: ChannelValue): string {
  const push = pushToken(key, value)
  if (push !== null) return textOf(push.token)
  if (typeof value === 'string') return value.normalize('NFC').trim().toLowerCase()
  const stored = storedShape(key, value)
  if (typeof stored === 'string') return stored
  if (key === '$webpush') return typeof stored.endpoint === 'string' ? stored.endpoint : canonical(stored)
  const { access_token: _, ...rest } = stored
  return canonical(rest).toLowerCase()
}

/** Does the entry that SuprSend returned stand for this value? Push entries need not name provider or bundle. */
export function standsFor(key: ChannelKey, remote: ChannelValue, value: ChannelValue): boolean {
  const theirs = pushToken(key, remote)
  const ours = pushToken(key, value)
  if (theirs === null || ours === null) return identity(key, remote) === identity(key, value)
  const provider = ours.provider ?? DEFAULT_PROVIDER[key] ?? null
  return textOf(theirs.token) === textOf(ours.token) && (theirs.provider === null || theirs.provider === provider)
}

/** The token of a push channel, whatever provider stands beside it; null: the value is none. */
export function tokenText(key: ChannelKey, value: ChannelValue): string | null {
  const push = pushToken(key, value)
  return push === null ? null : textOf(push.token)
}

/** One entry of SuprSend's user object as a ChannelValue; null when its shape is not known. */
export function remoteValue(value: Json, provider: string | null): ChannelValue | null {
  if (typeof value === 'string') return provider === null ? value : { value, $id_provider: provider }
  return isJsonObject(value) ? value : null
}

function pushToken(key: ChannelKey, value: ChannelValue): PushToken | null {
  if (DEFAULT_PROVIDER[key] === undefined) return null
  if (isTextual(value)) return { token: value, provider: null, bundleId: null }
  const token = value.value
  if (!isTextual(token)) return null
  const provider = value.$id_provider
  return {
    token,
    provider: typeof provider === 'string' && provider !== '' ? provider : null,
    bundleId: value.$bundle_id ?? null,
  }
}

function textOf(token: ChannelValue): string {
  return typeof token === 'string' ? token : canonical(token)
}

/** What is sent. A subscription goes as it came: `$remove` finds only the same object again. */
function wireShape(key: ChannelKey, value: ChannelValue): ChannelValue {
  if (key !== '$webpush' || typeof value === 'string') return storedShape(key, value)
  const { expirationTime, ...rest } = value
  return expirationTime === null ? rest : value
}

/** What SuprSend keeps of a Slack, Teams or web push object; anything else, and any shape not known, as it is. */
function storedShape(key: ChannelKey, value: ChannelValue): ChannelValue {
  if (typeof value === 'string' || isSecretReference(value)) return value
  switch (key) {
    case '$slack':
      return slackShape(value)
    case '$ms_teams':
      return teamsShape(value)
    case '$webpush':
      return webpushShape(value)
    case '$email':
    case '$sms':
    case '$whatsapp':
    case '$inbox':
    case '$androidpush':
    case '$iospush':
      // A text that came with a provider named (`$inbox` of SuprSend's own answers).
      return isTextual(value.value) ? value.value : value
  }
}

function slackShape(value: JsonObject): JsonObject {
  const webhook = webhookShape(value)
  if (webhook !== null) return webhook
  const token = value.access_token === undefined ? {} : { access_token: value.access_token }
  // Some documents say `channel` for `channel_id`, and `email_id` for `email`.
  const channelId = value.channel_id ?? value.channel
  if (isTextual(channelId)) return { channel_id: channelId, ...token }
  if (isTextual(value.user_id)) return { user_id: value.user_id, ...token }
  const email = value.email ?? value.email_id
  if (isTextual(email)) return { email, ...token }
  return value
}

function teamsShape(value: JsonObject): JsonObject {
  const webhook = webhookShape(value)
  if (webhook !== null) return webhook
  for (const field of ['conversation_id', 'user_id']) {
    const winner = value[field]
    if (!isTextual(winner)) continue
    const place = ['tenant_id', 'service_url'].flatMap((name) => {
      const part = value[name]
      return part === undefined ? [] : [[name, part] as const]
    })
    return { ...Object.fromEntries(place), [field]: winner }
  }
  return value
}

function webhookShape(value: JsonObject): JsonObject | null {
  const webhook = value.incoming_webhook
  return isJsonObject(webhook) && isTextual(webhook.url) ? { incoming_webhook: { url: webhook.url } } : null
}

/** The subscription itself: a null `expirationTime` and the `token` that some answers carry are no part of it. */
function webpushShape(value: JsonObject): JsonObject {
  const { endpoint, keys, expirationTime } = value
  if (typeof endpoint !== 'string' || !isJsonObject(keys)) return value
  return { endpoint, ...(expirationTime === undefined || expirationTime === null ? {} : { expirationTime }), keys }
}
