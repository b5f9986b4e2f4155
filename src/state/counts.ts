// How many users are pending, failed, or lack a value. Cheap with millions of users: each count walks a partial index and
// stops at a limit, and is ordered like its index so that the planner takes it whatever its statistics say. What reached the
// limit says so: "at least".
import { type Kysely, sql } from 'kysely'
import { BUCKETS } from '../core/buckets.ts'
import type { CodeCounts, LeftOutCounts, PendingReport, UserCount } from '../core/status-report.ts'
import type { Schema } from './database.ts'

/** Enough to see the oldest where the queue is not much longer; 10 ms. */
const OLDEST_SAMPLE = 2_000

export async function countUsers(db: Kysely<Schema>, limit: number): Promise<UserCount> {
  const { rows } = await sql<{ counted: number; estimate: number }>`
    select (select count(*) from (select from profile limit ${limit + 1}) as few)::int as counted,
      (select reltuples::float8 from pg_class where oid = 'profile'::regclass) as estimate`.execute(db)
  const { counted = 0, estimate = 0 } = rows[0] ?? {}
  // Without statistics yet the estimate is -1.
  return counted <= limit
    ? { count: counted, estimated: false }
    : { count: Math.max(counted, Math.round(estimate)), estimated: true }
}

export async function countPending(db: Kysely<Schema>, limit: number): Promise<PendingReport> {
  const { rows } = await sql<{
    total: number
    due: number
    parked: number
    live_ms: number | null
    backfill_ms: number | null
  }>`
    with pending as (select due_at from profile where due_at is not null order by bucket, lane, due_at limit ${limit}),
    parked as (select due_at from profile where parked order by distinct_id limit ${limit}),
    oldest as (
      (select o.lane, o.pending_since, o.changed_at
       from generate_series(0, ${BUCKETS - 1}) b (bucket) cross join (values (0), (1)) l (lane) cross join lateral (
         select p.lane, p.pending_since, p.changed_at from profile p
         where p.bucket = b.bucket and p.lane = l.lane and p.due_at is not null
         order by p.due_at limit ${Math.ceil(OLDEST_SAMPLE / BUCKETS)}) o)
      union all
      (select lane, pending_since, changed_at from profile where failure is not null and due_at is not null
       order by failure ->> 'code' limit ${OLDEST_SAMPLE})),
    since as (
      select min(coalesce(pending_since, changed_at)) filter (where lane = 0) as live,
        min(coalesce(pending_since, changed_at)) filter (where lane = 1) as backfill from oldest)
    select least(${limit}, (select count(*) from pending) + (select count(*) from parked where due_at is null))::int as total,
      (select count(*) from pending where due_at <= clock_timestamp())::int as due,
      (select count(*) from parked)::int as parked,
      extract(epoch from clock_timestamp() - since.live)::float8 * 1000 as live_ms,
      extract(epoch from clock_timestamp() - since.backfill)::float8 * 1000 as backfill_ms
    from since`.execute(db)
  const { total = 0, due = 0, parked = 0, live_ms: live = null, backfill_ms: backfill = null } = rows[0] ?? {}
  const retrying = await sql<CodeRow>`
    select code, count(*)::int from (
      select failure ->> 'code' as code from profile where failure is not null and due_at is not null
      order by failure ->> 'code' limit ${limit}) as few
    group by code order by count desc, code`.execute(db)
  const ages = [live, backfill].filter((age) => age !== null).map((age) => Math.max(0, age))
  return {
    total,
    dueNow: due,
    parked,
    atLeast: total >= limit,
    oldestAgeMs: ages.length === 0 ? null : Math.max(...ages),
    oldestLiveAgeMs: live === null ? null : Math.max(0, live),
    retrying: codeCounts(retrying.rows, limit),
  }
}

interface CodeRow {
  readonly code: string
  readonly count: number
}

/** Users set aside, duplicates, and rows without a usable id: what `failed list` lists. */
export async function countFailed(db: Kysely<Schema>, limit: number): Promise<CodeCounts> {
  const { rows } = await sql<CodeRow>`
    select code, count(*)::int from (
      (select failure ->> 'code' as code from profile where failure is not null and due_at is null
       order by failure ->> 'code', distinct_id limit ${limit})
      union all
      (select 'duplicate_distinct_id' from source_row where duplicate order by distinct_id limit ${limit})
      union all
      (select 'invalid_distinct_id' from source_row
       where reasons @> '[{"code": "invalid_distinct_id"}]' and part is null order by key limit ${limit})) as few
    group by code order by count desc, code`.execute(db)
  return codeCounts(rows, limit)
}

/** Any of the parts that reached the limit is at least as large as it. */
function codeCounts(rows: readonly CodeRow[], limit: number): CodeCounts {
  return { byCode: rows, atLeast: rows.reduce((sum, { count }) => sum + count, 0) >= limit }
}

/** Values that failed their format, of rows that are users. `limit` counts rows. */
export async function countLeftOut(db: Kysely<Schema>, limit: number): Promise<LeftOutCounts> {
  const { rows } = await sql<{ rows: number; key: string | null; code: string | null; count: number }>`
    with few as materialized (
      select reasons from source_row where reasons is not null and part is not null order by key limit ${limit})
    select (select count(*) from few)::int as rows, reason ->> 'key' as key, reason ->> 'code' as code, count(*)::int
    from few, jsonb_array_elements(few.reasons) as reason
    group by 2, 3 order by count desc, key, code limit 100`.execute(db)
  return {
    byKey: rows.map(({ key, code, count }) => ({ key: key ?? '', code: code ?? '', count })),
    atLeast: (rows[0]?.rows ?? 0) >= limit,
  }
}
