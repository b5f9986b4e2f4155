// What a start owes, from how the tables were stored and what they are now (DESIGN §8): a table whose mapping changed, or that
// is new, is read again; one whose changes may have been missed is read and swept; what a table that is mapped no more gave
// is taken back. Pure.

export interface TableState {
  /** Schema and table. */
  readonly source: string
  readonly tableOid: number
  readonly mappingHash: string
  /** The columns of its primary key: rows are stored under their values. */
  readonly keyColumns: string
  /** By what the table is published: taken out and put back it is another one, and what happened meanwhile was not streamed. */
  readonly membership: string
}

export interface KnownTable extends Omit<TableState, 'keyColumns' | 'membership'> {
  /** null: not noted yet. */
  readonly keyColumns: string | null
  readonly membership: string | null
  /** A gap that was found at start, in all tables; null: none. */
  readonly gap: string | null
}

export interface OwedReading {
  readonly source: string
  /** `first_start`, `mapping_changed`, or the code of a gap. */
  readonly reason: string
  /** Changes were missed: rows that are not found are gone. */
  readonly sweep: boolean
  /** What was changed before now may be streamed by nobody: only a reading that sees all of it counts. */
  readonly fresh: boolean
}

export interface RemapDecision {
  /** In the order of the tables. */
  readonly owed: readonly OwedReading[]
  /** Mapped no more. */
  readonly dropped: readonly string[]
}

/** The gaps of one table that are found here: those of all are found at start (start-decision.ts). */
export const TABLE_GAPS: { readonly [code: string]: string } = {
  table_replaced: 'was replaced by another one of the same name',
  publication_changed: 'was taken out of the publication and put back, or the publication was altered',
  primary_key_changed: 'has another primary key',
}

export function decideRemap(known: readonly KnownTable[], now: readonly TableState[]): RemapDecision {
  const before = new Map(known.map((table) => [table.source, table]))
  const after = new Set(now.map(({ source }) => source))
  const owed = now.flatMap((is): OwedReading[] => {
    const { source } = is
    const was = before.get(source)
    if (was === undefined) {
      const reason = known.length === 0 ? 'first_start' : 'mapping_changed'
      return [{ source, reason, sweep: false, fresh: true }]
    }
    const gap = was.gap ?? gapOf(was, is)
    if (gap !== null) return [{ source, reason: gap, sweep: true, fresh: true }]
    if (was.mappingHash === is.mappingHash) return []
    return [{ source, reason: 'mapping_changed', sweep: false, fresh: false }]
  })
  return { owed, dropped: known.filter(({ source }) => !after.has(source)).map(({ source }) => source) }
}

/** Nothing would be noted of it that is not. */
export function isAsNoted(known: readonly KnownTable[], is: TableState): boolean {
  const was = known.find(({ source }) => source === is.source)
  return (
    was !== undefined &&
    was.gap === null &&
    was.mappingHash === is.mappingHash &&
    was.keyColumns === is.keyColumns &&
    gapOf(was, is) === null &&
    was.membership !== null
  )
}

function gapOf(was: KnownTable, is: TableState): string | null {
  if (was.tableOid !== is.tableOid) return 'table_replaced'
  if (was.membership !== null && was.membership !== is.membership) return 'publication_changed'
  return was.keyColumns !== null && was.keyColumns !== is.keyColumns ? 'primary_key_changed' : null
}
