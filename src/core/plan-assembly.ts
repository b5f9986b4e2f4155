// From the rows of one reading to users: which row speaks for a distinct_id, and what its children add to it. What
// core/profile-merge.ts does with the stored parts of all rows, here with the rows that were just read. Rows that stand for
// nobody are told with their reasons.
import type { MappedChild, MappedRow } from './mapping.ts'
import type { Profile, Reason } from './profile.ts'
import { fitProfile } from './profile-limit.ts'
import { compareKeys, inOrder, unite } from './profile-merge.ts'

export interface ReadRow {
  readonly key: string
  readonly mapped: MappedRow
}

export interface ReadChild {
  /** Its table, `schema.name`. */
  readonly source: string
  readonly key: string
  readonly mapped: MappedChild
}

export interface AssembledUser {
  readonly distinctId: string
  /** null: no row that was read holds the id, or none that counts. */
  readonly desired: Profile | null
  /** The key of the row that speaks for it. */
  readonly row: string | null
  readonly reasons: readonly Reason[]
  /** Keys of other rows that hold the same id and are not sent. */
  readonly duplicates: readonly string[]
}

export interface Assembly {
  readonly users: readonly AssembledUser[]
  /** Rows without a usable distinct_id. */
  readonly unusable: readonly { readonly row: string; readonly reasons: readonly Reason[] }[]
  /** Rows that hold the id of a user who was assembled from an earlier reading. */
  readonly late: readonly { readonly distinctId: string; readonly row: string }[]
}

/** The users of earlier readings, with the key of the row that speaks for each; null: none does. */
export type SeenUsers = ReadonlyMap<string, string | null>

export interface ReadRows {
  readonly rows: readonly ReadRow[]
  readonly children: readonly ReadChild[]
  /** The child tables, in the order of the file. */
  readonly sources: readonly string[]
}

/** Rows of earlier readings come first: pages are read in the order of the keys. */
export function assembleUsers({ rows, children, sources }: ReadRows, seen: SeenUsers): Assembly {
  const byUser = Map.groupBy(children, ({ mapped }) => mapped.userKey)
  const childrenOf = (key: string) => byUser.get(key) ?? []
  const holders = new Map<string, ReadRow[]>()
  const unusable: { row: string; reasons: readonly Reason[] }[] = []
  const late: { distinctId: string; row: string }[] = []
  for (const row of rows) {
    const { distinctId, reasons, kind } = row.mapped
    if (distinctId === null) {
      if (reasons.length > 0) unusable.push({ row: row.key, reasons })
      continue
    }
    const first = seen.get(distinctId)
    if (typeof first === 'string') {
      if (kind === 'user' && first !== row.key) late.push({ distinctId, row: row.key })
    } else if (first === undefined || kind === 'user') {
      const list = holders.get(distinctId)
      if (list) list.push(row)
      else holders.set(distinctId, [row])
    }
  }
  const users = [...holders].map(([id, list]) => assemble(id, list, { sources, childrenOf }))
  return { users, unusable, late }
}

function assemble(
  distinctId: string,
  holders: readonly ReadRow[],
  from: { readonly sources: readonly string[]; readonly childrenOf: (key: string) => readonly ReadChild[] },
): AssembledUser {
  const live = holders.filter(({ mapped }) => mapped.kind === 'user').sort((a, b) => compareKeys(a.key, b.key))
  const [first, ...others] = live
  if (first?.mapped.kind !== 'user') {
    return { distinctId, desired: null, row: null, reasons: holders[0]?.mapped.reasons ?? [], duplicates: [] }
  }
  const children = from.childrenOf(first.key)
  const silent = children.filter(({ mapped }) => mapped.kind === 'absent')
  const { counted, reasons } = inOrder(
    from.sources,
    children.filter(({ mapped }) => mapped.kind === 'child'),
  )
  const contributed = counted.flatMap(({ mapped }) => (mapped.kind === 'child' ? [mapped.profile] : []))
  const whole = fitProfile(unite([first.mapped.profile, ...contributed]))
  const ofChildren = [...counted, ...silent].flatMap(({ mapped }) => mapped.reasons)
  return {
    distinctId,
    desired: whole.profile,
    row: first.key,
    reasons: [...first.mapped.reasons, ...ofChildren, ...reasons, ...whole.reasons.map(withoutName)],
    duplicates: others.map(({ key }) => key),
  }
}

/** Names of properties may come of rows (P8). */
function withoutName(reason: Reason): Reason {
  return reason.key.startsWith('$') ? reason : { ...reason, key: 'properties' }
}
