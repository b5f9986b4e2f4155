// What `status` and the metrics read of the state: whether it is there, who holds the locks, the backfill.
// Read-only, a row each. What has to be counted is in counts.ts.
import { type Kysely, sql } from 'kysely'
import type { LockHolder, ReportedBackfill } from '../core/status-report.ts'
import type { Schema } from './database.ts'
import { lockName } from './lock-session.ts'

/** `denied`: the role may not use the schema. */
export async function findState(db: Kysely<Schema>, schema: string): Promise<'missing' | 'denied' | 'there'> {
  const { rows } = await sql<{ made: boolean; usable: boolean }>`
    select has_schema_privilege(n.oid, 'usage') as usable,
      exists (select from pg_class c where c.relnamespace = n.oid and c.relname = 'checkpoint' and c.relkind = 'r') as made
    from pg_namespace n where n.nspname = ${schema}`.execute(db)
  const row = rows[0]
  if (!row?.made) return 'missing'
  return row.usable ? 'there' : 'denied'
}

/** The session that holds the lock of capture, which nobody has without those of the buckets. */
export async function readLockHolder(db: Kysely<Schema>, schema: string): Promise<LockHolder | null> {
  const { rows } = await sql<{ pid: number; address: string | null; since_ms: number | null }>`
    select l.pid, host(a.client_addr) as address, extract(epoch from a.backend_start)::float8 * 1000 as since_ms
    from pg_locks l left join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.objid = 0
      and l.classid = hashtext(${lockName(schema)})::oid
      and l.database = (select oid from pg_database where datname = current_database())
    limit 1`.execute(db)
  const row = rows[0]
  return row ? { backendPid: row.pid, clientAddress: row.address, since: row.since_ms } : null
}

/** The run that is resumed first, else the one that ended last. */
export async function readBackfillReport(db: Kysely<Schema>): Promise<ReportedBackfill | null> {
  const { rows } = await sql<{
    id: string
    source: string
    reading_ms: number | null
    unfinished: number
    reason: string
    rows_read: string
    rows_estimated: string | null
    started_ms: number
    finished_ms: number | null
  }>`select id::text, source, reason, rows_read::text, rows_estimated::text,
      extract(epoch from started_at)::float8 * 1000 as started_ms,
      extract(epoch from finished_at)::float8 * 1000 as finished_ms,
      extract(epoch from clock_timestamp() - begun_at)::float8 * 1000 as reading_ms,
      (select count(*) from backfill where finished_at is null)::int as unfinished
    from backfill
    order by finished_at is not null, case when finished_at is null then id end, finished_at desc limit 1`.execute(db)
  const row = rows[0]
  if (!row) return null
  return {
    id: row.id,
    source: row.source,
    reason: row.reason,
    rowsRead: Number(row.rows_read),
    rowsEstimated: row.rows_estimated === null ? null : Number(row.rows_estimated),
    startedAt: row.started_ms,
    readingMs: row.reading_ms,
    unfinished: row.unfinished,
    finishedAt: row.finished_ms,
  }
}
