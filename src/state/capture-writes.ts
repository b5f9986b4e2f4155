// The statements of capture's transaction, each for any number of rows: source rows, desired profiles, the progress of a backfill.
// When they run, and behind which fence, is capture-store.ts.
import { type Kysely, sql } from 'kysely'
import type { BackfillProgress, RowWrite, StateCommit } from '../core/capture-port.ts'
import { SuprsyncError } from '../core/error.ts'
import { formatLsn } from '../core/lsn.ts'
import type { Reason } from '../core/profile.ts'
import { jsonArray, textArray } from './array-literal.ts'
import type { Schema } from './database.ts'

export async function writeRows(db: Kysely<Schema>, era: number, rows: readonly RowWrite[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    insert into source_row as r (source, key, distinct_id, user_key, part, part_hash, row_hash, reasons, era, change_xid, change_lsn, read_snapshot, gone_at)
    select i.source, i.key, i.distinct_id, i.user_key, i.part, i.part_hash, i.row_hash, i.reasons, ${era}, i.change_xid, i.change_lsn, i.read_snapshot,
      case when i.part is null and i.reasons is null and i.change_xid is not null then now() end
    from unnest(
      ${textArray(rows.map((row) => row.source))}::text[],
      ${textArray(rows.map((row) => row.key))}::text[],
      ${textArray(rows.map((row) => row.content.distinctId))}::text[],
      ${textArray(rows.map((row) => row.content.userKey))}::text[],
      ${jsonArray(rows.map((row) => row.content.part?.text ?? null))}::jsonb[],
      ${textArray(rows.map((row) => row.content.partHash))}::text[],
      ${textArray(rows.map((row) => row.content.rowHash))}::text[],
      ${jsonArray(rows.map((row) => reasonsText(row.content.reasons)))}::jsonb[],
      ${textArray(rows.map((row) => row.version.changeXid?.toString() ?? null))}::xid8[],
      ${textArray(rows.map((row) => (row.version.changeLsn === null ? null : formatLsn(row.version.changeLsn))))}::pg_lsn[],
      ${textArray(rows.map((row) => row.version.readSnapshot?.text ?? null))}::pg_snapshot[]
    ) as i (source, key, distinct_id, user_key, part, part_hash, row_hash, reasons, change_xid, change_lsn, read_snapshot)
    on conflict (source, key) do update set
      distinct_id = excluded.distinct_id, user_key = excluded.user_key, part = excluded.part, part_hash = excluded.part_hash, row_hash = excluded.row_hash, reasons = excluded.reasons,
      era = excluded.era, change_xid = excluded.change_xid, change_lsn = excluded.change_lsn, read_snapshot = excluded.read_snapshot, gone_at = excluded.gone_at,
      duplicate = r.duplicate and excluded.part is not null`.execute(db)
}

export async function writeSeen(
  db: Kysely<Schema>,
  { source, rows, snapshot }: NonNullable<StateCommit['seen']>,
): Promise<void> {
  await sql`
    update source_row r set read_snapshot = ${snapshot.text}::pg_snapshot, row_hash = i.row_hash
    from unnest(${textArray(rows.map(({ key }) => key))}::text[], ${textArray(rows.map(({ rowHash }) => rowHash))}::text[]) as i (key, row_hash)
    where r.source = ${source} and r.key = i.key`.execute(db)
}

export async function forgetRows(
  db: Kysely<Schema>,
  { source, keys }: NonNullable<StateCommit['forget']>,
): Promise<void> {
  await sql`delete from source_row where source = ${source} and key = any(${textArray(keys)}::text[])`.execute(db)
}

export async function writeMarks(db: Kysely<Schema>, source: string, marks: StateCommit['marks']): Promise<void> {
  await sql`
    update source_row r set duplicate = i.duplicate
    from unnest(${marks.map((mark) => mark.key)}::text[], ${marks.map((mark) => mark.duplicate)}::boolean[]) as i (key, duplicate)
    where r.source = ${source} and r.key = i.key`.execute(db)
}

export async function writeBackfill(db: Kysely<Schema>, progress: BackfillProgress): Promise<void> {
  const { numAffectedRows } = await sql`
    update backfill set cursor = ${progress.cursor === null ? null : JSON.stringify(progress.cursor)}::jsonb, rows_read = ${progress.rowsRead},
      first_snapshot = coalesce(first_snapshot, ${progress.firstSnapshot}::pg_snapshot),
      begun_at = coalesce(begun_at, now()), paged_at = case when ${progress.paged} then coalesce(paged_at, now()) end,
      finished_at = case when ${progress.finished} then now() end
    where id = ${progress.id}::bigint and finished_at is null`.execute(db)
  if (numAffectedRows !== 1n) throw new SuprsyncError('backfill_cancelled', 'The reading was called off.')
}

export async function writeTruncate(
  db: Kysely<Schema>,
  era: number,
  truncate: NonNullable<StateCommit['truncate']>,
): Promise<void> {
  await sql`
    insert into source_table (source, era, truncate_xid, truncate_lsn)
    values (${truncate.source}, ${era}, ${truncate.xid.toString()}::xid8, ${formatLsn(truncate.lsn)}::pg_lsn)
    on conflict (source) do update set era = excluded.era, truncate_xid = excluded.truncate_xid, truncate_lsn = excluded.truncate_lsn`.execute(
    db,
  )
}

/** As the column `reasons` holds them. */
export function reasonsText(reasons: readonly Reason[]): string | null {
  return reasons.length === 0 ? null : JSON.stringify(reasons)
}
