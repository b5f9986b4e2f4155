// The statements of capture's transaction, each for any number of rows: source rows, desired profiles, the progress of a backfill.
// When they run, and behind which fence, is capture-store.ts.
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { BackfillProgress, RowWrite, StateCommit } from '../core/capture-port.ts'
import { SuprsyncError } from '../core/error.ts'
import { formatLsn } from '../core/lsn.ts'
import type { Reason } from '../core/profile.ts'
import { jsonArray, textArray } from './array-literal.ts'
import type { BreakerRules } from './breaker-store.ts'
import type { Schema } from './database.ts'
import { hashOf } from './erase-store.ts'
import { loses, losesMore, onlyLoses, STORED } from './losses.ts'
import { PARKED, parks } from './parked.ts'

export async function writeRows(db: Kysely<Schema>, era: number, rows: readonly RowWrite[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    insert into source_row as r (source, key, distinct_id, user_key, part, part_hash, row_hash, reasons, era, change_xid, change_lsn, read_snapshot, gone_at)
    select i.source, i.key, i.distinct_id, i.user_key, i.part, i.part_hash, i.row_hash, i.reasons, ${era}, i.change_xid, i.change_lsn, i.read_snapshot,
      case when i.part is null and i.reasons is null and i.change_xid is not null then now() end
    from unnest(
      ${textArray(rows.map((row) => row.source))}::text[],
      ${textArray(rows.map((row) => row.key))}::text[],
      ${textArray(rows.map((row) => row.content.distinctId))}::text[],
      ${textArray(rows.map((row) => row.content.userKey))}::text[],
      ${jsonArray(rows.map((row) => row.content.part?.text ?? null))}::jsonb[],
      ${textArray(rows.map((row) => row.content.partHash))}::text[],
      ${textArray(rows.map((row) => row.content.rowHash))}::text[],
      ${jsonArray(rows.map((row) => reasonsText(row.content.reasons)))}::jsonb[],
      ${textArray(rows.map((row) => row.version.changeXid?.toString() ?? null))}::xid8[],
      ${textArray(rows.map((row) => (row.version.changeLsn === null ? null : formatLsn(row.version.changeLsn))))}::pg_lsn[],
      ${textArray(rows.map((row) => row.version.readSnapshot?.text ?? null))}::pg_snapshot[]
    ) as i (source, key, distinct_id, user_key, part, part_hash, row_hash, reasons, change_xid, change_lsn, read_snapshot)
    on conflict (source, key) do update set
      distinct_id = excluded.distinct_id, user_key = excluded.user_key, part = excluded.part, part_hash = excluded.part_hash, row_hash = excluded.row_hash, reasons = excluded.reasons,
      era = excluded.era, change_xid = excluded.change_xid, change_lsn = excluded.change_lsn, read_snapshot = excluded.read_snapshot, gone_at = excluded.gone_at,
      duplicate = r.duplicate and excluded.part is not null`.execute(db)
}

export async function writeSeen(
  db: Kysely<Schema>,
  { source, rows, snapshot }: NonNullable<StateCommit['seen']>,
): Promise<void> {
  await sql`
    update source_row r set read_snapshot = ${snapshot.text}::pg_snapshot, row_hash = i.row_hash
    from unnest(${textArray(rows.map(({ key }) => key))}::text[], ${textArray(rows.map(({ rowHash }) => rowHash))}::text[]) as i (key, row_hash)
    where r.source = ${source} and r.key = i.key`.execute(db)
}

export async function forgetRows(
  db: Kysely<Schema>,
  { source, keys }: NonNullable<StateCommit['forget']>,
): Promise<void> {
  await sql`delete from source_row where source = ${source} and key = any(${textArray(keys)}::text[])`.execute(db)
}

export async function writeMarks(db: Kysely<Schema>, source: string, marks: StateCommit['marks']): Promise<void> {
  await sql`
    update source_row r set duplicate = i.duplicate
    from unnest(${marks.map((mark) => mark.key)}::text[], ${marks.map((mark) => mark.duplicate)}::boolean[]) as i (key, duplicate)
    where r.source = ${source} and r.key = i.key`.execute(db)
}

export async function writeBackfill(db: Kysely<Schema>, progress: BackfillProgress): Promise<void> {
  const { numAffectedRows } = await sql`
    update backfill set cursor = ${progress.cursor === null ? null : JSON.stringify(progress.cursor)}::jsonb, rows_read = ${progress.rowsRead},
      first_snapshot = coalesce(first_snapshot, ${progress.firstSnapshot}::pg_snapshot),
      paged_at = case when ${progress.paged} then coalesce(paged_at, now()) end,
      finished_at = case when ${progress.finished} then now() end
    where id = ${progress.id}::bigint and finished_at is null`.execute(db)
  if (numAffectedRows !== 1n) throw new SuprsyncError('backfill_cancelled', 'The reading was called off.')
}

export async function writeTruncate(
  db: Kysely<Schema>,
  era: number,
  truncate: NonNullable<StateCommit['truncate']>,
): Promise<void> {
  await sql`
    insert into source_table (source, era, truncate_xid, truncate_lsn)
    values (${truncate.source}, ${era}, ${truncate.xid.toString()}::xid8, ${formatLsn(truncate.lsn)}::pg_lsn)
    on conflict (source) do update set era = excluded.era, truncate_xid = excluded.truncate_xid, truncate_lsn = excluded.truncate_lsn`.execute(
    db,
  )
}

/**
 * Of who was erased, what was streamed from before that is not sent until all of it is stored, the deletion at its end too. A page shows
 * who is there now.
 */
const ERASED_LSN = sql`case when i.change_lsn > '0/0' and exists (select from erased) then (
    select e.lsn from erased e where e.id_hash = ${hashOf(sql.ref('i.distinct_id'))} and e.era = (select era from checkpoint)) end`

export interface WrittenProfiles {
  readonly losses: number
  /** Somebody who was erased is to be noted when they come back. */
  readonly awaited: boolean
}

// In the order of the ids, as everything that locks several profiles: capture and a sender that records never deadlock.
// A user is due as soon as what it should be differs from what SuprSend accepted, or an outcome is open; one whose
// `desired` is as before keeps its backoff or failure, a newer edit of one that was set aside is tried again.
export function profilesStatement(
  { profiles, lane, parking }: Pick<StateCommit, 'profiles' | 'lane' | 'parking'>,
  breaker: BreakerRules | null,
): RawBuilder<WrittenProfiles> {
  const desired = sql.ref('excluded.desired')
  const waits = parks(parking)
  // What is parked may come back with the next page: it is counted when it is let go.
  const lost =
    breaker === null ? sql`false` : sql`(not ${waits} and ${loses(desired, STORED, breaker.countsDeletions)})`
  const held = breaker === null ? sql`false` : sql`(exists (select from breaker) and ${lost})`
  // With other reasons alone nothing more is lost, and what was decided of it stands.
  const same = sql`(excluded.desired_hash is not distinct from p.desired_hash)`
  const anew =
    breaker === null
      ? sql`false`
      : sql`(not ${same} and ${lost} and (p.lost_at is null or ${losesMore(desired, breaker.countsDeletions)}))`
  return sql`
    with written as (insert into profile as p (distinct_id, bucket, desired, desired_hash, reasons, lane, changed_at, pending_since, due_at, change_lsn)
    select i.distinct_id, (hashtextextended(i.distinct_id, 0) & 63)::smallint, i.desired, i.desired_hash, i.reasons, ${lane},
      to_timestamp(i.last_ms / 1000), case when i.desired is not null then to_timestamp(i.first_ms / 1000) end,
      case when i.desired is not null then clock_timestamp() end, greatest(i.change_lsn, ${ERASED_LSN})
    from unnest(
      ${textArray(profiles.map((profile) => profile.distinctId))}::text[],
      ${jsonArray(profiles.map((profile) => profile.desired?.text ?? null))}::jsonb[],
      ${textArray(profiles.map((profile) => profile.desired?.hash ?? null))}::text[],
      ${jsonArray(profiles.map((profile) => reasonsText(profile.reasons)))}::jsonb[],
      ${textArray(profiles.map((profile) => String(profile.firstChangedAt)))}::float8[],
      ${textArray(profiles.map((profile) => String(profile.lastChangedAt)))}::float8[],
      ${textArray(profiles.map((profile) => formatLsn(profile.changeLsn)))}::pg_lsn[]
    ) as i (distinct_id, desired, desired_hash, reasons, first_ms, last_ms, change_lsn)
    where i.desired is not null or exists (select from profile k where k.distinct_id = i.distinct_id)
    order by i.distinct_id collate "C"
    on conflict (distinct_id) do update set
      desired = excluded.desired, desired_hash = excluded.desired_hash, reasons = excluded.reasons,
      changed_at = excluded.changed_at, change_lsn = greatest(p.change_lsn, excluded.change_lsn),
      lane = case when ${waits} then ${PARKED} when p.due_at is null or p.lane = ${PARKED} then excluded.lane
        else least(p.lane, excluded.lane) end,
      pending_since = case
        when excluded.desired_hash is not distinct from p.synced_hash and p.sending = '[]' then null
        else coalesce(p.pending_since, excluded.pending_since, excluded.changed_at) end,
      lost_at = case when ${anew} then now() when ${same} or ${lost} then p.lost_at end,
      lost_in = case when ${anew} then (select next from breaker_look) else p.lost_in end,
      held = case when ${same} then p.held else ${held} end, rejected = p.rejected and ${same}, erase = p.erase and excluded.desired is null,
      due_at = case
        when excluded.desired_hash is not distinct from p.synced_hash and p.sending = '[]' then null
        when ${held} and ${onlyLoses(desired, STORED)} then null
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
    returning p.lost_at = now() as lost)
    select (count(*) filter (where lost))::int as losses, exists (select from erased where left_behind) as awaited from written`
}

function reasonsText(reasons: readonly Reason[]): string | null {
  return reasons.length === 0 ? null : JSON.stringify(reasons)
}
