// Who may write. Owns the checkpoint row: its first creation, the take-over that bumps the epoch, and what `status` reads
// of it.
import { sql } from 'kysely'
import { SuprsyncError } from '../core/error.ts'
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts'
import { CaptureStore } from './capture-store.ts'
import type { StateDatabase } from './database.ts'

export interface Checkpoint {
  readonly era: number
  readonly systemIdentifier: string
  readonly timeline: number
  readonly slot: string
  readonly lsn: Lsn
  /** Pages count only once their snapshot's xmin is beyond it. */
  readonly startXid: bigint
  readonly mappingHash: string
  readonly epoch: string
}

export async function readCheckpoint(db: StateDatabase): Promise<Checkpoint | null> {
  const { rows } = await sql<{
    era: number
    system_identifier: string
    timeline: number
    slot: string
    lsn: string
    start_xid: string
    mapping_hash: string
    epoch: string
  }>`select era, system_identifier, timeline, slot, lsn::text, start_xid::text, mapping_hash, epoch::text from checkpoint`.execute(
    db,
  )
  const row = rows[0]
  if (!row) return null
  return {
    era: row.era,
    systemIdentifier: row.system_identifier,
    timeline: row.timeline,
    slot: row.slot,
    lsn: parseLsn(row.lsn),
    startXid: BigInt(row.start_xid),
    mappingHash: row.mapping_hash,
    epoch: row.epoch,
  }
}

/** The first checkpoint of an era, together with the backfill that it owes. */
export async function createCheckpoint(
  db: StateDatabase,
  checkpoint: Omit<Checkpoint, 'epoch'>,
  backfill: { readonly source: string; readonly reason: string; readonly rowsEstimated: number | null },
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await sql`
      insert into checkpoint (era, system_identifier, timeline, slot, lsn, start_xid, mapping_hash)
      values (${checkpoint.era}, ${checkpoint.systemIdentifier}, ${checkpoint.timeline}, ${checkpoint.slot},
        ${formatLsn(checkpoint.lsn)}::pg_lsn, ${checkpoint.startXid.toString()}::xid8, ${checkpoint.mappingHash})`.execute(
      transaction,
    )
    await sql`
      insert into backfill (era, source, reason, rows_estimated)
      values (${checkpoint.era}, ${backfill.source}, ${backfill.reason}, ${backfill.rowsEstimated})`.execute(
      transaction,
    )
  })
}

/** Makes this process the only one whose captures count, and tells from where it goes on. */
export async function takeOver(
  db: StateDatabase,
): Promise<{ readonly state: CaptureStore; readonly lsn: Lsn; readonly startXid: bigint }> {
  const { rows } = await sql<{ era: number; lsn: string; epoch: string; start_xid: string }>`
    update checkpoint set epoch = epoch + 1 returning era, lsn::text, epoch::text, start_xid::text`.execute(db)
  const row = rows[0]
  if (!row)
    throw new SuprsyncError('checkpoint_missing', 'The state holds no checkpoint; was its schema emptied while we run?')
  return {
    state: new CaptureStore(db, { era: row.era, epoch: row.epoch }),
    lsn: parseLsn(row.lsn),
    startXid: BigInt(row.start_xid),
  }
}
