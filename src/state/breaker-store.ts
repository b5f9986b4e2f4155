// The circuit breaker in state: losses are counted in the transaction that stores them, and the one that trips it holds them all.
// `approve` lets go, `reject` leaves the users as SuprSend has them. Who decides is core/breaker.ts.
import { type Kysely, type RawBuilder, sql } from 'kysely'
import { type BreakerSettings, type OpenBreaker, trips, usersToCount } from '../core/breaker.ts'
import type { HeldUsers } from '../core/status-report.ts'
import type { Schema, StateDatabase } from './database.ts'
import { onlyLoses, STORED } from './losses.ts'

export interface BreakerRules {
  readonly settings: BreakerSettings
  /** Whether users who are gone are deleted or cleared at SuprSend: else that is no loss. */
  readonly countsDeletions: boolean
  /** Called within the transaction that tripped it. */
  readonly onTrip: () => void
}

/** Of one statement: millions may be held. */
const SLICE = 10_000
/** Beyond it the planner's estimate does. */
const MOST_COUNTED = 100_000

/** Within the transaction that stored them. @returns whether that tripped it. */
export async function countLosses(db: Kysely<Schema>, losses: number, settings: BreakerSettings): Promise<boolean> {
  const { rows } = await sql<{ recent: string; open: boolean }>`
    with gone as (delete from breaker_loss where at < now() - ${settings.windowMs} * interval '1 millisecond'),
      added as (insert into breaker_loss (at, losses) values (now(), ${losses})
        on conflict (at) do update set losses = breaker_loss.losses + excluded.losses)
    select (${losses} + coalesce(sum(losses), 0))::text as recent, exists (select from breaker) as open
    from breaker_loss where at >= now() - ${settings.windowMs} * interval '1 millisecond'`.execute(db)
  const recent = Number(rows[0]?.recent ?? 0)
  if (rows[0]?.open || recent < settings.minUsers) return false
  const users = await countUsers(db, usersToCount(recent, settings))
  if (!trips({ recent, users }, settings)) return false
  await sql`insert into breaker (recent, users) values (${recent}, ${users}) on conflict do nothing`.execute(db)
  // What is under way already is recorded as ever. In the order of the ids, as everything that locks several profiles.
  for (;;) {
    const { numAffectedRows = 0n } = await sql`
      with lost as materialized (
        select distinct_id from profile where lost_at is not null and not held order by distinct_id limit ${SLICE} for update)
      update profile p set held = true, due_at = case when ${onlyLoses(sql.ref('p.desired'), STORED)} then null else p.due_at end
      from lost where p.distinct_id = lost.distinct_id`.execute(db)
    if (numAffectedRows < SLICE) break
  }
  return true
}

async function countUsers(db: Kysely<Schema>, enough: number): Promise<number> {
  const limit = Math.min(enough, MOST_COUNTED)
  const { rows } = await sql<{ counted: number; estimated: number }>`
    select (select count(*) from (select from profile limit ${limit}) as few)::int as counted,
      (select reltuples from pg_class where oid = 'profile'::regclass)::float8 as estimated`.execute(db)
  const { counted, estimated } = rows[0] ?? { counted: 0, estimated: 0 }
  return counted < MOST_COUNTED ? counted : Math.max(counted, estimated)
}

/** Null while it is closed. */
export async function readBreaker(db: Kysely<Schema>): Promise<OpenBreaker | null> {
  const { rows } = await sql<{ opened_ms: number; recent: string; users: string }>`
    select extract(epoch from opened_at)::float8 * 1000 as opened_ms, recent::text, users::text from breaker`.execute(
    db,
  )
  const row = rows[0]
  return row ? { openedAt: row.opened_ms, recent: Number(row.recent), users: Number(row.users) } : null
}

export async function countHeld(db: Kysely<Schema>): Promise<HeldUsers> {
  const { rows } = await sql<{ deletions: number; channels: number }>`
    select count(*) filter (where desired is null)::int as deletions, count(*) filter (where desired is not null)::int as channels
    from profile where held`.execute(db)
  return rows[0] ?? { deletions: 0, channels: 0 }
}

/** What is held is sent. @returns how many users. */
export async function approveLosses(db: StateDatabase): Promise<number> {
  return await close(
    db,
    sql`held = false, due_at = clock_timestamp(), pending_since = coalesce(p.pending_since, p.changed_at), lane = 1`,
  )
}

/** What is held is not sent: the users stay as SuprSend has them, until their rows change again. */
export async function rejectLosses(db: StateDatabase): Promise<number> {
  return await close(db, sql`held = false, lost_at = null, due_at = null, pending_since = null`)
}

/** In slices, for millions may be held; begun again if interrupted. */
async function close(db: StateDatabase, assignments: RawBuilder<unknown>): Promise<number> {
  await db.transaction().execute(async (transaction) => {
    // Whoever stores a loss begins with this row: from now on it finds the breaker closed.
    await sql`select from checkpoint for update`.execute(transaction)
    await sql`delete from breaker`.execute(transaction)
    await sql`delete from breaker_loss`.execute(transaction)
  })
  let users = 0
  for (;;) {
    const { numAffectedRows = 0n } = await sql`
      with slice as materialized (
        select distinct_id from profile where held order by distinct_id limit ${SLICE} for update)
      update profile p set ${assignments} from slice where p.distinct_id = slice.distinct_id`.execute(db)
    users += Number(numAffectedRows)
    if (numAffectedRows < SLICE) return users
  }
}
