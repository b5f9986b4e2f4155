// Removes what nothing needs any more: profiles of users that are gone and settled, and tombstones that no page, no replay
// and no open outcome can ask for (DESIGN §6). In bounded bites; an idle database is not written to.
import { sql } from 'kysely'
import type pg from 'pg'
import type { StateDatabase } from './database.ts'

const BITE = 5_000

/** @param source where the rows come from: its snapshot tells which transactions are over. */
export async function tidy(db: StateDatabase, source: Pick<pg.Pool, 'query'>): Promise<void> {
  const gone = await sql<{ found: boolean }>`
    select exists (select from source_row where gone_at is not null) or exists (select from profile where gone and synced is null) as found`.execute(
    db,
  )
  if (!gone.rows[0]?.found) return
  await sql`
    delete from profile where distinct_id in (
      select distinct_id from profile
      where gone and synced is null and sending = '[]' and due_at is null and failure is null
      order by distinct_id limit ${BITE} for update skip locked)`.execute(db)
  const { rows } = await source.query<{ xmin: string }>('select pg_snapshot_xmin(pg_current_snapshot())::text as xmin')
  const xmin = rows[0]?.xmin
  if (xmin === undefined) return
  await sql`
    delete from source_row where (source, key) in (
      select r.source, r.key from source_row r
      where r.gone_at is not null
        and r.change_lsn < (select lsn from checkpoint)
        and r.change_xid < ${xmin}::xid8 and r.era = (select era from checkpoint)
        and not exists (select from backfill where finished_at is null)
        and not exists (select from profile p where p.distinct_id = r.distinct_id and p.sending <> '[]')
      order by r.gone_at limit ${BITE} for update skip locked)`.execute(db)
}
