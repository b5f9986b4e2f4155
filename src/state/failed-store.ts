// Users that were set aside, and rows that became nobody's profile: listing them, making users due again, or giving up what was
// refused of them. Never reads a profile, only its id and the failure (P8). Many go in bites, each a transaction of its own that
// locks in the order of the ids as everybody does, so that capture and senders never wait long for it.
import { type Kysely, type RawBuilder, sql } from 'kysely'
import { SuprsyncError } from '../core/error.ts'
import { isRowFailure, ROW_FAILURES } from '../core/failed-row.ts'
import type { Schema, StateDatabase } from './database.ts'

export interface Failed {
  /** Null: the row has none that is usable. */
  readonly distinctId: string | null
  /** The primary key's text, where it is a row that failed and not a user. */
  readonly row: string | null
  readonly code: string
  readonly status: number | null
  /** The profile key that SuprSend's answer names. */
  readonly key: string | null
  /** These keys alone, everything else of the profile was sent; null: the whole user, or row. */
  readonly keys: readonly string[] | null
  readonly message: string
  readonly attempts: number
  /** When the oldest change that SuprSend has not accepted was committed; null for rows. Milliseconds since 1970. */
  readonly since: number | null
}

/** Users by code and id, then duplicates, then rows without a usable id. */
export async function listFailed(
  db: Kysely<Schema>,
  { code, limit }: { readonly code: string | null; readonly limit: number },
): Promise<readonly Failed[]> {
  const list: Failed[] = []
  if (code === null || !isRowFailure(code)) list.push(...(await listUsers(db, code, limit)))
  if (code === null || code === 'duplicate_distinct_id') list.push(...(await listDuplicates(db, limit - list.length)))
  if (code === null || code === 'invalid_distinct_id') list.push(...(await listUnusable(db, limit - list.length)))
  return list
}

async function listUsers(db: Kysely<Schema>, code: string | null, limit: number): Promise<readonly Failed[]> {
  const { rows } = await sql<{
    distinct_id: string
    code: string
    status: number | null
    key: string | null
    keys: readonly string[] | null
    message: string | null
    attempts: number
    since_ms: number
  }>`
    select distinct_id, failure ->> 'code' as code, (failure ->> 'status')::int as status, failure ->> 'key' as key,
      failure -> 'keys' as keys, failure ->> 'message' as message, attempts, extract(epoch from coalesce(pending_since, changed_at))::float8 * 1000 as since_ms
    from profile where failure is not null and due_at is null ${ofCode(code)}
    order by failure ->> 'code', distinct_id limit ${limit}`.execute(db)
  return rows.map((row) => ({
    distinctId: row.distinct_id,
    row: null,
    code: row.code,
    status: row.status,
    key: row.key,
    keys: row.keys,
    message: row.message ?? '',
    attempts: row.attempts,
    since: row.since_ms,
  }))
}

function ofCode(code: string | null) {
  return code === null ? sql`` : sql`and failure ->> 'code' = ${code}`
}

async function listDuplicates(db: Kysely<Schema>, limit: number): Promise<readonly Failed[]> {
  if (limit <= 0) return []
  const { rows } = await sql<{ distinct_id: string; key: string; first: string | null }>`
    select r.distinct_id, r.key, (
      select f.key from source_row f
      where f.distinct_id = r.distinct_id and f.source = r.source and f.part is not null and not f.duplicate limit 1) as first
    from source_row r where r.duplicate order by r.distinct_id, r.key limit ${limit}`.execute(db)
  return rows.map((row) => ({
    ...rowFailure('duplicate_distinct_id', row.key),
    distinctId: row.distinct_id,
    ...(row.first !== null && { message: `row ${row.first} has the same distinct_id and goes before row ${row.key}` }),
  }))
}

async function listUnusable(db: Kysely<Schema>, limit: number): Promise<readonly Failed[]> {
  if (limit <= 0) return []
  const { rows } = await sql<{ key: string }>`
    select key from source_row where reasons @> '[{"code": "invalid_distinct_id"}]' and part is null
    order by key limit ${limit}`.execute(db)
  return rows.map((row) => rowFailure('invalid_distinct_id', row.key))
}

function rowFailure(code: keyof typeof ROW_FAILURES, row: string): Failed {
  const { message } = ROW_FAILURES[code]
  return { distinctId: null, row, code, status: null, key: null, keys: null, message, attempts: 0, since: null }
}

/** What happens to those who are set aside. */
export type Remedy =
  /** They are due at once. In the lane of backfills where they are many: live edits go before them. */
  | 'retry'
  /** What was refused is given up: nothing is sent until their rows change. */
  | 'drop'

