// The profile as we keep it in state: what a user's row says SuprSend should hold. Owns its shape, its equality (hash)
// and the merge of several parts into one. The wire shapes of POST and PATCH are made in plan.ts.
import { canonical, digest, type Json, type JsonObject } from './json.ts'

export const CHANNEL_KEYS = [
  '$email',
  '$sms',
  '$whatsapp',
  '$inbox',
  '$androidpush',
  '$iospush',
  '$webpush',
  '$slack',
  '$ms_teams',
] as const
export type ChannelKey = (typeof CHANNEL_KEYS)[number]

/** Properties that SuprSend itself understands; on the wire they stand among the custom properties. */
export const RESERVED_PROPERTIES = ['$timezone', '$preferred_language', '$locale'] as const

/**
 * One value of a channel. `$email`, `$sms`, `$whatsapp`, `$inbox`: the string. `$slack`, `$ms_teams`, `$webpush`: the object.
 * Push tokens that name a provider: `{"value": token, "$id_provider": "fcm"}`.
 */
export type ChannelValue = string | JsonObject

export interface Profile {
  /** Without empty lists; values are unique and in the mapping's order. */
  readonly channels: { readonly [key in ChannelKey]?: readonly ChannelValue[] }
  /** `$timezone`, `$preferred_language`, `$locale` and the custom properties; never null at the top level. */
  readonly properties: { readonly [key: string]: Json }
}

/** Why a mapped value was left out of a profile. Never holds the value itself. */
export interface Reason {
  readonly key: string
  /** Stable code: `invalid_email`, `invalid_e164`, … */
  readonly code: string
  /** One sentence for a person, without the value. */
  readonly message: string
}

/** Of one channel. Nobody has as many addresses: beyond it a list is a mistake, and planning and merging it would take minutes. */
export const MAX_VALUES = 1_000

export const EMPTY_PROFILE: Profile = { channels: {}, properties: {} }

export function isChannelKey(key: string): key is ChannelKey {
  return (CHANNEL_KEYS as readonly string[]).includes(key)
}

/** A profile as it is stored: canonical JSON, made once, and its hash. Equal hashes mean that SuprSend would be told the same. */
export interface ProfileDocument {
  readonly text: string
  readonly hash: string
}

export function documentOf(profile: Profile): ProfileDocument {
  const text = canonical(profile as unknown as JsonObject)
  return { text, hash: digest(text) }
}

/** The other way round. */
export function profileOf(document: ProfileDocument): Profile {
  return JSON.parse(document.text) as Profile
}

export function profileHash(profile: Profile): string {
  return documentOf(profile).hash
}
