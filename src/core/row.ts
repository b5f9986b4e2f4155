// Rows of the source as they travel from the two roads (stream and pages) to the mapping. Values are PostgreSQL's own
// output text on both roads, so that one parser (values.ts) makes both equal.
import { digest } from './json.ts'

/** A TOASTed value that the UPDATE did not touch and that pgoutput therefore did not send. Not NULL, not unknown to be NULL. */
export const UNCHANGED: unique symbol = Symbol('unchanged')

/** A value that this point of the WAL has not in today's shape (the column was added, renamed or retyped since): read the row. */
export const REREAD: unique symbol = Symbol('reread')

export type RawValue = string | null | typeof UNCHANGED | typeof REREAD

/** One value for each of `Table.wanted`, in that order. */
export type RawRow = readonly RawValue[]
/** A row of which every value is known. */
export type TextRow = readonly (string | null)[]

export function isComplete(row: RawRow): row is TextRow {
  for (const value of row) if (typeof value === 'symbol') return false
  return true
}

/** How a column's text is read. Derived from the catalogue with domains resolved to their base type. */
export interface ColumnType {
  readonly oid: number
  /** As `format_type` prints it, for messages and casts: `character varying(20)`, `"My Enum"`. */
  readonly name: string
  /** Base type's OID where `oid` is a domain; else `oid`. */
  readonly baseOid: number
  /** Likewise its name, without length or precision. */
  readonly baseName: string
  readonly kind: 'base' | 'enum' | 'array' | 'range' | 'composite' | 'unknown'
  /** For arrays: the element's type. */
  readonly element: ColumnType | null
  /** For arrays: the delimiter in the text form (`,` for all but `box`). */
  readonly delimiter: string
}

export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly notNull: boolean
  /** `atttypmod`, or its domain's: precision and scale of a numeric, the length of a char; -1: none was declared. */
  readonly modifier: number
  /** Whether texts that are equal have the same letters; `none`: the type knows no collations. */
  readonly collation: 'none' | 'deterministic' | 'nondeterministic'
}

export interface ForeignKey {
  readonly columns: readonly string[]
  readonly target: { readonly schema: string; readonly name: string }
  /** Aligned to `columns`. */
  readonly targetColumns: readonly string[]
}

/** The users table as the catalogue described it, reduced to the columns we read. */
export interface Table {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** Primary key columns, in key order. */
  readonly key: readonly string[]
  /** Sets of columns that are unique in the table, at once and over all rows; the primary key among them. */
  readonly unique: readonly (readonly string[])[]
  readonly foreignKeys: readonly ForeignKey[]
  /** Every column of the table, for `check`, CEL and error messages. */
  readonly columns: readonly Column[]
  /** The columns we read, primary key first, then the mapped ones; RawRow is aligned to it. */
  readonly wanted: readonly Column[]
}

/**
 * Of a key as state holds it, in bytes: an entry of a btree takes 2,704, and one of ours names a child's user, its table and its
 * own key (https://www.postgresql.org/docs/current/btree.html).
 */
const MAX_KEY_BYTES = 1_000
const KEPT_BYTES = 980

/**
 * What names a row in state: the exact text of a single column, a JSON array of texts for several. One that is too long for an
 * index is its beginning and a digest, together longer than any that stands for itself.
 */
export function keyText(values: TextRow): string {
  const text = values.length === 1 ? (values[0] ?? '') : JSON.stringify(values)
  // No character takes more than three bytes for each of its units.
  if (text.length * 3 <= MAX_KEY_BYTES || Buffer.byteLength(text) <= MAX_KEY_BYTES) return text
  const kept = Buffer.from(text).subarray(0, KEPT_BYTES).toString()
  return `${kept}\u2026${digest(text)}`
}

export function rowKey(table: Pick<Table, 'key'>, row: TextRow): string {
  return keyText(table.key.length === row.length ? row : row.slice(0, table.key.length))
}

/** The texts of the key's columns: what `rowKey` was made of; null: it was too long to be kept. */
export function rowKeyValues(table: Pick<Table, 'key'>, key: string): TextRow | null {
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return null
  return table.key.length === 1 ? [key] : (JSON.parse(key) as TextRow)
}
