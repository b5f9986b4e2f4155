// What a user would lose, in SQL: the channels SuprSend may hold of ours and the desired profile lacks. Used by what writes desired
// profiles and by what claims and records them, so that all mean the same.
import { type RawBuilder, sql } from 'kysely'

export interface KnownColumns {
  readonly synced: RawBuilder<unknown>
  readonly sending: RawBuilder<unknown>
}

/** Of `profile p`, as the row stands. */
export const STORED: KnownColumns = { synced: sql.ref('p.synced'), sending: sql.ref('p.sending') }

/** The channels of `synced` and of every open attempt, as one object. */
function knownChannels({ synced, sending }: KnownColumns): RawBuilder<unknown> {
  return sql`(case when ${sending} = '[]' then '{}'::jsonb else coalesce((
      select jsonb_object_agg(c.key, c.value) from jsonb_array_elements(${sending}) a, jsonb_each(a -> 'target' -> 'channels') c), '{}') end
    || coalesce(${synced} -> 'channels', '{}'))`
}

/** Whether sending `desired` deletes the user or empties a channel. */
export function loses(desired: RawBuilder<unknown>, known: KnownColumns, countsDeletion: boolean): RawBuilder<unknown> {
  return sql`(case when ${desired} is null then ${countsDeletion}::boolean and (${known.synced} is not null or ${known.sending} <> '[]')
    else ${knownChannels(known)} || (${desired} -> 'channels') <> (${desired} -> 'channels') end)`
}

/** What may be sent of a user who is held: what is desired, and the channels that would be emptied as they are. */
export function heldTarget(desired: RawBuilder<unknown>, known: KnownColumns): RawBuilder<unknown> {
  return sql`jsonb_set(${desired}, '{channels}', ${knownChannels(known)} || (${desired} -> 'channels'))`
}

/** Nothing but the loss is left to be sent. */
export function onlyLoses(desired: RawBuilder<unknown>, known: KnownColumns): RawBuilder<unknown> {
  return sql`(${desired} is null or (${known.sending} = '[]' and ${heldTarget(desired, known)} is not distinct from ${known.synced}))`
}
