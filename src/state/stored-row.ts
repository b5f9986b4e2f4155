// A source row as state holds it: its columns, and how they are read. Rows of one page share their snapshot, which is parsed once.
import { sql } from 'kysely'
import { parseLsn } from '../core/lsn.ts'
import { parseSnapshot, type Snapshot } from '../core/snapshot.ts'
import type { StoredRow } from '../core/source-row.ts'

export interface StoredRecord {
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

/** Of `source_row r`. */
export const STORED_COLUMNS = sql.raw(
  `r.key, r.distinct_id, r.user_key, r.part is not null as live, r.part_hash, r.era, r.duplicate,
  r.change_xid::text, r.change_lsn::text, r.read_snapshot::text`,
)

export function storedRows(rows: readonly StoredRecord[]): readonly StoredRow[] {
  const snapshots = new Map<string, Snapshot>()
  return rows.map((row) => storedRow(row, snapshots))
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
