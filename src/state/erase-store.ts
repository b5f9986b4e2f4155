// Erasing a user: the order goes the ordinary road (a pending profile whose target is nobody), and when SuprSend holds nothing more
// every row of state that names the user goes.
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Claim } from '../core/delivery-port.ts'
import { formatLsn, type Lsn } from '../core/lsn.ts'
import type { Profile } from '../core/profile.ts'
import type { Attempt } from '../core/unclear.ts'
import { textArray } from './array-literal.ts'
import type { Schema, StateDatabase } from './database.ts'

/** In SQL; a text that names nobody. */
export function hashOf(distinctId: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`sha256(convert_to(${distinctId}, 'UTF8'))`
}

/** Keys of rows that still make this user. */
export async function readLiveKeys(db: Kysely<Schema>, distinctId: string): Promise<readonly string[]> {
  const { rows } = await sql<{ key: string }>`
    select key from source_row where distinct_id = ${distinctId} and part is not null order by key limit 10`.execute(db)
  return rows.map(({ key }) => key)
}

/** What is not known to be there may be: it is deleted all the same. */
const PERHAPS = JSON.stringify([{ token: 'erase', target: { channels: {}, properties: {} } }])

export interface Order {
  readonly distinctId: string
  /** The source's position before its table was found to make no such user. */
  readonly lsn: Lsn
}

/**
 * Nothing is ordered while a row makes the user. What was committed before `lsn` and is still to be stored makes the user only until
 * its deletion is stored, and is not sent before that (capture-writes.ts).
 * @returns whether it was ordered.
 */
export async function orderErasure(db: StateDatabase, { distinctId, lsn }: Order): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    // Capture's transactions begin with this row: none is about to store such a row.
    await sql`select from checkpoint for update`.execute(transaction)
    if ((await readLiveKeys(transaction, distinctId)).length > 0) return false
    await sql`
      insert into erased (id_hash, era, lsn) select ${hashOf(sql`${distinctId}::text`)}, era, ${formatLsn(lsn)}::pg_lsn from checkpoint
      on conflict (id_hash) do update set era = excluded.era, lsn = excluded.lsn, returned_id = null`.execute(
      transaction,
    )
    await order(transaction, distinctId)
    return true
  })
}

async function order(db: Kysely<Schema>, distinctId: string): Promise<void> {
  await sql`
    insert into profile as p (distinct_id, bucket, sending, lane, changed_at, pending_since, due_at, change_lsn, erase)
    values (${distinctId}, (hashtextextended(${distinctId}, 0) & 63)::smallint, ${PERHAPS}::jsonb, 0, now(), now(), clock_timestamp(), '0/0', true)
    on conflict (distinct_id) do update set desired = null, desired_hash = null, parked = false, eventual = null, eventual_hash = null, erase = true, held = false, lost_at = null, rejected = false,
      failure = null, attempts = 0, lane = 0, pending_since = coalesce(p.pending_since, now()), due_at = clock_timestamp(),
      sending = case when p.synced is null and p.sending = '[]' then excluded.sending else p.sending end`.execute(db)
}

export type Erasure =
  | { readonly kind: 'pending'; readonly failure: string | null }
  /** SuprSend refused it. */
  | { readonly kind: 'set_aside'; readonly failure: string }
  /** Its row came back meanwhile. */
  | { readonly kind: 'returned' }
  | { readonly kind: 'done' }

export async function readErasure(db: Kysely<Schema>, distinctId: string): Promise<Erasure> {
  const { rows } = await sql<{ erase: boolean; open: boolean; due: boolean; failure: string | null }>`
    select erase, synced is not null or sending <> '[]' as open, due_at is not null as due, failure ->> 'code' as failure
    from profile where distinct_id = ${distinctId}`.execute(db)
  const row = rows[0]
  if (row === undefined) return { kind: 'done' }
  if (!row.erase) return { kind: 'returned' }
  if (!row.open && !row.due) return { kind: 'done' }
  return !row.due && row.failure !== null
    ? { kind: 'set_aside', failure: row.failure }
    : { kind: 'pending', failure: row.failure }
}

