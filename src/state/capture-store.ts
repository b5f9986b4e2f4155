// What capture and backfill read and write: source rows, desired profiles, the checkpoint. Every write happens in one
// transaction that begins with the fence, the UPDATE of `checkpoint` for our own epoch: after a take-over by another
// process nothing of ours is committed (DESIGN §5.5). Batched: one statement for any number of rows.
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type {
  BackfillProgress,
  CaptureState,
  ProfileWrite,
  RowWrite,
  StateCommit,
  SweepCursor,
} from '../core/capture-port.ts'
import { SuprsyncError } from '../core/error.ts'
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts'
import { documentOf, type Profile, type Reason } from '../core/profile.ts'
import type { LiveChild, LiveRow } from '../core/profile-merge.ts'
import type { TableState } from '../core/remap-decision.ts'
import { parseSnapshot, type Snapshot } from '../core/snapshot.ts'
import type { StoredRow } from '../core/source-row.ts'
import { jsonArray, textArray } from './array-literal.ts'
import { noteTable, type OwedTable, oweBackfills } from './backfill-store.ts'
import { type BreakerRules, countLosses } from './breaker-store.ts'
import type { Schema, StateDatabase } from './database.ts'
import { loses, onlyLoses, STORED } from './losses.ts'

interface StoredRecord {
  key: string
  distinct_id: string | null
  user_key: string | null
  live: boolean
  part_hash: string | null
  era: number
  duplicate: boolean
  change_xid: string | null
  change_lsn: string | null
  read_snapshot: string | null
}

export class CaptureStore implements CaptureState {
  readonly #db: StateDatabase
  readonly #epoch: string
  readonly era: number

  readonly #breaker: BreakerRules | null

  /** @param breaker null: losses are not counted. */
  constructor(
    db: StateDatabase,
    owner: { readonly epoch: string; readonly era: number },
    breaker: BreakerRules | null,
  ) {
    this.#db = db
    this.#epoch = owner.epoch
    this.#breaker = breaker
    this.era = owner.era
  }

