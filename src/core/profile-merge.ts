// From rows to users: which row speaks for a distinct_id, and what its profile therefore should be. Where two live rows
// hold one id the lower key wins, whatever the order in which they came, and the others are marked duplicates.
import { identity } from './channel-value.ts'
import type { Json } from './json.ts'
import {
  CHANNEL_KEYS,
  type ChannelKey,
  type ChannelValue,
  type Profile,
  type ProfileDocument,
  type Reason,
} from './profile.ts'

export interface LiveRow {
  readonly key: string
  readonly distinctId: string
  readonly part: ProfileDocument
  readonly reasons: readonly Reason[]
  readonly duplicate: boolean
}

export interface DesiredProfile {
  readonly distinctId: string
  /** null: no live row holds the id. */
  readonly desired: ProfileDocument | null
  readonly reasons: readonly Reason[]
}

export interface MergedUsers {
  readonly profiles: readonly DesiredProfile[]
  /** Rows whose `duplicate` mark changes. */
  readonly marks: readonly { readonly key: string; readonly duplicate: boolean }[]
}

/** @param rows every live row that holds one of the ids. */
export function mergeUsers(distinctIds: Iterable<string>, rows: Iterable<LiveRow>): MergedUsers {
  const byUser = new Map<string, LiveRow[]>()
  for (const row of rows) {
    const list = byUser.get(row.distinctId)
    if (list) list.push(row)
    else byUser.set(row.distinctId, [row])
  }
  const profiles: DesiredProfile[] = []
  const marks: { key: string; duplicate: boolean }[] = []
  for (const distinctId of distinctIds) {
    const list = byUser.get(distinctId) ?? []
    const winner = list.length > 1 ? list.reduce((a, b) => (compareKeys(a.key, b.key) <= 0 ? a : b)) : list[0]
    for (const row of list) {
      const duplicate = row !== winner
      if (row.duplicate !== duplicate) marks.push({ key: row.key, duplicate })
    }
    profiles.push({
      distinctId,
      desired: winner?.part ?? null,
      reasons: winner?.reasons ?? [],
    })
  }
  return { profiles, marks }
}

const INTEGER = /^-?\d+$/

/**
 * Integers by value and before everything else, which goes by code unit; `7` and `07` are two keys of a text column. A total
 * order: else the winner would depend on which row came first.
 */
export function compareKeys(a: string, b: string): number {
  const [aIsInteger, bIsInteger] = [INTEGER.test(a), INTEGER.test(b)]
  if (aIsInteger !== bIsInteger) return aIsInteger ? -1 : 1
  const difference = aIsInteger ? BigInt(a) - BigInt(b) : 0n
  if (difference !== 0n) return difference < 0n ? -1 : 1
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * One profile of the parts that several rows contribute: the users row's first, then the children's, in the file's order and
 * within a table in that of compareKeys. Channel values unite, each once; of a property that two parts have the first one counts.
 */
export function unite(parts: readonly Profile[]): Profile {
  const [only, ...more] = parts
  if (only !== undefined && more.length === 0) return only
  const channels: { [key in ChannelKey]?: readonly ChannelValue[] } = {}
  for (const key of CHANNEL_KEYS) {
    const values = new Map<string, ChannelValue>()
    for (const value of parts.flatMap((part) => part.channels[key] ?? [])) {
      const id = identity(key, value)
      if (!values.has(id)) values.set(id, value)
    }
    if (values.size > 0) channels[key] = [...values.values()]
  }
  const properties = new Map<string, Json>()
  for (const part of parts) {
    for (const [key, value] of Object.entries(part.properties)) if (!properties.has(key)) properties.set(key, value)
  }
  return { channels, properties: Object.fromEntries(properties) }
}
