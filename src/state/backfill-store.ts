// Backfill runs as state keeps them, and the mapping under which each table was stored: which runs are owed, and how far they
// are. Their progress is written by CaptureStore.commit, in the transaction of each page.
import { type Kysely, sql } from 'kysely'
import { type KnownTable, LEFT_OUT, STEPS, type TableState } from '../core/remap-decision.ts'
import type { TextRow } from '../core/row.ts'
import type { TableShape } from '../core/table-shape.ts'
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
  readonly sweep: boolean
  readonly paged: boolean
  readonly filter: string | null
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
    sweep: boolean
    paged: boolean
    filter: string | null
  }>`
    select id::text, source, start_xid::text, reason, cursor, rows_read::text, rows_estimated::text, first_snapshot::text, sweep, paged_at is not null as paged, filter from backfill
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
    sweep: row.sweep,
    paged: row.paged,
    filter: row.filter,
  }))
}

export async function readMappedTables(db: Kysely<Schema>): Promise<readonly KnownTable[]> {
  const { rows } = await sql<{
    source: string
    mapping_hash: string
    owner_hash: string | null
    shape: TableShape | null
    gap: string | null
  }>`
    select source, mapping_hash, owner_hash, shape, gap from mapped_table order by source`.execute(db)
  return rows.map(({ source, mapping_hash, owner_hash, shape, gap }) => ({
    ...{ source, shape, gap },
    ...{ mappingHash: mapping_hash, ownerHash: owner_hash },
  }))
}

/** How the table is followed from now on. */
export async function noteTable(
  db: Kysely<Schema>,
  { source, mappingHash, ownerHash, shape }: TableState,
): Promise<void> {
  await sql`
    insert into mapped_table (source, table_oid, mapping_hash, owner_hash, shape)
    values (${source}, ${shape.oid}, ${mappingHash}, ${ownerHash}, ${JSON.stringify(shape)}::jsonb)
    on conflict (source) do update set table_oid = excluded.table_oid, mapping_hash = excluded.mapping_hash,
      owner_hash = excluded.owner_hash, shape = excluded.shape, gap = null`.execute(db)
}

/** From now on nobody follows these tables: their readings are off, and should one come back, its changes were missed. */
export async function noteLeftOut(db: Kysely<Schema>, sources: readonly string[]): Promise<void> {
  await sql`delete from backfill where source = any(${sources}::text[]) and finished_at is null`.execute(db)
  await sql`update mapped_table set gap = ${LEFT_OUT} where source = any(${sources}::text[])`.execute(db)
}

export interface OwedTable extends TableState {
  readonly reason: string
  readonly rowsEstimated: number | null
  readonly sweep: boolean
  /** null: as the checkpoint says, or the run that this one takes the place of. */
  readonly startXid: bigint | null
}

/** Notes that these tables must be read: children before their users. Within a transaction. */
export async function oweBackfills(db: Kysely<Schema>, era: number, tables: readonly OwedTable[]): Promise<void> {
  for (const { reason, rowsEstimated, sweep, startXid, ...table } of tables) {
    const { source } = table
    await sql`
      with former as (
        delete from backfill where source = ${source} and finished_at is null returning start_xid, era, sweep, reason)
      insert into backfill (era, source, reason, rows_estimated, sweep, start_xid)
      values (${era}, ${source}, (
          select r from (select reason as r from former union all select ${reason}) reasons
          order by array_position(${STEPS}::text[], r) nulls last limit 1), ${rowsEstimated},
        ${sweep} or exists (select from former where former.sweep),
        greatest(${startXid === null ? null : startXid.toString()}::xid8, (select max(start_xid::text::numeric)::text::xid8 from former where former.era = ${era})))`.execute(
      db,
    )
  }
}
