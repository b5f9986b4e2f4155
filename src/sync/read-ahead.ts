// What storing a batch of streamed rows will need, read and mapped before its turn comes: only rows that differ from what is stored
// are mapped. What was being written meanwhile is read again (state-writer.ts).
import type { CaptureState } from '../core/capture-port.ts'
import { ABSENT, needsVersion, type RowContent, rowId, type StoredRow, type StreamedRow } from '../core/source-row.ts'
import { Breather } from './breather.ts'
import type { RowMapper } from './row-mapper.ts'

/** What was read and mapped for a batch before its turn came. */
export interface ReadAhead {
  readonly rows: readonly StreamedRow[]
  /** Of the rows, as rowId gives them; so are all keys below. */
  readonly ids: ReadonlySet<string>
  /** The rows that differ from what is stored; null: unknown to state. */
  readonly stored: Map<string, StoredRow | null>
  readonly contents: Map<string, RowContent>
  /** Rows that were being written when this was read, or since: they are read again. */
  readonly stale: Set<string>
}

export interface Reading {
  readonly state: Pick<CaptureState, 'readChangedRows'>
  readonly mapper: Pick<RowMapper, 'content'>
  /** Pages are being read: one that was read earlier may be stored later. */
  readonly isPaging: () => boolean
}

const BREATHE_EVERY_ROWS = 50

/** Of those rows of the batch that are not stored as they are now. */
export async function readStored(
  { state, mapper, isPaging }: Reading,
  ahead: ReadAhead,
  rows: readonly StreamedRow[],
): Promise<void> {
  const breather = new Breather(BREATHE_EVERY_ROWS)
  for (const [source, some] of Map.groupBy(rows, (row) => row.source)) {
    const changed = await state.readChangedRows(
      source,
      some.map((row) => ({ key: row.key, rowHash: needsVersion(row, isPaging()) ? null : row.rowHash })),
    )
    for (const { key, row, content } of some) {
      const known = changed.get(key)
      if (known === undefined) continue
      const id = rowId(source, key)
      ahead.stored.set(id, known)
      if (ahead.contents.has(id)) continue
      ahead.contents.set(id, content ?? (row === null ? ABSENT : mapper.content(source, row)))
      if (breather.isDue()) await breather.breathe()
    }
  }
}
