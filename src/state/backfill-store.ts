// Backfill runs as state keeps them: which one is owed, and how far it is. Their progress is written by CaptureStore.commit,
// in the transaction of each page.
import { sql } from 'kysely'
import type { TextRow } from '../core/row.ts'
import type { StateDatabase } from './database.ts'

export interface BackfillRun {
  readonly id: string
  readonly reason: string
  readonly cursor: TextRow | null
  readonly rowsRead: number
  readonly rowsEstimated: number | null
  readonly firstSnapshot: string | null
}

/** The oldest unfinished run of this era, or null. */
export async function readOwedBackfill(db: StateDatabase, era: number): Promise<BackfillRun | null> {
  const { rows } = await sql<{
    id: string
    reason: string
    cursor: TextRow | null
    rows_read: string
    rows_estimated: string | null
    first_snapshot: string | null
  }>`
    select id::text, reason, cursor, rows_read::text, rows_estimated::text, first_snapshot::text from backfill
    where era = ${era} and finished_at is null order by id limit 1`.execute(db)
  const row = rows[0]
  if (!row) return null
  return {
    id: row.id,
    reason: row.reason,
    cursor: row.cursor,
    rowsRead: Number(row.rows_read),
    rowsEstimated: row.rows_estimated === null ? null : Number(row.rows_estimated),
    firstSnapshot: row.first_snapshot,
  }
}
