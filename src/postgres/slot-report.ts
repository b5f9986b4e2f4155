// What `status` and the metrics read of the source: the slot, the WAL that waits for it, and which server this is. A few
// cheap questions about the catalogue, none about the application's tables.
import { errorCode } from '../core/error.ts'
import { type Lsn, parseLsn } from '../core/lsn.ts'
import type { SlotReport, SourceReport } from '../core/status-report.ts'
import { type Queryable, queryRows } from './query.ts'
import { describeSlot, type Slot } from './slot.ts'
import { identifySystem } from './system.ts'

export async function readSourceReport(
  client: Queryable,
  slotName: string,
): Promise<Omit<SourceReport, 'walBytesPerSecond'>> {
  const slot = await describeSlot(client, slotName)
  const server = await readServer(client)
  return {
    standby: server.standby,
    database: server.database,
    identity: server.standby ? null : await readIdentity(client),
    slot: slot && slotReport(slot, server),
  }
}

/** Null when there is no slot of that name. */
export async function readSlotReport(client: Queryable, name: string): Promise<SlotReport | null> {
  const slot = await describeSlot(client, name)
  return slot && slotReport(slot, await readServer(client))
}

/** `server` was read after the slot: what is newest can only have grown meanwhile, and no figure is negative. */
function slotReport(slot: Slot, { newest, segmentBytes }: Server): SlotReport {
  const behind = (lsn: Lsn | null) => (lsn === null || newest === null ? null : Number(newest - lsn))
  return {
    name: slot.name,
    plugin: slot.plugin,
    database: slot.database,
    activePid: slot.activePid,
    walStatus: slot.walStatus,
    invalidationReason: slot.invalidationReason,
    confirmedLsn: slot.confirmedFlushLsn,
    lagBytes: behind(slot.confirmedFlushLsn),
    retainedWalBytes: behind(slot.restartLsn),
    safeWalBytes: slot.safeWalSizeBytes === null ? null : Number(slot.safeWalSizeBytes),
    segmentBytes,
  }
}

interface Server {
  readonly standby: boolean
  readonly database: string
  /** Null on a standby. */
  readonly newest: Lsn | null
  readonly segmentBytes: number
}

async function readServer(client: Queryable): Promise<Server> {
  const [row] = await queryRows<{ standby: boolean; database: string; newest: string | null; segment: string }>(
    client,
    `SELECT pg_is_in_recovery() AS standby, current_database() AS database,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn()::text END AS newest,
       pg_size_bytes(current_setting('wal_segment_size'))::text AS segment`,
  )
  return {
    standby: row?.standby ?? false,
    database: row?.database ?? '',
    newest: row?.newest ? parseLsn(row.newest) : null,
    segmentBytes: Number(row?.segment ?? 0),
  }
}

async function readIdentity(client: Queryable): Promise<SourceReport['identity']> {
  try {
    const { systemIdentifier, timeline } = await identifySystem(client)
    return { systemIdentifier: systemIdentifier.toString(), timeline }
  } catch (error) {
    if (errorCode(error) === '42501') return null // Some providers keep pg_control_system to themselves.
    throw error
  }
}
