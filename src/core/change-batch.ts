// Row changes gathered until they are stored together: per row only the newest state is kept, with the version of its
// last change and whether it went through others. Bounded by its owner, who looks at `rowCount` and `sizeBytes`.
// A value that the UPDATE did not send (unchanged TOAST) is taken from the row's earlier state in the batch.
import type { Lsn } from './lsn.ts'
import { isComplete, type RawRow, type RawValue, type TextRow, UNCHANGED } from './row.ts'

export interface ChangeVersion {
  readonly xid: bigint
  readonly commitLsn: Lsn
  readonly committedAt: number
}

export interface BatchedRow {
  readonly table: number
  readonly key: string
  readonly keyValues: TextRow
  /** null: deleted. May still hold UNCHANGED values. */
  row: RawRow | null
  version: ChangeVersion
  readonly firstCommittedAt: number
  varied: boolean
  changes: number
}

export class ChangeBatch {
  readonly #rows = new Map<string, BatchedRow>()
  #sizeBytes = 0
  #changes = 0

  get rowCount(): number {
    return this.#rows.size
  }
  get sizeBytes(): number {
    return this.#sizeBytes
  }
  get changes(): number {
    return this.#changes
  }
  rows(): IterableIterator<BatchedRow> {
    return this.#rows.values()
  }

  /** The row's newest state here: undefined when the batch does not hold it, null when it was deleted. */
  latest(table: number, key: string): RawRow | null | undefined {
    return this.#rows.get(`${table} ${key}`)?.row
  }

  put(table: number, key: string, keyValues: TextRow, row: RawRow | null, version: ChangeVersion): void {
    const id = `${table} ${key}`
    const known = this.#rows.get(id)
    this.#changes += 1
    if (!known) {
      this.#rows.set(id, {
        table,
        key,
        keyValues,
        row,
        version,
        firstCommittedAt: version.committedAt,
        varied: false,
        changes: 1,
      })
      this.#sizeBytes += 200 + key.length * 2 + rowSize(row)
      return
    }
    const next = row && known.row ? fillUnchanged(row, known.row) : row
    if (!sameRow(known.row, next)) known.varied = true
    this.#sizeBytes += rowSize(next) - rowSize(known.row)
    known.row = next
    known.version = version
    known.changes += 1
  }
}

/** `row` with its unchanged values taken from an earlier state of the same row. */
export function fillUnchanged(row: RawRow, earlier: RawRow): RawRow {
  if (isComplete(row)) return row
  return row.map((value, index): RawValue => (value === UNCHANGED ? (earlier[index] ?? null) : value))
}

export function sameRow(a: RawRow | null, b: RawRow | null): boolean {
  if (a === null || b === null) return a === b
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false
  return true
}

export function rowSize(row: RawRow | null): number {
  let size = 0
  if (row) for (const value of row) size += typeof value === 'string' ? value.length * 2 + 32 : 8
  return size
}