  async readRows(source: string, keys: readonly string[]): Promise<ReadonlyMap<string, StoredRow>> {
    const { rows } = await sql<StoredRecord>`
      select key, distinct_id, user_key, part is not null as live, part_hash, era, duplicate, change_xid::text, change_lsn::text, read_snapshot::text
      from source_row where source = ${source} and key = any(${textArray(keys)}::text[])`.execute(this.#db)
    const snapshots = new Map<string, Snapshot>()
    return new Map(rows.map((row) => [row.key, storedRow(row, snapshots)]))
  }

  async readChangedRows(
    source: string,
    wanted: readonly { readonly key: string; readonly rowHash: string | null }[],
  ): Promise<ReadonlyMap<string, StoredRow | null>> {
    const { rows } = await sql<StoredRecord & { known: boolean }>`
      select i.key, r.key is not null as known, r.distinct_id, r.user_key, r.part is not null as live, r.part_hash, r.era, r.duplicate,
        r.change_xid::text, r.change_lsn::text, r.read_snapshot::text
      from unnest(${textArray(wanted.map(({ key }) => key))}::text[], ${textArray(wanted.map(({ rowHash }) => rowHash))}::text[]) as i (key, row_hash)
      left join lateral (select * from source_row s where s.source = ${source} and s.key = i.key limit 1) r on true
      where i.row_hash is null or r.row_hash is distinct from i.row_hash or r.era <> ${this.era}`.execute(this.#db)
    const snapshots = new Map<string, Snapshot>()
    return new Map(rows.map((row) => [row.key, row.known ? storedRow(row, snapshots) : null]))
  }

  async readLiveRows(
    source: string,
    distinctIds: readonly string[],
    exceptKeys: readonly string[],
  ): Promise<readonly LiveRow[]> {
    const { rows } = await sql<{
      key: string
      distinct_id: string
      part: Profile
      reasons: readonly Reason[] | null
      duplicate: boolean
    }>`
      select r.key, r.distinct_id, r.part, r.reasons, r.duplicate from source_row r
      where r.distinct_id = any(${textArray(distinctIds)}::text[]) and r.part is not null and r.source = ${source}
        and not exists (select from unnest(${textArray(exceptKeys)}::text[]) as e (key) where e.key = r.key)`.execute(
      this.#db,
    )
    return rows.map((row) => ({
      key: row.key,
      distinctId: row.distinct_id,
      part: documentOf(row.part),
      reasons: row.reasons ?? [],
      duplicate: row.duplicate,
    }))
  }

  async readUserIds(source: string, keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const { rows } = await sql<{ key: string; distinct_id: string }>`
      select key, distinct_id from source_row
      where source = ${source} and key = any(${textArray(keys)}::text[]) and part is not null and distinct_id is not null`.execute(
      this.#db,
    )
    return new Map(rows.map((row) => [row.key, row.distinct_id]))
  }

  async readLiveChildren(
    sources: readonly string[],
    userKeys: readonly string[],
    limit: number,
  ): Promise<readonly LiveChild[]> {
    const { rows } = await sql<{
      source: string
      key: string
      user_key: string
      part: Profile
      reasons: readonly Reason[] | null
      change_lsn: string | null
    }>`
      select c.* from unnest(${textArray(userKeys)}::text[]) as u (key)
      cross join unnest(${textArray(sources)}::text[]) as s (source)
      cross join lateral (
        select r.source, r.key, r.user_key, r.part, r.reasons, r.change_lsn::text from source_row r
        where r.user_key = u.key and r.source = s.source and r.part is not null
        order by r.key limit ${limit}) as c`.execute(this.#db)
    return rows.map((row) => ({
      source: row.source,
      key: row.key,
      userKey: row.user_key,
      part: row.part,
      reasons: row.reasons ?? [],
      changeLsn: row.change_lsn === null ? null : parseLsn(row.change_lsn),
    }))
  }

  async readAny(source: string, limit: number): Promise<readonly StoredRow[]> {
    const { rows } = await sql<StoredRecord>`
      select key, distinct_id, user_key, part is not null as live, part_hash, era, duplicate, change_xid::text, change_lsn::text, read_snapshot::text
      from source_row where source = ${source} order by key limit ${limit}`.execute(this.#db)
    const snapshots = new Map<string, Snapshot>()
    return rows.map((row) => storedRow(row, snapshots))
  }

  async readTruncated(
    source: string,
    {
      xid,
      lsn,
      afterKey,
      limit,
    }: { readonly xid: bigint; readonly lsn: Lsn; readonly afterKey: string | null; readonly limit: number },
  ): Promise<readonly StoredRow[]> {
    const { rows } = await sql<StoredRecord>`
      select key, distinct_id, user_key, part is not null as live, part_hash, era, duplicate, change_xid::text, change_lsn::text, read_snapshot::text
      from source_row
      where source = ${source} and (${afterKey}::text is null or key > ${afterKey}::text)
        and (part is not null or reasons is not null)
        and (era <> ${this.era} or ((change_lsn is null or change_lsn <= ${formatLsn(lsn)}::pg_lsn)
          and (read_snapshot is null or not pg_visible_in_snapshot(${xid.toString()}::xid8, read_snapshot))))
      order by key limit ${limit}`.execute(this.#db)
    const snapshots = new Map<string, Snapshot>()
    return rows.map((row) => storedRow(row, snapshots))
  }

  async readUnseen(source: string, { first, afterKey, limit }: SweepCursor): Promise<readonly StoredRow[]> {
    const { rows } = await sql<StoredRecord>`
      select key, distinct_id, user_key, part is not null as live, part_hash, era, duplicate, change_xid::text, change_lsn::text, read_snapshot::text
      from source_row
      where source = ${source} and (${afterKey}::text is null or key > ${afterKey}::text)
        and (part is not null or reasons is not null)
        and (era <> ${this.era} or ((change_xid is null or pg_visible_in_snapshot(change_xid, ${first.text}::pg_snapshot))
          and (read_snapshot is null or pg_snapshot_xmax(read_snapshot) < ${first.xmax.toString()}::xid8)))
      order by key limit ${limit}`.execute(this.#db)
    const snapshots = new Map<string, Snapshot>()
    return rows.map((row) => storedRow(row, snapshots))
  }

  async readTruncateXid(source: string): Promise<bigint | null> {
    const { rows } = await sql<{ truncate_xid: string }>`
      select truncate_xid::text from source_table where source = ${source} and era = ${this.era}`.execute(this.#db)
    return rows[0] ? BigInt(rows[0].truncate_xid) : null
  }

  async commit(source: string, write: StateCommit, beforeCommit: () => void): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await this.#fence(transaction, write.lsn, write.pagesLsn)
      const rows = writeRows(transaction, this.era, write.rows)
      rows.catch(() => undefined) // heard below
      const profiles = profilesStatement(write.profiles, write.lane, this.#breaker) // made while PostgreSQL writes the rows
      await rows
      if (write.seen) await writeSeen(transaction, write.seen)
      if (write.profiles.length > 0) await this.#writeProfiles(transaction, profiles)
      if (write.marks.length > 0) await writeMarks(transaction, source, write.marks)
      if (write.truncate) await this.#writeTruncate(transaction, write.truncate)
      if (write.forget) await forgetRows(transaction, write.forget)
      if (write.backfill) await writeBackfill(transaction, write.backfill)
      beforeCommit()
    })
  }

  /** Notes the tables that have to be read, in this order, and how all tables are followed now. */
  async owe(tables: readonly OwedTable[], now: readonly TableState[]): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await this.#fence(transaction, null)
      await oweBackfills(transaction, this.era, tables)
      for (const table of now) await noteTable(transaction, table)
    })
  }

  async dropTable(source: string): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await this.#fence(transaction, null)
      await sql`delete from backfill where source = ${source} and finished_at is null`.execute(transaction)
      await sql`delete from source_table where source = ${source}`.execute(transaction)
      await sql`delete from mapped_table where source = ${source}`.execute(transaction)
    })
  }

  async advance(lsn: Lsn): Promise<void> {
    await this.#fence(this.#db, lsn)
  }

  async #fence(db: Kysely<Schema>, lsn: Lsn | null, pagesLsn: Lsn | null = null): Promise<void> {
    const position = lsn === null ? null : formatLsn(lsn)
    const pages = pagesLsn === null ? null : formatLsn(pagesLsn)
    const { numAffectedRows } = await sql`
      update checkpoint set lsn = greatest(lsn, ${position}::pg_lsn), pages_lsn = greatest(pages_lsn, ${pages}::pg_lsn),
        advanced_at = case when lsn < ${position}::pg_lsn then now() else advanced_at end
      where epoch = ${this.#epoch}::bigint`.execute(db)
    if (numAffectedRows !== 1n) {
      throw new SuprsyncError('capture_taken_over', 'Another process has taken over capture; this one stands by.')
    }
  }

  async #writeProfiles(db: Kysely<Schema>, statement: RawBuilder<{ losses: number }>): Promise<void> {
    const { rows } = await statement.execute(db)
    const losses = rows[0]?.losses ?? 0
    if (losses === 0 || this.#breaker === null) return
    if (await countLosses(db, losses, this.#breaker.settings)) this.#breaker.onTrip()
  }

  async #writeTruncate(db: Kysely<Schema>, truncate: NonNullable<StateCommit['truncate']>): Promise<void> {
    await sql`
      insert into source_table (source, era, truncate_xid, truncate_lsn)
      values (${truncate.source}, ${this.era}, ${truncate.xid.toString()}::xid8, ${formatLsn(truncate.lsn)}::pg_lsn)
      on conflict (source) do update set era = excluded.era, truncate_xid = excluded.truncate_xid, truncate_lsn = excluded.truncate_lsn`.execute(
      db,
    )
  }
}

