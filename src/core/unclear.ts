// Targets whose outcome is not certain: what SuprSend may hold beside what it certainly accepted. Only which values, keys
// and deletes may have happened matters (DESIGN §7.3), so the list stays short however often an attempt ends unclear.
import { canonical, type Json, type JsonObject } from './json.ts'
import { CHANNEL_KEYS, type ChannelKey, type ChannelValue, type Profile } from './profile.ts'

/** One attempt's target; null: a DELETE (or whatever the policy for deleted users sends). */
export interface Attempt {
  readonly token: string
  readonly target: Profile | null
}

const MOST_TARGETS = 8

/** The same uncertainty in at most eight entries: equal targets once, older ones united when there are too many. */
export function compactAttempts(attempts: readonly Attempt[]): readonly Attempt[] {
  const distinct = new Map<string, Attempt>()
  for (const attempt of attempts) {
    const key = attempt.target === null ? 'null' : canonical(attempt.target as unknown as JsonObject)
    distinct.delete(key)
    distinct.set(key, attempt)
  }
  const list = [...distinct.values()]
  if (list.length <= MOST_TARGETS) return list
  const old = list.slice(0, list.length - MOST_TARGETS + 2)
  const profiles = old.flatMap(({ target }) => (target === null ? [] : [target]))
  const kept: Attempt[] = [{ token: '', target: profiles.reduce(unite) }]
  if (profiles.length < old.length) kept.push({ token: '', target: null })
  return [...kept, ...list.slice(old.length)]
}

/** Every value and key of both; where both have a property either may be what SuprSend holds. */
function unite(a: Profile, b: Profile): Profile {
  const channels: { [key in ChannelKey]?: readonly ChannelValue[] } = { ...a.channels }
  for (const key of CHANNEL_KEYS) {
    const values = new Map<string, ChannelValue>()
    for (const value of [...(a.channels[key] ?? []), ...(b.channels[key] ?? [])])
      values.set(canonical(value as Json), value)
    if (values.size > 0) channels[key] = [...values.values()]
  }
  return { channels, properties: { ...a.properties, ...b.properties } }
}