function remedied(remedy: Remedy, lane: 0 | 1): RawBuilder<unknown> {
  return remedy === 'retry'
    ? sql`due_at = clock_timestamp(), attempts = 0, failure = null, lane = ${lane}`
    : sql`dropped = p.failure ->> 'code', attempts = 0, failure = null, pending_since = null`
}

/**
 * These users, all or none.
 * @throws SuprsyncError user_not_failed when one of them is not set aside; then nothing was changed.
 */
export async function remedyUsers(db: StateDatabase, remedy: Remedy, distinctIds: readonly string[]): Promise<number> {
  const wanted = [...new Set(distinctIds)]
  return await db.transaction().execute(async (transaction) => {
    const { rows } = await sql<{ distinct_id: string }>`
      with locked as materialized (
        select distinct_id from profile
        where distinct_id = any(${wanted}::text[]) and failure is not null and due_at is null
        order by distinct_id for update)
      update profile p set ${remedied(remedy, 0)}
      from locked where p.distinct_id = locked.distinct_id
      returning p.distinct_id`.execute(transaction)
    const done = new Set(rows.map((row) => row.distinct_id))
    const others = wanted.filter((id) => !done.has(id))
    if (others.length > 0) throw await notFailed(transaction, others)
    return done.size
  })
}

/** The code of what was given up, of a `profile`; null: nothing was, or something else is wanted by now. */
export const DROPPED_CODE = sql`case when due_at is null and desired_hash is distinct from synced_hash then dropped end`

const MOST_NAMED = 10

async function notFailed(db: Kysely<Schema>, distinctIds: readonly string[]): Promise<SuprsyncError> {
  const named = distinctIds.slice(0, MOST_NAMED)
  const { rows } = await sql<{ distinct_id: string; due: boolean; given_up: boolean }>`
    select distinct_id, due_at is not null as due, ${DROPPED_CODE} is not null as given_up from profile where distinct_id = any(${named}::text[])`.execute(
    db,
  )
  const known = new Map(rows.map((row) => [row.distinct_id, row]))
  const words = named.map((id) => {
    const row = known.get(id)
    const rests = row?.given_up ? 'given up until its row changes' : 'in step with SuprSend'
    return `${JSON.stringify(id)} (${row === undefined ? 'unknown' : row.due ? 'waits to be sent' : rests})`
  })
  const more = distinctIds.length > named.length ? ` and ${distinctIds.length - named.length} more` : ''
  return new SuprsyncError('user_not_failed', `Not set aside: ${words.join(', ')}${more}; nothing was changed.`, {
    details: { next: '`suprsync failed list` shows who is set aside' },
  })
}

/** Short enough that capture and senders hardly notice. */
const BITE = 2_000

/** All that are set aside, or those of one code; each user once, even if it fails again meanwhile. */
export async function remedyAllFailed(db: StateDatabase, remedy: Remedy, code: string | null): Promise<number> {
  let users = 0
  let after: { readonly code: string; readonly distinctId: string } = { code: '', distinctId: '' }
  for (;;) {
    const bite = await remedyBite(db, remedy, code, after)
    users += bite.users
    if (bite.last === null) return users
    after = bite.last
  }
}

/** In words that the index of the failed does not fit, for the same reason as STILL_DUE (due.ts): few are read again, by their keys. */
const STILL_FAILED = sql`coalesce(failure ->> 'code', '') <> '' and coalesce(due_at, 'infinity') = 'infinity'`

async function remedyBite(
  db: StateDatabase,
  remedy: Remedy,
  code: string | null,
  after: { readonly code: string; readonly distinctId: string },
): Promise<{ readonly users: number; readonly last: typeof after | null }> {
  const { rows } = await sql<{ users: number; code: string | null; distinct_id: string | null }>`
    with picked as materialized (
      select failure ->> 'code' as code, distinct_id from profile
      where failure is not null and due_at is null ${ofCode(code)}
        and (failure ->> 'code', distinct_id) > (${after.code}::text, ${after.distinctId}::text)
      order by failure ->> 'code', distinct_id limit ${BITE}),
    locked as materialized (
      select distinct_id from profile
      where distinct_id in (select distinct_id from picked) and ${STILL_FAILED}
      order by distinct_id for update),
    changed as (
      update profile p set ${remedied(remedy, 1)}
      from locked where p.distinct_id = locked.distinct_id
      returning p.distinct_id)
    select (select count(*) from changed)::int as users, last.code, last.distinct_id
    from (select) as one left join (select code, distinct_id from picked order by code desc, distinct_id desc limit 1) as last on true`.execute(
    db,
  )
  const { users = 0, code: lastCode = null, distinct_id: lastId = null } = rows[0] ?? {}
  return { users, last: lastCode === null || lastId === null ? null : { code: lastCode, distinctId: lastId } }
}