function storedRow(row: StoredRecord, snapshots: Map<string, Snapshot>): StoredRow {
  return {
    key: row.key,
    distinctId: row.distinct_id,
    userKey: row.user_key,
    live: row.live,
    partHash: row.part_hash,
    era: row.era,
    duplicate: row.duplicate,
    changeXid: row.change_xid === null ? null : BigInt(row.change_xid),
    changeLsn: row.change_lsn === null ? null : parseLsn(row.change_lsn),
    readSnapshot: row.read_snapshot === null ? null : cachedSnapshot(row.read_snapshot, snapshots),
  }
}

function cachedSnapshot(text: string, snapshots: Map<string, Snapshot>): Snapshot {
  const known = snapshots.get(text) ?? parseSnapshot(text)
  snapshots.set(text, known)
  return known
}

function reasonsText(reasons: readonly Reason[]): string | null {
  return reasons.length === 0 ? null : JSON.stringify(reasons)
}

async function writeRows(db: Kysely<Schema>, era: number, rows: readonly RowWrite[]): Promise<void> {
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

async function writeSeen(
  db: Kysely<Schema>,
  { source, rows, snapshot }: NonNullable<StateCommit['seen']>,
): Promise<void> {
  await sql`
    update source_row r set read_snapshot = ${snapshot.text}::pg_snapshot, row_hash = i.row_hash
    from unnest(${textArray(rows.map(({ key }) => key))}::text[], ${textArray(rows.map(({ rowHash }) => rowHash))}::text[]) as i (key, row_hash)
    where r.source = ${source} and r.key = i.key`.execute(db)
}

async function forgetRows(db: Kysely<Schema>, { source, keys }: NonNullable<StateCommit['forget']>): Promise<void> {
  await sql`delete from source_row where source = ${source} and key = any(${textArray(keys)}::text[])`.execute(db)
}

async function writeMarks(db: Kysely<Schema>, source: string, marks: StateCommit['marks']): Promise<void> {
  await sql`
    update source_row r set duplicate = i.duplicate
    from unnest(${marks.map((mark) => mark.key)}::text[], ${marks.map((mark) => mark.duplicate)}::boolean[]) as i (key, duplicate)
    where r.source = ${source} and r.key = i.key`.execute(db)
}

async function writeBackfill(db: Kysely<Schema>, progress: BackfillProgress): Promise<void> {
  const { numAffectedRows } = await sql`
    update backfill set cursor = ${progress.cursor === null ? null : JSON.stringify(progress.cursor)}::jsonb, rows_read = ${progress.rowsRead},
      first_snapshot = coalesce(first_snapshot, ${progress.firstSnapshot}::pg_snapshot),
      paged_at = case when ${progress.paged} then coalesce(paged_at, now()) end,
      finished_at = case when ${progress.finished} then now() end
    where id = ${progress.id}::bigint and finished_at is null`.execute(db)
  if (numAffectedRows !== 1n) throw new SuprsyncError('backfill_cancelled', 'The reading was called off.')
}

// In the order of the ids, as everything that locks several profiles: capture and a sender that records never deadlock.
// A user is due as soon as what it should be differs from what SuprSend accepted, or an outcome is open; one whose
// `desired` is as before keeps its backoff or failure, a newer edit of one that was set aside is tried again.
function profilesStatement(
  profiles: readonly ProfileWrite[],
  lane: 0 | 1,
  breaker: BreakerRules | null,
): RawBuilder<{ losses: number }> {
  const desired = sql.ref('excluded.desired')
  const lost = breaker === null ? sql`false` : loses(desired, STORED, breaker.countsDeletions)
  const held = breaker === null ? sql`false` : sql`(exists (select from breaker) and ${lost})`
  return sql`
    with written as (insert into profile as p (distinct_id, bucket, desired, desired_hash, reasons, lane, changed_at, pending_since, due_at, change_lsn)
    select i.distinct_id, (hashtextextended(i.distinct_id, 0) & 63)::smallint, i.desired, i.desired_hash, i.reasons, ${lane},
      to_timestamp(i.last_ms / 1000), case when i.desired is not null then to_timestamp(i.first_ms / 1000) end,
      case when i.desired is not null then clock_timestamp() end, i.change_lsn
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
      lane = case when p.due_at is null then excluded.lane else least(p.lane, excluded.lane) end,
      pending_since = case
        when excluded.desired_hash is not distinct from p.synced_hash and p.sending = '[]' then null
        else coalesce(p.pending_since, excluded.pending_since, excluded.changed_at) end,
      lost_at = case when ${lost} then coalesce(p.lost_at, now()) end, held = ${held}, erase = p.erase and excluded.desired is null,
      due_at = case
        when excluded.desired_hash is not distinct from p.synced_hash and p.sending = '[]' then null
        when ${held} and ${onlyLoses(desired, STORED)} then null
        when p.due_at is null and p.failure is not null and excluded.desired_hash is not distinct from p.desired_hash then null
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
    select (count(*) filter (where lost))::int as losses from written`
}
