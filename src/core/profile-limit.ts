// The size of a whole profile (https://docs.suprsend.com: 10 KB for one event; for POST and PATCH nothing is documented, and
// less is safe). What does not fit is left out with a reason: the largest custom properties first, then the last values of
// the channel that takes most, for a profile of which nothing arrives helps nobody. The same profile always loses the same.

import type { Json } from './json.ts'
import { isLargerThan } from './json-text.ts'
import { CHANNEL_KEYS, type ChannelKey, type ChannelValue, type Profile, type Reason } from './profile.ts'

export const MAX_PROFILE_BYTES = 10 * 1024

export interface Fitted {
  readonly profile: Profile
  readonly reasons: readonly Reason[]
}

export function fitProfile(profile: Profile): Fitted {
  if (!mayBeTooLarge(profile) || !isLargerThan(asJson(profile), MAX_PROFILE_BYTES)) return { profile, reasons: [] }
  // By key: a document of a user's own making may have a hundred thousand members.
  const reasons = new Map<string, Reason>()
  const leaveOut = (key: string, message: string) => {
    if (!reasons.has(key)) reasons.set(key, { key, code: 'profile_too_large', message })
  }
  let over = sizeOf(asJson(profile)) - MAX_PROFILE_BYTES
  const properties = new Map(Object.entries(profile.properties))
  for (const { key, sizeBytes } of bySize(profile.properties)) {
    if (over <= 0) break
    properties.delete(key)
    over -= sizeBytes
    leaveOut(key, PROPERTY)
  }
  const channels: { [key in ChannelKey]?: readonly ChannelValue[] } = { ...profile.channels }
  const sizes = new Map(CHANNEL_KEYS.map((key) => [key, (channels[key] ?? []).map((value) => sizeOf(value) + 1)]))
  while (over > 0) {
    const key = largest(sizes)
    const last = sizes.get(key)?.pop()
    if (last === undefined) break
    channels[key] = (channels[key] ?? []).slice(0, -1)
    over -= last
    leaveOut(key, CHANNEL)
  }
  for (const key of CHANNEL_KEYS) if (channels[key]?.length === 0) delete channels[key]
  return { profile: { channels, properties: Object.fromEntries(properties) }, reasons: [...reasons.values()] }
}

const PROPERTY = `the profile has more than ${MAX_PROFILE_BYTES} bytes as JSON; its largest properties are left out`
const CHANNEL = `the profile has more than ${MAX_PROFILE_BYTES} bytes as JSON; the last values of its largest channel are left out`

/** Cheap for nearly every profile: a UTF-16 unit takes at most six bytes in JSON. */
function mayBeTooLarge({ channels, properties }: Profile): boolean {
  let most = 0
  const count = (value: Json) => {
    most += typeof value === 'string' ? 6 * value.length + 8 : typeof value === 'object' ? MAX_PROFILE_BYTES : 32
  }
  for (const key of CHANNEL_KEYS) {
    const values = channels[key]
    if (values === undefined) continue
    most += 32
    for (const value of values) count(value)
    if (most > MAX_PROFILE_BYTES) return true
  }
  for (const key in properties) {
    most += 6 * key.length + 8
    count(properties[key] ?? null)
    if (most > MAX_PROFILE_BYTES) return true
  }
  return false
}

/** SuprSend's own properties ($timezone, …) are never what makes a profile large. */
function bySize(properties: Profile['properties']): readonly { readonly key: string; readonly sizeBytes: number }[] {
  return Object.entries(properties)
    .filter(([key]) => !key.startsWith('$'))
    .map(([key, value]) => ({ key, sizeBytes: sizeOf(key) + sizeOf(value) + 2 }))
    .sort((a, b) => b.sizeBytes - a.sizeBytes || (a.key < b.key ? -1 : 1))
}

function largest(sizes: ReadonlyMap<ChannelKey, readonly number[]>): ChannelKey {
  const total = (key: ChannelKey) => (sizes.get(key) ?? []).reduce((sum, size) => sum + size, 0)
  return CHANNEL_KEYS.reduce((a, b) => (total(b) > total(a) ? b : a))
}

function sizeOf(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value))
}

function asJson(profile: Profile): Json {
  return { ...profile.channels, ...profile.properties } as Json
}
