// What the state knows SuprSend to hold of users, for who only looks (`plan`, `reconcile`). Reads through bounded-read,
// changes nothing.
import { type Kysely, sql } from 'kysely'
import type { KnownUser } from '../core/plan-report.ts'
import type { Profile } from '../core/profile.ts'
import type { Attempt } from '../core/unclear.ts'
import type { Schema } from './database.ts'
import { DROPPED_CODE } from './failed-store.ts'

/** Those of `distinctIds` that have a profile in the state. */
export async function readKnownUsers(
  db: Kysely<Schema>,
  distinctIds: readonly string[],
): Promise<ReadonlyMap<string, KnownUser>> {
  const { rows } = await sql<{
    distinct_id: string
    synced: Profile | null
    sending: readonly Attempt[]
    set_aside: string | null
  }>`
    select distinct_id, synced, sending, coalesce(case when due_at is null then failure ->> 'code' end, ${DROPPED_CODE}) as set_aside
    from profile where distinct_id = any(${distinctIds}::text[])`.execute(db)
  return new Map(
    rows.map(({ distinct_id, synced, sending, set_aside }) => [
      distinct_id,
      { synced, unclear: sending.map(({ target }) => target), setAside: set_aside },
    ]),
  )
}

/** Ids of users of whom SuprSend may hold something, in order, after `after`. */
export async function pageSentUsers(
  db: Kysely<Schema>,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<readonly string[]> {
  const { rows } = await sql<{ distinct_id: string }>`
    select distinct_id from profile
    where distinct_id > ${after} and (synced is not null or sending <> '[]')
    order by distinct_id limit ${limit}`.execute(db)
  return rows.map(({ distinct_id }) => distinct_id)
}

/** Keys of the users rows that hold these ids, as the state knows them; child rows hold none. */
export async function readRowKeys(db: Kysely<Schema>, distinctIds: readonly string[]): Promise<readonly string[]> {
  const { rows } = await sql<{ key: string }>`
    select key from source_row where distinct_id = any(${distinctIds}::text[]) and part is not null order by key`.execute(
    db,
  )
  return rows.map(({ key }) => key)
}
