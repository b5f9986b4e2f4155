// What capture and backfill read and write: source rows, desired profiles, the checkpoint. Every write happens in one
// transaction that begins with the fence, the UPDATE of `checkpoint` for our own epoch: after a take-over by another
// process nothing of ours is committed (DESIGN §5.5). Batched: one statement for any number of
// rows; those that write are in capture-writes.ts.
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type {
  CaptureState,
  ProfileWrite,
  StateCommit,
  SweepWalk,
  TruncateWalk,
  Walk,
  WalkedRows,
} from '../core/capture-port.ts'
import { slicedLsn } from '../core/checkpoint-policy.ts'
import { SuprsyncError } from '../core/error.ts'
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts'
import { documentOf, type Profile, type ProfileDocument, type Reason } from '../core/profile.ts'
import type { LiveChild, LiveRow } from '../core/profile-merge.ts'
import type { TableState } from '../core/remap-decision.ts'
import { rowId, type StoredRow } from '../core/source-row.ts'
import { textArray } from './array-literal.ts'
import { noteLeftOut, noteTable, type OwedTable, oweBackfills } from './backfill-store.ts'
import { type BreakerRules, countLosses } from './breaker-store.ts'
import { forgetRows, writeBackfill, writeMarks, writeRows, writeSeen, writeTruncate } from './capture-writes.ts'
import type { Schema, StateDatabase } from './database.ts'
import { noteReturned } from './erase-store.ts'
import { givenProfiles, profilesStatement, SOME_PARKED, type WrittenProfiles } from './profile-writes.ts'
import { STORED_COLUMNS, type StoredRecord, storedRows } from './stored-row.ts'

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
      select ${STORED_COLUMNS}
      from source_row r where source = ${source} and key = any(${textArray(keys)}::text[])`.execute(this.#db)
    return new Map(storedRows(rows).map((row) => [row.key, row]))
  }

  async readChangedRows(
    source: string,
    wanted: readonly { readonly key: string; readonly rowHash: string | null }[],
  ): Promise<ReadonlyMap<string, StoredRow | null>> {
    const { rows } = await sql<StoredRecord & { known: boolean }>`
      select ${STORED_COLUMNS}, i.key, r.key is not null as known
      from unnest(${textArray(wanted.map(({ key }) => key))}::text[], ${textArray(wanted.map(({ rowHash }) => rowHash))}::text[]) as i (key, row_hash)
      left join lateral (select * from source_row s where s.source = ${source} and s.key = i.key limit 1) r on true
      where i.row_hash is null or r.row_hash is distinct from i.row_hash or r.era <> ${this.era}`.execute(this.#db)
    const known = storedRows(rows)
    return new Map(rows.map((row, at) => [row.key, row.known ? (known[at] ?? null) : null]))
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
        select r.source, r.key, r.user_key, r.part, r.reasons, case when r.era = ${this.era} then r.change_lsn::text end as change_lsn
        from source_row r
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

  async readAny(source: string, { afterKey, limit }: Walk): Promise<readonly StoredRow[]> {
    const { rows } = await sql<StoredRecord>`
      select ${STORED_COLUMNS} from source_row r
      where source = ${source} and (${afterKey}::text is null or key > ${afterKey}::text) order by key limit ${limit}`.execute(
      this.#db,
    )
    return storedRows(rows)
  }

  async readTruncated(source: string, { xid, lsn, ...walk }: TruncateWalk): Promise<WalkedRows> {
    return await this.#walk(
      source,
      walk,
      sql`era <> ${this.era} or ((change_lsn is null or change_lsn <= ${formatLsn(lsn)}::pg_lsn)
        and (read_snapshot is null or not pg_visible_in_snapshot(${xid.toString()}::xid8, read_snapshot)))`,
    )
  }

  async readUnseen(source: string, { first, ...walk }: SweepWalk): Promise<WalkedRows> {
    return await this.#walk(
      source,
      walk,
      sql`era <> ${this.era} or ((change_xid is null or pg_visible_in_snapshot(change_xid, ${first.text}::pg_snapshot))
        and (read_snapshot is null or pg_snapshot_xmax(read_snapshot) < ${first.xmax.toString()}::xid8))`,
    )
  }

  /** Rows that are live, or kept with a reason, and fit. Looks at `limit` rows, so that it is short however few of millions do. */
  async #walk(source: string, { afterKey, limit }: Walk, fits: RawBuilder<unknown>): Promise<WalkedRows> {
    const { rows } = await sql<StoredRecord & { fits: boolean }>`
      select ${STORED_COLUMNS}, (part is not null or reasons is not null) and (${fits}) as fits
      from source_row r
      where source = ${source} and (${afterKey}::text is null or key > ${afterKey}::text)
      order by key limit ${limit}`.execute(this.#db)
    return {
      rows: storedRows(rows.filter((row) => row.fits)),
      last: rows.length < limit ? null : (rows.at(-1)?.key ?? null),
    }
  }

  async readTruncateXid(source: string): Promise<bigint | null> {
    const { rows } = await sql<{ truncate_xid: string }>`
      select truncate_xid::text from source_table where source = ${source} and era = ${this.era}`.execute(this.#db)
    return rows[0] ? BigInt(rows[0].truncate_xid) : null
  }

  async commit(source: string, write: StateCommit, beforeCommit: () => void): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await this.#fence(transaction, { lsn: write.lsn, pagesLsn: write.pagesLsn, slicedLsn: slicedLsn(write) })
      const rows = writeRows(transaction, this.era, write.rows)
      rows.catch(() => undefined) // heard below
      const profiles = profilesStatement(givenProfiles(write.profiles), write.lane, this.#breaker) // made while PostgreSQL writes the rows
      await rows
      if (write.seen) await writeSeen(transaction, write.seen)
      if (write.profiles.length > 0) await this.#writeProfiles(transaction, profiles, write.profiles)
      if (write.marks.length > 0) await writeMarks(transaction, source, write.marks)
      if (write.truncate) await writeTruncate(transaction, this.era, write.truncate)
      if (write.forget) await forgetRows(transaction, write.forget)
      if (write.backfill) await writeBackfill(transaction, write.backfill)
      beforeCommit()
    })
  }

  /** Notes the tables that have to be read, in this order, how they are followed now, and which are followed no more. */
  async owe(tables: readonly OwedTable[], now: readonly TableState[], leftOut: readonly string[]): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await this.#fence(transaction, NOWHERE)
      await oweBackfills(transaction, this.era, tables)
      for (const table of now) await noteTable(transaction, table)
      if (leftOut.length > 0) await noteLeftOut(transaction, leftOut)
    })
  }

  async dropTable(source: string): Promise<void> {
    await this.#db.transaction().execute(async (transaction) => {
      await this.#fence(transaction, NOWHERE)
      await sql`delete from source_table where source = ${source}`.execute(transaction)
      await sql`delete from mapped_table where source = ${source}`.execute(transaction)
    })
  }

  async readDesired(distinctIds: readonly string[]): Promise<ReadonlyMap<string, ProfileDocument>> {
    const { rows } = await sql<{ distinct_id: string; text: string; hash: string }>`
      select distinct_id, desired::text as text, desired_hash as hash from profile
      where distinct_id = any(${textArray(distinctIds)}::text[]) and desired is not null`.execute(this.#db)
    return new Map(rows.map(({ distinct_id, text, hash }) => [distinct_id, { text, hash }]))
  }

  async readParts(
    wanted: readonly { readonly source: string; readonly key: string }[],
  ): Promise<ReadonlyMap<string, Profile>> {
    const { rows } = await sql<{ source: string; key: string; part: Profile }>`
      select source, key, r.part from source_row r
      join unnest(${textArray(wanted.map(({ source }) => source))}::text[], ${textArray(wanted.map(({ key }) => key))}::text[])
        as i (source, key) using (source, key)
      where r.part is not null`.execute(this.#db)
    return new Map(rows.map(({ source, key, part }) => [rowId(source, key), part]))
  }

  async hasParked(): Promise<boolean> {
    const { rows } = await sql`select from profile where parked limit 1`.execute(this.#db)
    return rows.length > 0
  }

  async unparkSome(): Promise<number> {
    return await this.#db.transaction().execute(async (transaction) => {
      await this.#fence(transaction, NOWHERE)
      const { rows } = await profilesStatement(SOME_PARKED, 1, this.#breaker).execute(transaction)
      await this.#count(transaction, rows[0]?.losses ?? 0)
      return rows[0]?.users ?? 0
    })
  }

  async advance(lsn: Lsn): Promise<void> {
    await this.#fence(this.#db, { ...NOWHERE, lsn })
  }

  async #fence(db: Kysely<Schema>, to: Positions): Promise<void> {
    const text = (lsn: Lsn | null) => (lsn === null ? null : formatLsn(lsn))
    const position = text(to.lsn)
    const { numAffectedRows } = await sql`
      update checkpoint set lsn = greatest(lsn, ${position}::pg_lsn), pages_lsn = greatest(pages_lsn, ${text(to.pagesLsn)}::pg_lsn),
        sliced_lsn = greatest(sliced_lsn, ${text(to.slicedLsn)}::pg_lsn),
        advanced_at = case when lsn < ${position}::pg_lsn then now() else advanced_at end
      where epoch = ${this.#epoch}::bigint`.execute(db)
    if (numAffectedRows !== 1n) {
      throw new SuprsyncError('capture_taken_over', 'Another process has taken over capture; this one stands by.')
    }
  }

  async #writeProfiles(
    db: Kysely<Schema>,
    statement: RawBuilder<WrittenProfiles>,
    profiles: readonly ProfileWrite[],
  ): Promise<void> {
    const { rows } = await statement.execute(db)
    if (rows[0]?.awaited)
      await noteReturned(
        db,
        profiles.filter(({ desired }) => desired !== null),
      )
    await this.#count(db, rows[0]?.losses ?? 0)
  }

  async #count(db: Kysely<Schema>, losses: number): Promise<void> {
    if (losses === 0 || this.#breaker === null) return
    if (await countLosses(db, losses, this.#breaker.settings)) this.#breaker.onTrip()
  }
}

/** How far the checkpoint moves; null: not at all. */
interface Positions {
  readonly lsn: Lsn | null
  readonly pagesLsn: Lsn | null
  readonly slicedLsn: Lsn | null
}

const NOWHERE: Positions = { lsn: null, pagesLsn: null, slicedLsn: null }
