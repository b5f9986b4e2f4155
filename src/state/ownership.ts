// Who may write. Owns the checkpoint row: its first creation, the eras that follow a gap, the take-over that bumps the epoch,
// and what `status` reads of it.
import { type Kysely, sql } from 'kysely'
import { SuprsyncError } from '../core/error.ts'
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts'
import type { KnownCheckpoint } from '../core/start-decision.ts'
import type { ReportedCheckpoint } from '../core/status-report.ts'
import type { BreakerRules } from './breaker-store.ts'
import { CaptureStore } from './capture-store.ts'
import type { Schema, StateDatabase } from './database.ts'

export interface NewCheckpoint extends Omit<KnownCheckpoint, 'pagesLsn'> {
  /** Pages count only once their snapshot's xmin is beyond it. */
  readonly startXid: bigint
}

export async function readCheckpoint(db: Kysely<Schema>): Promise<ReportedCheckpoint | null> {
  const { rows } = await sql<{
    era: number
    system_identifier: string
    timeline: number
    slot: string
    table_oid: number
    lsn: string
    pages_lsn: string
    epoch: string
    advanced_ms: number
    since_ms: number
    doubted_ms: number | null
  }>`select era, system_identifier, timeline, slot, table_oid::int8::float8 as table_oid, lsn::text, pages_lsn::text, epoch::text,
      extract(epoch from advanced_at)::float8 * 1000 as advanced_ms,
      extract(epoch from clock_timestamp() - advanced_at)::float8 * 1000 as since_ms,
      extract(epoch from doubted_at)::float8 * 1000 as doubted_ms
    from checkpoint`.execute(db)
  const row = rows[0]
  if (!row) return null
  return {
    era: row.era,
    systemIdentifier: row.system_identifier,
    timeline: row.timeline,
    slot: row.slot,
    tableOid: row.table_oid,
    lsn: parseLsn(row.lsn),
    pagesLsn: parseLsn(row.pages_lsn),
    epoch: row.epoch,
    advancedAt: row.advanced_ms,
    sinceAdvancedMs: Math.max(0, row.since_ms),
    doubtedAt: row.doubted_ms,
  }
}

/** The first checkpoint of all. What has to be read for it follows from the mapping (CaptureStore.owe). */
export async function createCheckpoint(db: StateDatabase, checkpoint: NewCheckpoint): Promise<void> {
  await sql`
      insert into checkpoint (era, system_identifier, timeline, slot, table_oid, lsn, start_xid)
      values (1, ${checkpoint.systemIdentifier}, ${checkpoint.timeline}, ${checkpoint.slot}, ${checkpoint.tableOid},
        ${formatLsn(checkpoint.lsn)}::pg_lsn, ${checkpoint.startXid.toString()}::xid8)`.execute(db)
}

/**
 * Begins the era that follows a gap: versions of the former one count no more, and every followed table is to be read again
 * and swept. Whoever captured in the former era writes nothing from now on. Users are held back by no position of it.
 */
export async function beginEra(db: StateDatabase, next: NewCheckpoint, gap: string): Promise<void> {
  await forgetPositions(db, next.lsn)
  await db.transaction().execute(async (transaction) => {
    await sql`
      update checkpoint set era = era + 1, epoch = epoch + 1, system_identifier = ${next.systemIdentifier}, timeline = ${next.timeline},
        slot = ${next.slot}, table_oid = ${next.tableOid}, lsn = ${formatLsn(next.lsn)}::pg_lsn, pages_lsn = '0/0', sliced_lsn = null,
        start_xid = ${next.startXid.toString()}::xid8, advanced_at = now()`.execute(transaction)
    await sql`update mapped_table set gap = ${gap}`.execute(transaction)
    await sql`delete from source_table`.execute(transaction)
  })
}

const SLICE = 20_000

/** Where the new history begins before the old one's end its positions say nothing. In slices of so many that are looked at. */
async function forgetPositions(db: StateDatabase, from: Lsn): Promise<void> {
  for (let after = ''; ; ) {
    const { rows } = await sql<{ last: string | null }>`
      with slice as materialized (
        select distinct_id, change_lsn from profile where distinct_id > ${after} order by distinct_id limit ${SLICE}),
      forgotten as (
        update profile p set change_lsn = '0/0' from slice
        where p.distinct_id = slice.distinct_id and slice.change_lsn >= ${formatLsn(from)}::pg_lsn)
      select max(distinct_id) as last from slice`.execute(db)
    const last = rows[0]?.last ?? null
    if (last === null) return
    after = last
  }
}

/** A standby was promoted, and everything we have seen came along. */
export async function noteTimeline(db: StateDatabase, timeline: number): Promise<void> {
  await sql`update checkpoint set timeline = ${timeline} where timeline <> ${timeline}`.execute(db)
}

/** Of the server that holds the state. */
export async function readStateServer(db: Kysely<Schema>): Promise<string> {
  const { rows } = await sql<{
    system: string
  }>`select system_identifier::text as system from pg_control_system()`.execute(db)
  return rows[0]?.system ?? ''
}

/** The state may have forgotten what was sent, until everybody was compared. */
export async function noteDoubt(db: Kysely<Schema>): Promise<void> {
  await sql`update checkpoint set doubted_at = now()`.execute(db)
}

/** Everybody was compared. */
export async function endDoubt(db: Kysely<Schema>): Promise<void> {
  await sql`update checkpoint set doubted_at = null where doubted_at is not null`.execute(db)
}

/** Noted before the slot is made, so that a start that is killed right after it knows the slot for its own. */
export async function noteSlotIntent(db: StateDatabase, slot: string, systemIdentifier: string): Promise<void> {
  await sql`
    insert into slot_intent (slot, system_identifier) values (${slot}, ${systemIdentifier}) on conflict do nothing`.execute(
    db,
  )
}

export async function hasSlotIntent(db: StateDatabase, slot: string, systemIdentifier: string): Promise<boolean> {
  const { rows } = await sql`
    select from slot_intent where slot = ${slot} and system_identifier = ${systemIdentifier}`.execute(db)
  return rows.length > 0
}

/** Makes this process the only one whose captures count, and tells from where it goes on. */
export async function takeOver(
  db: StateDatabase,
  breaker: BreakerRules | null = null,
): Promise<{
  readonly state: CaptureStore
  readonly lsn: Lsn
  /** The newest change stored beyond the checkpoint: slices of a transaction whose end was not. */
  readonly slicedLsn: Lsn | null
  readonly startXid: bigint
}> {
  const { rows } = await sql<{ era: number; lsn: string; epoch: string; start_xid: string; sliced: string | null }>`
    update checkpoint set epoch = epoch + 1 returning era, lsn::text, epoch::text, start_xid::text,
      case when sliced_lsn >= lsn then sliced_lsn end::text as sliced`.execute(db)
  const row = rows[0]
  if (!row)
    throw new SuprsyncError('checkpoint_missing', 'The state holds no checkpoint; was its schema emptied while we run?')
  return {
    state: new CaptureStore(db, { era: row.era, epoch: row.epoch }, breaker),
    lsn: parseLsn(row.lsn),
    slicedLsn: row.sliced === null ? null : parseLsn(row.sliced),
    startXid: BigInt(row.start_xid),
  }
}
