// Which server, on which timeline, this is: the part of the checkpoint's era that tells a restored or promoted server
// from the one the LSNs belong to (DESIGN §8). Any role may ask, without a replication connection.
import { SuprsyncError } from '../core/error.ts'
import { type Queryable, queryRows } from './query.ts'

export interface SystemIdentity {
  readonly systemIdentifier: bigint
  readonly timeline: number
}

// pg_control_checkpoint() would still name the old timeline until the first checkpoint after a promotion; the name of
// the WAL file being written begins with the timeline of now. A standby refuses, and is refused anyway.
const IDENTITY = `
SELECT system_identifier::text AS system, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline
FROM pg_catalog.pg_control_system()`

export async function identifySystem(client: Queryable): Promise<SystemIdentity> {
  const [row] = await queryRows<{ system: string; timeline: string }>(client, IDENTITY)
  if (!row) throw new SuprsyncError('system_unidentified', 'the server did not identify itself')
  return { systemIdentifier: BigInt(row.system), timeline: Number.parseInt(row.timeline, 16) }
}
