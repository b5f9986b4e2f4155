// What capture and backfill read and write in state. Implemented by state/capture-store.ts.
import type { Lsn } from './lsn.ts'
import type { Profile, ProfileDocument } from './profile.ts'
import type { DesiredProfile, LiveChild, LiveRow } from './profile-merge.ts'
import type { TextRow } from './row.ts'
import type { Snapshot } from './snapshot.ts'
import type { RowContent, RowVersion, StoredRow } from './source-row.ts'

export interface RowWrite {
  /** The table's name, as it stands in state. */
  readonly source: string
  readonly key: string
  readonly content: RowContent
  readonly version: RowVersion
}

export interface ProfileWrite extends DesiredProfile {
  /** The user is parked: what it is to be until everything is read (core/parking.ts). */
  readonly meanwhile?: { readonly desired: ProfileDocument | null }
  readonly changeLsn: Lsn
  /** Milliseconds since 1970: when the first and the last of the changes behind it were committed. */
  readonly firstChangedAt: number
  readonly lastChangedAt: number
}

export interface BackfillProgress {
  readonly id: string
  readonly cursor: TextRow | null
  readonly rowsRead: number
  readonly firstSnapshot: string
  /** The last page is stored. */
  readonly paged: boolean
  /** Nothing is left to be done. */
  readonly finished: boolean
}

export interface StateCommit {
  readonly rows: readonly RowWrite[]
  /** Rows that a page saw unchanged: only the page's snapshot is noted, and what they were mapped from. */
  readonly seen: {
    readonly source: string
    readonly rows: readonly { readonly key: string; readonly rowHash: string | null }[]
    readonly snapshot: Snapshot
  } | null
  readonly profiles: readonly ProfileWrite[]
  /** Rows that begin or cease to be a duplicate of another one's distinct_id. */
  readonly marks: readonly { readonly key: string; readonly duplicate: boolean }[]
  /** 0: live edits, 1: backfill. */
  readonly lane: 0 | 1
  /** Moves the checkpoint; null leaves it (a slice of an unfinished transaction, a page). */
  readonly lsn: Lsn | null
  readonly truncate: { readonly source: string; readonly xid: bigint; readonly lsn: Lsn } | null
  /** Rows of a table that is followed no more: state no longer knows them. */
  readonly forget: { readonly source: string; readonly keys: readonly string[] } | null
  readonly backfill: BackfillProgress | null
  /** What was read of the table itself shows nothing that was written beyond it; null: nothing was. */
  readonly pagesLsn: Lsn | null
}

/** Over the rows of a table in key order. */
export interface Walk {
  readonly afterKey: string | null
  /** Rows that are looked at. */
  readonly limit: number
}

export interface SweepWalk extends Walk {
  /** Of the first page of the run. */
  readonly first: Snapshot
}

export interface TruncateWalk extends Walk {
  readonly xid: bigint
  readonly lsn: Lsn
}

export interface WalkedRows {
  /** Those that fit. */
  readonly rows: readonly StoredRow[]
  /** Key of the last one that was looked at; null: there are no more. */
  readonly last: string | null
}

export interface CaptureState {
  readonly era: number
  readRows(source: string, keys: readonly string[]): Promise<ReadonlyMap<string, StoredRow>>
  /**
   * The rows that are not stored as these hashes say (null: always), each as it is stored; null where state does not know it.
   * A row that is missing from the answer is stored exactly so, in this era.
   */
  readChangedRows(
    source: string,
    rows: readonly { readonly key: string; readonly rowHash: string | null }[],
  ): Promise<ReadonlyMap<string, StoredRow | null>>
  /** Live rows that hold one of the ids, without those of `exceptKeys` (they are being written). */
  readLiveRows(
    source: string,
    distinctIds: readonly string[],
    exceptKeys: readonly string[],
  ): Promise<readonly LiveRow[]>
  /** Whose live users rows these are: key to distinct_id. */
  readUserIds(source: string, keys: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** Live rows of child tables that belong to these users rows: for each user and table the first `limit` by key. */
  readLiveChildren(
    sources: readonly string[],
    userKeys: readonly string[],
    limit: number,
  ): Promise<readonly LiveChild[]>
  /** Any rows that state knows of a table, after `afterKey`, in key order. */
  readAny(
    source: string,
    from: { readonly afterKey: string | null; readonly limit: number },
  ): Promise<readonly StoredRow[]>
  /** Rows that a TRUNCATE with this version removes: live, or kept with a reason. */
  readTruncated(source: string, walk: TruncateWalk): Promise<WalkedRows>
  /** Rows of which a run with this first snapshot has seen nothing, and the stream nothing newer (DESIGN §8). */
  readUnseen(source: string, walk: SweepWalk): Promise<WalkedRows>
  /** The table's last TRUNCATE in this era. */
  readTruncateXid(source: string): Promise<bigint | null>
  /**
   * All of it or nothing, and nothing when another process has taken over.
   * @param source the users table's name.
   * @param beforeCommit called within the transaction, when everything is written.
   * @throws SuprsyncError capture_taken_over
   */
  commit(source: string, write: StateCommit, beforeCommit: () => void): Promise<void>
  /** Forgets a table that is followed no more. Its rows must be forgotten already. */
  dropTable(source: string): Promise<void>
  /** What these users are to be as far as SuprSend is told; of those who are to be something. */
  readDesired(distinctIds: readonly string[]): Promise<ReadonlyMap<string, ProfileDocument>>
  /** What these rows give, by rowId; of those that give something. */
  readParts(rows: readonly { readonly source: string; readonly key: string }[]): Promise<ReadonlyMap<string, Profile>>
  hasParked(): Promise<boolean>
  /** Some of those who are parked become what they are to be in the end. @returns how many; 0: nobody is left. */
  unparkSome(): Promise<number>
  /** Moves the checkpoint alone: nothing mapped happened up to `lsn`. */
  advance(lsn: Lsn): Promise<void>
}
