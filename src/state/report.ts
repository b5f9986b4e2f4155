// What `status` and the metrics read of the state: whether it is there, who captures, who sends, the backfill.
// Read-only, a row each. What has to be counted is in counts.ts.
import { type Kysely, sql } from 'kysely'
import { BUCKETS } from '../core/buckets.ts'
import type { ReportedSender } from '../core/senders.ts'
import type { LockHolder, ReportedBackfill } from '../core/status-report.ts'
import type { Schema } from './database.ts'
import { BEAT_SECOND, bucketLock, CAPTURE_LOCK, isOurBeat, isOurLock, SENDERS_LOCK } from './locks.ts'

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

/** The session that holds the lock of capture. */
export async function readLockHolder(db: Kysely<Schema>, schema: string): Promise<LockHolder | null> {
  const { rows } = await sql<{ pid: number; address: string | null; since_ms: number | null }>`
    select l.pid, host(a.client_addr) as address, extract(epoch from a.backend_start)::float8 * 1000 as since_ms
    from pg_locks l left join pg_stat_activity a on a.pid = l.pid
    where ${isOurLock(schema)} and l.objid = ${CAPTURE_LOCK} limit 1`.execute(db)
  const row = rows[0]
  return row ? { backendPid: row.pid, clientAddress: row.address, since: row.since_ms } : null
}

/** Those whose sessions are there, in the order in which they came. */
export async function readSenders(db: Kysely<Schema>, schema: string): Promise<readonly ReportedSender[]> {
  const { rows } = await sql<{
    host: string
    process: number
    pid: number
    started_ms: number
    silent_ms: number
    buckets: number
    in_hand: number
    accepted: number
    news: string | null
  }>`
    select s.host, s.process, s.pid, extract(epoch from s.started_at)::float8 * 1000 as started_ms,
      coalesce(${sql.raw(BEAT_SECOND)} - (select max(l.objid::int) from pg_locks l where ${isOurBeat(schema)} and l.pid = s.pid),
        extract(epoch from clock_timestamp() - s.started_at))::float8 * 1000 as silent_ms,
      (select count(*) from pg_locks l where ${isOurLock(schema)} and l.pid = s.pid
        and l.objid between ${bucketLock(0)} and ${bucketLock(BUCKETS - 1)})::int as buckets,
      coalesce((s.report ->> 'inHand')::int, 0) as in_hand, coalesce((s.report ->> 'acceptedPerSecond')::float8, 0) as accepted,
      case when s.news ->> 'kind' = 'unauthorized' or (s.news ->> 'untilMs')::float8 > extract(epoch from clock_timestamp()) * 1000
        then s.news ->> 'kind' end as news
    from sender s where exists (select from pg_locks l where ${isOurLock(schema)} and l.objid = ${SENDERS_LOCK} and l.pid = s.pid)
    order by s.started_at, s.id`.execute(db)
  return rows.map((row) => ({
    host: row.host,
    process: row.process,
    backendPid: row.pid,
    startedAt: row.started_ms,
    silentMs: Math.max(0, row.silent_ms),
    buckets: row.buckets,
    inHand: row.in_hand,
    acceptedPerSecond: row.accepted,
    news: row.news === 'throttled' || row.news === 'unauthorized' ? row.news : null,
  }))
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
