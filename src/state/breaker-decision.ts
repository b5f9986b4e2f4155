// What becomes of the losses that the circuit breaker holds. A look shows them, and numbers whatever is lost afterwards for the next
// one; `approve` and `reject` act on what their look showed and on nothing later, in slices, and close the breaker when nothing
// later waits. Interrupted, they leave it open with the rest, to be begun again.
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { HeldUsers } from '../core/status-report.ts'
import type { Schema, StateDatabase } from './database.ts'

/** What a person was shown. */
export interface Shown extends Pick<HeldUsers, 'deletions' | 'channels'> {
  readonly look: string
}

export interface Decided {
  readonly users: number
  /** More was lost since the look: the breaker holds it still. */
  readonly open: boolean
}

/** Of one statement: millions may be held. Whoever wants one of these rows waits for it. */
const SLICE = 5_000

export async function lookAtLosses(db: StateDatabase): Promise<Shown> {
  const look = await db.transaction().execute(async (transaction) => {
    await lockOutCapture(transaction)
    const { rows } = await sql<{ look: string }>`
      update breaker_look set next = next + 1 returning (next - 1)::text as look`.execute(transaction)
    return rows[0]?.look ?? '0'
  })
  let deletions = 0
  let channels = 0
  await eachSlice(async (after) => {
    const { rows } = await sql<Last & { deletions: number; channels: number }>`
      with slice as materialized (${sliceOf(look, after)})
      select (select count(*) from slice where gone)::int as deletions, (select count(*) from slice where not gone)::int as channels,
        ${LAST}`.execute(db)
    deletions += rows[0]?.deletions ?? 0
    channels += rows[0]?.channels ?? 0
    return rows[0]
  })
  return { look, deletions, channels }
}

/** What was shown is sent, behind live edits. */
export async function approveLosses(db: StateDatabase, { look }: Shown): Promise<Decided> {
  const rests = sql`(p.held and p.due_at is null)`
  return await decide(
    db,
    look,
    sql`held = false, lost_at = null, lane = case when ${rests} then 1 else p.lane end,
      due_at = case when ${rests} then clock_timestamp() else p.due_at end,
      pending_since = case when ${rests} then coalesce(p.pending_since, p.changed_at) else p.pending_since end`,
  )
}

/** What was shown is not sent, and everything else of these users is, then and later: as long as they lose that and nothing more. */
export async function rejectLosses(db: StateDatabase, { look }: Shown): Promise<Decided> {
  return await decide(
    db,
    look,
    sql`held = false, lost_at = null, rejected = true,
      pending_since = case when p.due_at is null and p.failure is null then null else p.pending_since end`,
  )
}

/** Whatever was rejected before is sent after all, behind live edits. @returns how many users. */
export async function approveRejected(db: StateDatabase): Promise<number> {
  for (let users = 0; ; ) {
    const { numAffectedRows = 0n } = await sql`
      with locked as materialized (
        select distinct_id from profile where rejected order by distinct_id limit ${SLICE} for update)
      update profile p set rejected = false, lane = case when p.due_at is null then 1 else p.lane end,
        due_at = coalesce(p.due_at, clock_timestamp()), pending_since = coalesce(p.pending_since, clock_timestamp())
      from locked where p.distinct_id = locked.distinct_id`.execute(db)
    users += Number(numAffectedRows)
    if (numAffectedRows === 0n) return users
  }
}

/** In words that the index of the losses does not fit, for the same reason as STILL_DUE (due.ts): few are read again, by their keys. */
const STILL_LOST = sql`coalesce(lost_at, 'infinity') < 'infinity'`

async function decide(db: StateDatabase, look: string, assignments: RawBuilder<unknown>): Promise<Decided> {
  let users = 0
  await eachSlice(async (after) => {
    // In the order of the ids, as everything that locks several profiles.
    const { rows } = await sql<Last & { users: number }>`
      with slice as materialized (${sliceOf(look, after)}),
      locked as materialized (
        select distinct_id from profile
        where distinct_id in (select distinct_id from slice) and ${STILL_LOST} and lost_in <= ${look}::bigint
        order by distinct_id for update),
      decided as (update profile p set ${assignments} from locked where p.distinct_id = locked.distinct_id returning p.distinct_id)
      select (select count(*) from decided)::int as users, ${LAST}`.execute(db)
    users += rows[0]?.users ?? 0
    return rows[0]
  })
  return { users, open: await closeUnlessMore(db, look) }
}

async function closeUnlessMore(db: StateDatabase, look: string): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    await lockOutCapture(transaction)
    await sql`update breaker_look set decided = greatest(decided, ${look}::bigint)`.execute(transaction)
    const { rows } = await sql<{ more: boolean }>`
      select exists (select from breaker)
        and exists (select from profile where lost_at is not null and lost_in > ${look}::bigint) as more`.execute(
      transaction,
    )
    if (rows[0]?.more) return true
    await sql`delete from breaker`.execute(transaction)
    await sql`delete from breaker_loss`.execute(transaction)
    return false
  })
}

/** Whoever stores a loss begins with this row: nobody is between numbering one and committing it, nor before holding one. */
async function lockOutCapture(transaction: Kysely<Schema>): Promise<void> {
  await sql`select from checkpoint for update`.execute(transaction)
}

interface Place {
  readonly lost_in: string
  readonly distinct_id: string
}

interface Last {
  readonly last: Place | null
}

const LAST = sql`(select jsonb_build_object('lost_in', lost_in::text, 'distinct_id', distinct_id) from slice
  order by slice.lost_in desc, slice.distinct_id desc limit 1) as last`

/** Begins where decisions have ended: what they took out of the index may still lie there. */
function sliceOf(look: string, after: Place | null): RawBuilder<unknown> {
  const from = after
    ? sql`(lost_in, distinct_id) > (${after.lost_in}::bigint, ${after.distinct_id}::text)`
    : sql`lost_in > (select decided from breaker_look)`
  return sql`
    select lost_in, distinct_id, gone from profile where lost_at is not null and ${from} and lost_in <= ${look}::bigint
    order by lost_in, distinct_id limit ${SLICE}`
}

async function eachSlice(work: (after: Place | null) => Promise<Last | undefined>): Promise<void> {
  for (let after: Place | null = null; ; ) {
    const last: Place | null = (await work(after))?.last ?? null
    if (last === null) return
    after = last
  }
}
