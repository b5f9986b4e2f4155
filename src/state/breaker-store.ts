// The circuit breaker in state: losses are counted in the transaction that stores them, and the one with which there are too many
// opens it. Whether it does is core/breaker.ts; what it holds is losses.ts, and what becomes of that breaker-decision.ts.
import { type Kysely, sql } from 'kysely'
import { type BreakerSettings, type OpenBreaker, trips, usersToCount } from '../core/breaker.ts'
import type { HeldUsers, RejectedUsers } from '../core/status-report.ts'
import type { Schema } from './database.ts'

export interface BreakerRules {
  readonly settings: BreakerSettings
  /** Whether users who are gone are deleted or cleared at SuprSend: else that is no loss. */
  readonly countsDeletions: boolean
  /** Called within the transaction that tripped it. */
  readonly onTrip: () => void
}

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
  // Holding them is left to whoever would send them (losses.ts): here it would walk them all, within a transaction of capture.
  await sql`insert into breaker (recent, users) values (${recent}, ${users}) on conflict do nothing`.execute(db)
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

/** Who waits for a decision, counted to `limit`. */
export async function countHeld(db: Kysely<Schema>, limit: number): Promise<HeldUsers> {
  const { rows } = await sql<{ deletions: number; channels: number }>`
    select count(*) filter (where gone)::int as deletions, count(*) filter (where not gone)::int as channels
    from (
      select gone from profile
      where lost_at is not null and lost_in > (select decided from breaker_look) and exists (select from breaker)
      order by lost_in, distinct_id limit ${limit}) as few`.execute(db)
  const { deletions = 0, channels = 0 } = rows[0] ?? {}
  return { deletions, channels, atLeast: deletions + channels >= limit }
}

/** Whose loss was rejected and is not sent, counted to `limit`. */
export async function countRejected(db: Kysely<Schema>, limit: number): Promise<RejectedUsers> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int from (select from profile where rejected order by distinct_id limit ${limit}) as few`.execute(
    db,
  )
  const { count = 0 } = rows[0] ?? {}
  return { count, atLeast: count >= limit }
}
