// Backfill runs as state keeps them, and the mapping under which each table was stored: which runs are owed, and how far they
// are. Their progress is written by CaptureStore.commit, in the transaction of each page.
import { type Kysely, sql } from 'kysely'
import type { TableState } from '../core/remap-decision.ts'
import type { TextRow } from '../core/row.ts'
import type { Schema, StateDatabase } from './database.ts'

export interface BackfillRun {
  readonly id: string
  readonly source: string
  readonly startXid: bigint | null
  readonly reason: string
  readonly cursor: TextRow | null
  readonly rowsRead: number
  readonly rowsEstimated: number | null
  readonly firstSnapshot: string | null
}

/** The unfinished runs of this era, in the order in which they are to be done. */
export async function readOwedBackfills(db: StateDatabase, era: number): Promise<readonly BackfillRun[]> {
  const { rows } = await sql<{
    id: string
    source: string
    start_xid: string | null
    reason: string
    cursor: TextRow | null
    rows_read: string
    rows_estimated: string | null
    first_snapshot: string | null
  }>`
    select id::text, source, start_xid::text, reason, cursor, rows_read::text, rows_estimated::text, first_snapshot::text from backfill
    where era = ${era} and finished_at is null order by id`.execute(db)
  return rows.map((row) => ({
    id: row.id,
    source: row.source,
    startXid: row.start_xid === null ? null : BigInt(row.start_xid),
    reason: row.reason,
    cursor: row.cursor,
    rowsRead: Number(row.rows_read),
    rowsEstimated: row.rows_estimated === null ? null : Number(row.rows_estimated),
    firstSnapshot: row.first_snapshot,
  }))
}

export async function readMappedTables(db: Kysely<Schema>): Promise<readonly TableState[]> {
  const { rows } = await sql<{ source: string; table_oid: number; mapping_hash: string }>`
    select source, table_oid::int8::float8 as table_oid, mapping_hash from mapped_table order by source`.execute(db)
  return rows.map((row) => ({ source: row.source, tableOid: row.table_oid, mappingHash: row.mapping_hash }))
}

export interface OwedTable extends TableState {
  readonly reason: string
  readonly rowsEstimated: number | null
  /** null: as the checkpoint says, or the run that this one takes the place of. */
  readonly startXid: bigint | null
}

/** Notes the mapping of these tables and that they must be read under it: children before their users. Within a transaction. */
export async function oweBackfills(db: Kysely<Schema>, era: number, tables: readonly OwedTable[]): Promise<void> {
  for (const { source, tableOid, mappingHash, reason, rowsEstimated, startXid } of tables) {
    await sql`
      insert into mapped_table (source, table_oid, mapping_hash) values (${source}, ${tableOid}, ${mappingHash})
      on conflict (source) do update set table_oid = excluded.table_oid, mapping_hash = excluded.mapping_hash`.execute(
      db,
    )
    await sql`
      with former as (
        delete from backfill where source = ${source} and finished_at is null returning start_xid)
      insert into backfill (era, source, reason, rows_estimated, start_xid)
      values (${era}, ${source}, ${reason}, ${rowsEstimated},
        greatest(${startXid === null ? null : startXid.toString()}::xid8, (select max(start_xid::text::numeric)::text::xid8 from former)))`.execute(
      db,
    )
  }
}
