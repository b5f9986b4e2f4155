// Users who wait until everything is read under another mapping (core/parking.ts), in SQL: who is parked, and letting go of them.
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Parking } from '../core/parking.ts'
import type { BreakerRules } from './breaker-store.ts'
import type { Schema } from './database.ts'
import { loses, onlyLoses, STORED } from './losses.ts'

/** Their lane: no sender claims from it. A number for SQL, so that the planner sees it. */
export const PARKED = sql.raw('2')
/** Of one statement: millions may be parked. */
const AT_ONCE = 10_000

const IS_PARKED = sql`(p.lane = ${PARKED} and p.due_at is not null)`
/** What SuprSend holds of ours, or will when the attempt under way has ended. */
const KNOWN = sql`coalesce(nullif(p.sending -> -1 -> 'target', 'null'), p.synced)`

/** Whether the user of `profile p`, who is to be `excluded.desired` now, has to wait. */
export function parks(parking: Parking): RawBuilder<unknown> {
  switch (parking) {
    case 'none':
      return sql`false`
    case 'lost':
      return sql`(${lacks('value')} or (excluded.desired is null and ${KNOWN} is not null))`
    case 'kept':
      return sql`(${IS_PARKED} and ${lacks('value')})`
    case 'emptied':
      return sql`(case when ${IS_PARKED} then ${lacks('value')} else ${lacks('key')} end)`
  }
}

function lacks(what: 'value' | 'key'): RawBuilder<unknown> {
  const keeps =
    what === 'value'
      ? sql`excluded.desired -> 'channels' @> (${KNOWN} -> 'channels')`
      : sql`excluded.desired -> 'channels' ?& array(select jsonb_object_keys(${KNOWN} -> 'channels'))`
  return sql`(excluded.desired is not null and ${KNOWN} is not null
    and not (${keeps} and excluded.desired -> 'properties' ?& array(select jsonb_object_keys(${KNOWN} -> 'properties'))))`
}

/**
 * Some of those who are parked are so no more. In the order of the ids, as everything that locks several profiles.
 * @returns how many, and how many of them lose what the breaker counts.
 */
export async function unparkSome(
  db: Kysely<Schema>,
  breaker: BreakerRules | null,
): Promise<{ readonly users: number; readonly losses: number }> {
  const desired = sql.ref('p.desired')
  const lost = breaker === null ? sql`false` : loses(desired, STORED, breaker.countsDeletions)
  const held = sql`(exists (select from breaker) and ${lost})`
  const { rows } = await sql<{ users: number; losses: number }>`
    with picked as materialized (
      select distinct_id from profile where lane = ${PARKED} and due_at is not null order by due_at limit ${AT_ONCE}),
    locked as materialized (
      select distinct_id from profile where distinct_id in (select distinct_id from picked) order by distinct_id for update),
    unparked as (
      update profile p set lane = 1, lost_at = case when ${lost} then coalesce(p.lost_at, now()) end, held = ${held},
        lost_in = case when ${lost} and p.lost_at is null then (select next from breaker_look) else p.lost_in end,
        due_at = case when ${held} and ${onlyLoses(desired, STORED)} then null else p.due_at end
      from locked where p.distinct_id = locked.distinct_id and p.lane = ${PARKED}
      returning p.lost_at = now() as lost)
    select count(*)::int as users, (count(*) filter (where lost))::int as losses from unparked`.execute(db)
  return rows[0] ?? { users: 0, losses: 0 }
}
