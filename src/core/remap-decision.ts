// What a start owes, from how the tables were stored and what they are now (DESIGN §8): a table whose mapping changed, or that
// is new, is read again; one whose changes may have been missed is read and swept; what a table that is mapped no more gave
// is taken back. A reading that is owed counts only when it sees all that was committed before: of that nothing may be streamed
// any more, or it was mapped as before. Pure.
import { type ShapeChange, shapeChange, type TableShape } from './table-shape.ts'

export interface TableState {
  /** Schema and table. */
  readonly source: string
  readonly mappingHash: string
  /** Of what tells whose its rows are. */
  readonly ownerHash: string
  readonly shape: TableShape
}

export interface KnownTable {
  readonly source: string
  readonly mappingHash: string
  /** null: not noted yet. */
  readonly ownerHash: string | null
  /** null: not noted yet. */
  readonly shape: TableShape | null
  /** Why its changes may have been missed: a gap that was found at start, in all tables, or `left_out`; null: they were not. */
  readonly gap: string | null
}

export interface OwedReading {
  readonly source: string
  /** The gravest: `first_start`, one of STEPS, the code of a gap, or how the table changed. */
  readonly reason: string
  /** How the table changed, if it did. */
  readonly change: ShapeChange | null
  /** Changes were missed: rows that are not found are gone. */
  readonly sweep: boolean
}

export const MAPPING_CHANGED = 'mapping_changed'
/** The users are rows of a table that was not the users table before: what children refer to may be other keys. */
export const OTHER_USERS_TABLE = 'other_users_table'
/** The gap of a table that is mapped no more: it is followed by nobody, and whoever maps it again has missed what happened. */
export const LEFT_OUT = 'left_out'

/** Rows have other owners: the users' distinct_id is another source, or what names a child row's user. */
export const OWNERS_CHANGED = 'owners_changed'

/** Of the users table: what children refer to may be other keys. */
const KEYS_MOVED: readonly string[] = ['table_replaced', 'primary_key_changed']

/**
 * While readings with these reasons are not at their end, rows are mapped by one mapping and others by another (remap-steps.ts).
 * The gravest first: one that takes the place of another keeps the graver reason.
 */
export const STEPS: readonly string[] = [OTHER_USERS_TABLE, OWNERS_CHANGED, ...KEYS_MOVED, MAPPING_CHANGED, LEFT_OUT]

/** Until such a reading is at its end a row may be taken for another user's. */
export function movesRows({ source, reason }: Pick<OwedReading, 'source' | 'reason'>, users: string): boolean {
  return reason === OTHER_USERS_TABLE || reason === OWNERS_CHANGED || (source === users && KEYS_MOVED.includes(reason))
}

export interface RemapDecision {
  /** In the order of the tables. */
  readonly owed: readonly OwedReading[]
  /** Mapped no more. */
  readonly dropped: readonly string[]
}

/** @param now the users table first. */
export function decideRemap(known: readonly KnownTable[], now: readonly TableState[]): RemapDecision {
  const before = new Map(known.map((table) => [table.source, table]))
  const after = new Set(now.map(({ source }) => source))
  const owed = now.flatMap((is, at): OwedReading[] => {
    const { source } = is
    const was = before.get(source)
    if (was === undefined) {
      const reason = known.length === 0 ? 'first_start' : at === 0 ? OTHER_USERS_TABLE : MAPPING_CHANGED
      return [{ source, reason, change: null, sweep: false }]
    }
    const change = was.shape && shapeChange(was.shape, is.shape)
    const isRemapped = was.mappingHash !== is.mappingHash
    const reasons = [
      isRemapped && was.ownerHash !== is.ownerHash && OWNERS_CHANGED,
      at === 0 && change && KEYS_MOVED.includes(change.code) && change.code,
      isRemapped && MAPPING_CHANGED,
      was.gap,
      change?.code,
    ]
    const reason = reasons.find((it) => typeof it === 'string')
    if (reason === undefined) return []
    const sweep = was.gap !== null || change?.sweep === true
    // Past a gap every row is read and swept, however the table is now.
    return [{ source, reason, change: was.gap === null ? change : null, sweep }]
  })
  return { owed, dropped: known.filter(({ source }) => !after.has(source)).map(({ source }) => source) }
}

/** Nothing would be noted of it that is not. */
export function isAsNoted(known: readonly KnownTable[], is: TableState): boolean {
  const was = known.find(({ source }) => source === is.source)
  const isSame = (shape: TableShape) =>
    shapeChange(shape, is.shape) === null &&
    shape.storage === is.shape.storage &&
    Object.keys(is.shape.columns).every((name) => name in shape.columns)
  return was?.gap === null && was.mappingHash === is.mappingHash && was.shape !== null && isSame(was.shape)
}
