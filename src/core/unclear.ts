// Targets whose outcome is not certain: what SuprSend may hold beside what it certainly accepted. Only which values, keys
// and deletes may have happened matters (DESIGN §7.3), so the list stays short however often an attempt ends unclear. What is in it
// grows with each value that was tried meanwhile: from a bound on SuprSend is asked first, and what it does not show is forgotten.
import type { RemoteUser } from './api.ts'
import { canonical, type Json, type JsonObject } from './json.ts'
import { property } from './operations.ts'
import { CHANNEL_KEYS, type ChannelKey, type ChannelValue, type Profile } from './profile.ts'
import { remoteValues } from './remote-user.ts'
import { ValueIndex } from './value-index.ts'

/** One attempt's target; null: a DELETE (or whatever the policy for deleted users sends). */
export interface Attempt {
  readonly token: string
  readonly target: Profile | null
}

const MOST_TARGETS = 8
/** The token of what stands for several attempts. */
const UNITED = ''

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
  const kept: Attempt[] = [{ token: UNITED, target: profiles.reduce(unite) }]
  if (profiles.length < old.length) kept.push({ token: UNITED, target: null })
  return [...kept, ...list.slice(old.length)]
}

/** Of targets that were united, which are older than what may still be on its way. */
const MOST_FACTS = 1_000

export function isTooMuch(attempts: readonly Attempt[]): boolean {
  return attempts.some(({ token, target }) => token === UNITED && target !== null && factsOf(target) > MOST_FACTS)
}

function factsOf({ channels, properties }: Profile): number {
  const values = CHANNEL_KEYS.reduce((sum, key) => sum + (channels[key]?.length ?? 0), 0)
  return values + Object.keys(properties).length
}

/** Of what was united only what SuprSend shows: that no request can bring back any more. The newer ones stay whole. */
export function narrowed(attempts: readonly Attempt[], user: RemoteUser): readonly Attempt[] {
  return attempts.map((attempt) =>
    attempt.token === UNITED && attempt.target !== null
      ? { ...attempt, target: shownOf(attempt.target, user) }
      : attempt,
  )
}

function shownOf(profile: Profile, user: RemoteUser): Profile {
  const channels: { [key in ChannelKey]?: readonly ChannelValue[] } = {}
  for (const key of CHANNEL_KEYS) {
    const held = new ValueIndex(key, remoteValues(user, key))
    const shown = (profile.channels[key] ?? []).filter((value) => held.standingFor(value).length > 0)
    if (shown.length > 0) channels[key] = shown
  }
  const kept = Object.entries(profile.properties).filter(([key]) => property(user, key) !== undefined)
  return { channels, properties: Object.fromEntries(kept) }
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