/** As a sender would claim it; for who holds the locks. Null: its row came back before they were held. */
export async function readErasureClaim(db: Kysely<Schema>, distinctId: string): Promise<Claim | null> {
  const { rows } = await sql<{
    synced: Profile | null
    synced_hash: string | null
    sending: readonly Attempt[]
    erase: boolean
  }>`select synced, synced_hash, sending, erase from profile where distinct_id = ${distinctId}`.execute(db)
  const row = rows[0]
  if (row?.erase === false) return null
  return {
    distinctId,
    bucket: 0,
    token: 'erase',
    desired: null,
    desiredHash: null,
    held: false,
    loses: false,
    erase: true,
    synced: row?.synced ?? null,
    syncedHash: row?.synced_hash ?? null,
    unclear: row?.sending ?? [],
    attempts: 0,
    failingSince: null,
    pendingSince: Date.now(),
  }
}

/**
 * Removes every row that names the user. A tombstone may still be asked for while pages are being read: then nothing is done.
 * @param told SuprSend holds nothing of it, as this process knows; else only what state says so of goes.
 * @returns whether it was done.
 */
export async function purgeUser(
  db: StateDatabase,
  distinctId: string,
  { told }: { readonly told: boolean },
): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    // Capture's transactions begin with this row: none is under way.
    await sql`select from checkpoint for update`.execute(transaction)
    const { rows } = await sql<{ busy: boolean }>`
      select exists (select from backfill where finished_at is null) as busy`.execute(transaction)
    if (rows[0]?.busy) return false
    await sql`
      with forgotten as (
        delete from source_row where user_key in (
          select key from source_row where distinct_id = ${distinctId} and user_key is null)
        returning part)
      update erased set left_behind = true
      where id_hash = ${hashOf(sql`${distinctId}::text`)} and exists (select from forgotten where part is not null)`.execute(
      transaction,
    )
    await sql`delete from source_row where distinct_id = ${distinctId} and part is null`.execute(transaction)
    // Conditions and keys may name the user; of readings that are over nobody asks for them.
    await sql`update backfill set filter = null, cursor = null where filter is not null or cursor is not null`.execute(
      transaction,
    )
    await sql`
      delete from profile where distinct_id = ${distinctId} and desired is null
        and (${told}::boolean or (synced is null and sending = '[]'))`.execute(transaction)
    return true
  })
}

/**
 * Of users who are there, those who were erased with child rows left behind. What the stream still brings from before makes nobody come
 * back.
 */
export async function noteReturned(
  db: Kysely<Schema>,
  users: readonly { readonly distinctId: string; readonly changeLsn: Lsn }[],
): Promise<void> {
  await sql`
    update erased e set returned_id = i.distinct_id
    from unnest(${textArray(users.map(({ distinctId }) => distinctId))}::text[],
      ${textArray(users.map(({ changeLsn }) => formatLsn(changeLsn)))}::pg_lsn[]) as i (distinct_id, change_lsn)
    where e.left_behind and e.id_hash = ${hashOf(sql.ref('i.distinct_id'))} and (i.change_lsn = '0/0' or i.change_lsn >= e.lsn)`.execute(
    db,
  )
}

export async function readReturned(db: Kysely<Schema>): Promise<readonly string[]> {
  const { rows } = await sql<{ returned_id: string }>`
    select returned_id from erased where returned_id is not null order by returned_id limit 10`.execute(db)
  return rows.map(({ returned_id }) => returned_id)
}

/** Its child rows are being read again, or nobody is there of whom there could be any. */
export async function forgetReturned(
  db: Kysely<Schema>,
  distinctId: string,
  { read }: { readonly read: boolean },
): Promise<void> {
  await (read
    ? sql`delete from erased where returned_id = ${distinctId}`.execute(db)
    : sql`update erased set returned_id = null where returned_id = ${distinctId}`.execute(db))
}

export async function readPosition(db: Kysely<Schema>): Promise<string | null> {
  const { rows } = await sql<{ lsn: string }>`select lsn::text from checkpoint`.execute(db)
  return rows[0]?.lsn ?? null
}
