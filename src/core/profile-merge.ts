// From rows to users: which row speaks for a distinct_id, and what its profile therefore should be. Where two live rows
// hold one id the lower key wins, whatever the order in which they came, and the others are marked duplicates. What child
// tables add depends only on which rows there are: no order of their changes makes another profile.
import { entryOf } from './channel-value.ts'
import type { Json } from './json.ts'
import type { Lsn } from './lsn.ts'
import {
  CHANNEL_KEYS,
  type ChannelKey,
  type ChannelValue,
  documentOf,
  MAX_VALUES,
  type Profile,
  type ProfileDocument,
  profileOf,
  type Reason,
} from './profile.ts'
import { fitProfile } from './profile-limit.ts'

export interface LiveRow {
  readonly key: string
  readonly distinctId: string
  readonly part: ProfileDocument
  readonly reasons: readonly Reason[]
  readonly duplicate: boolean
}

/** A row of a child table that contributes to the user whose row has the key `userKey`. */
export interface LiveChild {
  readonly source: string
  readonly key: string
  readonly userKey: string
  readonly part: Profile
  readonly reasons: readonly Reason[]
  readonly changeLsn: Lsn | null
}

export interface DesiredProfile {
  readonly distinctId: string
  /** Key of the row that speaks for it; null: no live row does. */
  readonly key: string | null
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
      key: winner?.key ?? null,
      desired: winner?.part ?? null,
      reasons: winner?.reasons ?? [],
    })
  }
  return { profiles, marks }
}

/** Of one user and one table; the rest is left out with a reason. Nobody has as many devices, and 10 KB hold fewer. */
export const MAX_CHILDREN = 500

/**
 * The profiles with what child tables add.
 * @param sources the child tables in the order of the mapping.
 * @param children of these users rows, per user and table at least the first MAX_CHILDREN by key; in any order.
 */
export function withChildren(
  profiles: readonly DesiredProfile[],
  sources: readonly string[],
  children: readonly LiveChild[],
): readonly DesiredProfile[] {
  const byUser = Map.groupBy(children, (child) => child.userKey)
  return profiles.map((profile) => {
    const mine = profile.key === null ? undefined : byUser.get(profile.key)
    if (mine === undefined || profile.desired === null) return profile
    const { counted, reasons } = inOrder(sources, mine)
    if (counted.length === 0) return profile
    const own = profileOf(profile.desired)
    const whole = fitProfile(unite([own, ...counted.map(({ part }) => part)]))
    const ofRows = [...profile.reasons, ...counted.flatMap((child) => child.reasons)]
    return {
      ...profile,
      desired: documentOf(whole.profile),
      // Names of properties may come of rows (P8).
      reasons: dedupe([
        ...ofRows,
        ...reasons,
        ...whole.reasons.map((it) => (it.key.startsWith('$') ? it : { ...it, key: 'properties' })),
      ]),
    }
  })
}

/** Channels together, each value once, MAX_VALUES at most; of a property that several hold the first counts. */
export function unite(parts: readonly Profile[]): Profile {
  const channels: { [key in ChannelKey]?: readonly ChannelValue[] } = {}
  for (const key of CHANNEL_KEYS) {
    const values = new Map<string, ChannelValue>()
    for (const part of parts) {
      for (const value of part.channels[key] ?? []) {
        const id = entryOf(key, value)
        if (!values.has(id) && values.size < MAX_VALUES) values.set(id, value)
      }
    }
    if (values.size > 0) channels[key] = [...values.values()]
  }
  const properties: [string, Json][] = parts.toReversed().flatMap((part) => Object.entries(part.properties))
  return { channels, properties: Object.fromEntries(properties) }
}

/** The rows that count for one user, in their order, and a reason for each table of which some do not. */
export function inOrder<C extends Pick<LiveChild, 'source' | 'key'>>(
  sources: readonly string[],
  children: readonly C[],
): { readonly counted: readonly C[]; readonly reasons: readonly Reason[] } {
  const counted: C[] = []
  const reasons: Reason[] = []
  for (const source of sources) {
    const rows = children.filter((child) => child.source === source)
    if (rows.length > MAX_CHILDREN) {
      // By bytes, as state chooses them: else which rows count would depend on how they came.
      rows.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key))).length = MAX_CHILDREN
      reasons.push({ key: source, code: 'too_many_rows', message: TOO_MANY_ROWS })
    }
    counted.push(...rows.sort((a, b) => compareKeys(a.key, b.key)))
  }
  return { counted, reasons }
}

const TOO_MANY_ROWS = `the user has more than ${MAX_CHILDREN} rows in this table; the first ${MAX_CHILDREN} are kept`

/** One reason per key and code, as for a single row. */
function dedupe(reasons: readonly Reason[]): readonly Reason[] {
  return [...new Map(reasons.map((reason) => [`${reason.key} ${reason.code}`, reason])).values()]
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
