// Readings that somebody asks for while the service runs, or before: noted in state, carried out by whoever captures.
import { randomUUID } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import type { Schema, StateDatabase } from './database.ts'

/** Why such a run is owed. */
export const REQUESTED = 'requested'

export interface RequestedTable {
  readonly source: string
  /** SQL over its rows; null: all. */
  readonly filter: string | null
  readonly rowsEstimated: number | null
}

export interface RequestedRun {
  readonly source: string
  readonly rowsRead: number
  readonly rowsEstimated: number | null
  readonly finished: boolean
  readonly cancelled: boolean
  readonly failure: string | null
}

/**
 * @param tables in the order in which they are to be read.
 * @returns the request; null when there is no checkpoint yet: the first start reads everything.
 */
export async function requestBackfill(db: StateDatabase, tables: readonly RequestedTable[]): Promise<string | null> {
  const request = randomUUID()
  return await db.transaction().execute(async (transaction) => {
    const { rows } = await sql<{ era: number }>`select era from checkpoint for share`.execute(transaction)
    const era = rows[0]?.era
    if (era === undefined) return null
    for (const { source, filter, rowsEstimated } of tables) {
      await sql`
        insert into backfill (era, source, reason, rows_estimated, sweep, filter, request)
        values (${era}, ${source}, ${REQUESTED}, ${rowsEstimated}, ${filter === null}, ${filter}, ${request}::uuid)`.execute(
        transaction,
      )
    }
    return request
  })
}

/** A run that is missing was taken over by a reading of the whole table. */
export async function readRequest(db: Kysely<Schema>, request: string): Promise<readonly RequestedRun[]> {
  const { rows } = await sql<{
    source: string
    rows_read: string
    rows_estimated: string | null
    finished: boolean
    cancelled: boolean
    failure: string | null
  }>`
    select source, rows_read::text, rows_estimated::text, finished_at is not null as finished, cancelled, failure
    from backfill where request = ${request}::uuid order by id`.execute(db)
  return rows.map((row) => ({
    source: row.source,
    rowsRead: Number(row.rows_read),
    rowsEstimated: row.rows_estimated === null ? null : Number(row.rows_estimated),
    finished: row.finished,
    cancelled: row.cancelled,
    failure: row.failure,
  }))
}

/** Ends every reading that was asked for; what they have stored stays. @returns how many. */
export async function cancelRequests(db: Kysely<Schema>): Promise<number> {
  const { numAffectedRows } = await sql`
    update backfill set finished_at = now(), cancelled = true
    where finished_at is null and request is not null`.execute(db)
  return Number(numAffectedRows ?? 0n)
}

/** Called off before, it stays so. */
export async function failRun(db: Kysely<Schema>, id: string, code: string): Promise<void> {
  await sql`update backfill set finished_at = now(), failure = ${code} where id = ${id}::bigint and finished_at is null`.execute(
    db,
  )
}
