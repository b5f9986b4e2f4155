// What a user would lose, in SQL: the channels SuprSend may hold of ours and the desired profile lacks. Used by what writes desired
// profiles and by what claims and records them, so that all mean the same.
import { type RawBuilder, sql } from 'kysely'

export interface KnownColumns {
  readonly synced: RawBuilder<unknown>
  readonly sending: RawBuilder<unknown>
}

/** Of `profile p`, as the row stands. */
export const STORED: KnownColumns = { synced: sql.ref('p.synced'), sending: sql.ref('p.sending') }

/** The loss of `profile p` must not be sent: the breaker is open and nobody has decided, or somebody has decided against it. */
export const IS_KEPT = sql`(p.held or p.rejected or (p.lost_at is not null and exists (select from breaker)))`

/** The channels of `synced` and of every open attempt, as one object; of each the newest that was sent. */
function knownChannels({ synced, sending }: KnownColumns): RawBuilder<unknown> {
  return sql`(coalesce(${synced} -> 'channels', '{}') || case when ${sending} = '[]' then '{}'::jsonb else coalesce((
      select jsonb_object_agg(c.key, c.value order by a.nth)
      from jsonb_array_elements(${sending}) with ordinality a (attempt, nth), jsonb_each(a.attempt -> 'target' -> 'channels') c), '{}') end)`
}

/** Whether sending `desired` deletes the user or empties a channel. */
export function loses(desired: RawBuilder<unknown>, known: KnownColumns, countsDeletion: boolean): RawBuilder<unknown> {
  return sql`(case when ${desired} is null then ${countsDeletion}::boolean and (${known.synced} is not null or ${known.sending} <> '[]')
    else ${knownChannels(known)} || (${desired} -> 'channels') <> (${desired} -> 'channels') end)`
}

/** Whether `desired` loses what the stored profile did not: a person who was shown the former loss has not seen it. */
export function losesMore(desired: RawBuilder<unknown>, countsDeletion: boolean): RawBuilder<unknown> {
  return loses(desired, { synced: sql.ref('p.desired'), sending: sql`'[]'::jsonb` }, countsDeletion)
}

/** What may be sent of a user whose loss is kept: what is desired, and the channels that would be emptied as they are. */
export function heldTarget(desired: RawBuilder<unknown>, known: KnownColumns): RawBuilder<unknown> {
  return sql`jsonb_set(${desired}, '{channels}', ${knownChannels(known)} || (${desired} -> 'channels'))`
}

/** Nothing but the loss is left to be sent. */
export function onlyLoses(desired: RawBuilder<unknown>, known: KnownColumns): RawBuilder<unknown> {
  return sql`(${desired} is null or (${known.sending} = '[]' and ${heldTarget(desired, known)} is not distinct from ${known.synced}))`
}
