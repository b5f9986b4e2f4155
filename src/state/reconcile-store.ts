// What `reconcile` and the service's own sampling ask of the state, and the one thing they write: a user whom SuprSend does not
// hold as they should be is made due again, unless anything about them has moved since they were read. Writing goes in the
// order of the ids and in statements of a few rows; nobody who is in flight, waiting, set aside or held is touched.
import { type Kysely, sql } from 'kysely'
import { errorCode } from '../core/error.ts'
import type { Profile } from '../core/profile.ts'
import type { StoredUser } from '../core/reconcile.ts'
import type { ReconcileState, Repair, SampledUser } from '../core/reconcile-port.ts'
import { samplePercent } from '../core/sample.ts'
import { textArray } from './array-literal.ts'
import { readBounded } from './bounded-read.ts'
import type { Schema, StateDatabase } from './database.ts'
import { DROPPED_CODE } from './failed-store.ts'

/** Nothing of it waits, is under way or is held. */
const AT_REST = sql`(p.due_at is null and p.claimed_by is null and not p.held and not p.parked
  and (p.sending = '[]' or p.failure is not null))`
/** SuprSend has accepted exactly what is desired, and nothing is open. */
const SETTLED = sql`(p.due_at is null and p.claimed_by is null and not p.held and not p.parked and p.sending = '[]' and p.failure is null
  and p.desired_hash is not distinct from p.synced_hash)`

/** Those of `distinctIds` that have a profile in the state. */
export async function readStoredUsers(
  db: Kysely<Schema>,
  distinctIds: readonly string[],
): Promise<ReadonlyMap<string, StoredUser>> {
  const { rows } = await sql<{
    distinct_id: string
    desired_hash: string | null
    synced: Profile | null
    synced_hash: string | null
    pending: boolean
    set_aside: string | null
  }>`
    select distinct_id, desired_hash, synced, synced_hash, not ${AT_REST} as pending,
      coalesce(case when due_at is null then failure ->> 'code' end, ${DROPPED_CODE}) as set_aside
    from profile p where distinct_id = any(${distinctIds}::text[])`.execute(db)
  return new Map(
    rows.map((row) => [
      row.distinct_id,
      {
        desiredHash: row.desired_hash,
        synced: row.synced,
        syncedHash: row.synced_hash,
        isPending: row.pending,
        setAside: row.set_aside,
      },
    ]),
  )
}

/** Ids of everybody the state knows, in order, after `after`. */
export async function pageStoredIds(
  db: Kysely<Schema>,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<readonly string[]> {
  const { rows } = await sql<{ distinct_id: string }>`
    select distinct_id from profile where distinct_id > ${after} order by distinct_id limit ${limit}`.execute(db)
  return rows.map(({ distinct_id }) => distinct_id)
}

/** A random user of whom SuprSend should hold exactly what is desired; null: the draw was empty. */
export async function sampleSettledUser(db: Kysely<Schema>): Promise<SampledUser | null> {
  const { rows: sizes } = await sql<{ blocks: number }>`
    select (pg_relation_size('profile'::regclass) / current_setting('block_size')::int)::float8 as blocks`.execute(db)
  const { rows } = await sql<{
    distinct_id: string
    desired: Profile | null
    desired_hash: string | null
    synced: Profile | null
    synced_hash: string | null
  }>`
    with drawn as materialized (
      select p.distinct_id from profile p tablesample system (${samplePercent(1, sizes[0]?.blocks ?? 0)}::float4)
      where ${SETTLED} order by random() limit 1)
    select p.distinct_id, p.desired, p.desired_hash, p.synced, p.synced_hash
    from drawn join profile p using (distinct_id) where ${SETTLED}`.execute(db)
  const [row] = rows
  if (row === undefined) return null
  return {
    distinctId: row.distinct_id,
    desired: row.desired,
    desiredHash: row.desired_hash,
    stored: {
      desiredHash: row.desired_hash,
      synced: row.synced,
      syncedHash: row.synced_hash,
      isPending: false,
      setAside: null,
    },
  }
}

/**
 * Makes these users due, behind live edits. `create`: what was sent is forgotten, so that it is sent as for the first time.
 * `whole`: an attempt of unknown outcome is noted, so that everything is said again and what must go is removed.
 * @returns the ids of those who were still as they had been read.
 */
export async function repairUsers(db: Kysely<Schema>, repairs: readonly Repair[]): Promise<ReadonlySet<string>> {
  if (repairs.length === 0) return new Set()
  const { rows } = await sql<{ distinct_id: string }>`
    with input as (
      select * from unnest(
        ${textArray(repairs.map(({ distinctId }) => distinctId))}::text[],
        ${textArray(repairs.map(({ how }) => how))}::text[],
        ${textArray(repairs.map(({ desiredHash }) => desiredHash))}::text[]
      ) as i (distinct_id, how, desired_hash)),
    locked as materialized (
      select p.distinct_id, i.how from profile p join input i using (distinct_id)
      where ${SETTLED} and p.desired_hash is not distinct from i.desired_hash
      order by p.distinct_id for update of p)
    update profile p set
      synced = case when l.how = 'create' then null else p.synced end,
      synced_hash = case when l.how = 'create' then null else p.synced_hash end,
      sending = case when l.how = 'create' then p.sending
        else p.sending || jsonb_build_array(jsonb_build_object('token', '', 'target', p.desired)) end,
      lane = 1, due_at = clock_timestamp(), pending_since = clock_timestamp(), attempts = 0
    from locked l where p.distinct_id = l.distinct_id
    returning p.distinct_id`.execute(db)
  return new Set(rows.map(({ distinct_id }) => distinct_id))
}

/** While the service stops nothing of it may keep it waiting: what takes longer is given up. */
const TIMEOUT_MS = 900
/** Of query_canceled, which is what a time-out is. */
const CANCELED = '57014'

/** For the running service: one user at a time. */
export class ReconcileStore implements ReconcileState {
  readonly #db: StateDatabase

  constructor(db: StateDatabase) {
    this.#db = db
  }

  async sample(): Promise<SampledUser | null> {
    return await readBounded(this.#db, TIMEOUT_MS, sampleSettledUser)
  }

  async repair(repair: Repair): Promise<boolean> {
    try {
      return await this.#db.transaction().execute(async (transaction) => {
        await sql`select set_config('statement_timeout', ${String(TIMEOUT_MS)}, true)`.execute(transaction)
        return (await repairUsers(transaction, [repair])).size > 0
      })
    } catch (error) {
      // Somebody has its row locked: it moves.
      if (errorCode(error) === CANCELED) return false
      throw error
    }
  }
}
