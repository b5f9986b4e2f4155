// The statement that writes what users are to be: of a commit, or of those who were parked (core/parking.ts) and are so no more.
// `desired` is what SuprSend is to hold now; of who is parked, `eventual` is what their rows say.
import { type RawBuilder, sql } from 'kysely'
import type { ProfileWrite, StateCommit } from '../core/capture-port.ts'
import { formatLsn } from '../core/lsn.ts'
import { jsonArray, textArray } from './array-literal.ts'
import type { BreakerRules } from './breaker-store.ts'
import { reasonsText } from './capture-writes.ts'
import { hashOf } from './erase-store.ts'
import { loses, losesMore, onlyLoses, STORED } from './losses.ts'

/** Of one statement: millions may be parked. */
const UNPARKED_AT_ONCE = 10_000

/** As a relation, whose columns profilesStatement names. */
export function givenProfiles(profiles: readonly ProfileWrite[]): RawBuilder<unknown> {
  const now = profiles.map(({ desired, meanwhile }) => (meanwhile === undefined ? desired : meanwhile.desired))
  const eventual = profiles.map(({ desired, meanwhile }) => (meanwhile === undefined ? null : desired))
  return sql`unnest(
      ${textArray(profiles.map((profile) => profile.distinctId))}::text[],
      ${jsonArray(now.map((document) => document?.text ?? null))}::jsonb[],
      ${textArray(now.map((document) => document?.hash ?? null))}::text[],
      ${profiles.map(({ meanwhile }) => meanwhile !== undefined)}::boolean[],
      ${jsonArray(eventual.map((document) => document?.text ?? null))}::jsonb[],
      ${textArray(eventual.map((document) => document?.hash ?? null))}::text[],
      ${jsonArray(profiles.map((profile) => reasonsText(profile.reasons)))}::jsonb[],
      ${textArray(profiles.map((profile) => String(profile.firstChangedAt)))}::float8[],
      ${textArray(profiles.map((profile) => String(profile.lastChangedAt)))}::float8[],
      ${textArray(profiles.map((profile) => formatLsn(profile.changeLsn)))}::pg_lsn[]
    )`
}

/** Some of those who are parked, as they are to be in the end. */
export const SOME_PARKED = sql`(
    select distinct_id, eventual, eventual_hash, false, null::jsonb, null::text, reasons, changed_ms, changed_ms, change_lsn
    from profile, lateral (select extract(epoch from changed_at)::float8 * 1000 as changed_ms) c
    where parked order by distinct_id limit ${UNPARKED_AT_ONCE})`

/**
 * Of who was erased, what was streamed from before that is not sent until all of it is stored, the deletion at its end too. A page shows
 * who is there now.
 */
const ERASED_LSN = sql`case when i.change_lsn > '0/0' and exists (select from erased) then (
    select e.lsn from erased e where e.id_hash = ${hashOf(sql.ref('i.distinct_id'))} and e.era = (select era from checkpoint)) end`

export interface WrittenProfiles {
  readonly users: number
  readonly losses: number
  /** Somebody who was erased is to be noted when they come back. */
  readonly awaited: boolean
}

// In the order of the ids, as everything that locks several profiles: capture and a sender that records never deadlock.
// A user is due as soon as what it should be differs from what SuprSend accepted, or an outcome is open; one whose
// `desired` is as before keeps its backoff or failure, a newer edit of one that was set aside is tried again.
export function profilesStatement(
  given: RawBuilder<unknown>,
  lane: StateCommit['lane'],
  breaker: BreakerRules | null,
): RawBuilder<WrittenProfiles> {
  const desired = sql.ref('excluded.desired')
  const lost = breaker === null ? sql`false` : loses(desired, STORED, breaker.countsDeletions)
  // With other reasons alone nothing more is lost, and what was decided of it stands.
  const same = sql`(excluded.desired_hash is not distinct from p.desired_hash)`
  const more = breaker === null ? sql`false` : losesMore(desired, breaker.countsDeletions)
  // What somebody has decided to keep is kept, whatever else of the user changes.
  const rejected = sql`(p.rejected and (${same} or (${lost} and not ${more})))`
  const held = breaker === null ? sql`false` : sql`(exists (select from breaker) and ${lost} and not ${rejected})`
  const anew = sql`(not ${same} and ${lost} and ((p.lost_at is null and not p.rejected) or ${more}))`
  return sql`
    with written as (insert into profile as p (distinct_id, bucket, desired, desired_hash, parked, eventual, eventual_hash, reasons, lane,
      changed_at, pending_since, due_at, change_lsn)
    select i.distinct_id, (hashtextextended(i.distinct_id, 0) & 63)::smallint, i.desired, i.desired_hash, i.parked, i.eventual, i.eventual_hash, i.reasons, ${lane},
      to_timestamp(i.last_ms / 1000), case when i.desired is not null then to_timestamp(i.first_ms / 1000) end,
      case when i.desired is not null then clock_timestamp() end, greatest(i.change_lsn, ${ERASED_LSN})
    from ${given} as i (distinct_id, desired, desired_hash, parked, eventual, eventual_hash, reasons, first_ms, last_ms, change_lsn)
    where i.desired is not null or i.parked or exists (select from profile k where k.distinct_id = i.distinct_id)
    order by i.distinct_id collate "C"
    on conflict (distinct_id) do update set
      desired = excluded.desired, desired_hash = excluded.desired_hash, reasons = excluded.reasons,
      parked = excluded.parked, eventual = excluded.eventual, eventual_hash = excluded.eventual_hash,
      changed_at = excluded.changed_at, change_lsn = greatest(p.change_lsn, excluded.change_lsn),
      lane = case when p.due_at is null then excluded.lane else least(p.lane, excluded.lane) end,
      pending_since = case
        when excluded.desired_hash is not distinct from p.synced_hash and p.sending = '[]' then null
        else coalesce(p.pending_since, excluded.pending_since, excluded.changed_at) end,
      lost_at = case when ${anew} then now() when ${same} or ${lost} then p.lost_at end,
      lost_in = case when ${anew} then (select next from breaker_look) else p.lost_in end,
      held = case when ${same} then p.held else ${held} end, rejected = ${rejected}, erase = p.erase and excluded.desired is null,
      due_at = case
        when excluded.desired_hash is not distinct from p.synced_hash and p.sending = '[]' then null
        when (${held} or ${rejected}) and ${onlyLoses(desired, STORED)} then null
        when p.due_at is null and ${same} then null
        else coalesce(p.due_at, clock_timestamp()) end,
      attempts = case when p.due_at is null then 0 else p.attempts end,
      failure = case
        when p.due_at is null and excluded.desired_hash is not distinct from p.desired_hash
          and not (excluded.desired_hash is not distinct from p.synced_hash and p.sending = '[]') then p.failure
        when p.due_at is null then null
        when excluded.desired_hash is not distinct from p.synced_hash and p.sending = '[]' then null
        else p.failure end
    where p.desired_hash is distinct from excluded.desired_hash or p.reasons is distinct from excluded.reasons
      or p.parked <> excluded.parked or p.eventual_hash is distinct from excluded.eventual_hash
    returning p.lost_at = now() as lost)
    select count(*)::int as users, (count(*) filter (where lost))::int as losses, exists (select from erased where left_behind) as awaited from written`
}
