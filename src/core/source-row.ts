// Rows of the source as state knows them, and the one decision whether a report about a row (from the stream or from a
// page) is newer than what is stored (DESIGN §6). Invariants: a change that a stored page saw is never applied over it; a
// page that does not see the stored change, or the table's last TRUNCATE, is never applied over it. What another era stored
// has no version here: it is written anew even when nothing differs.

import { canonical, digest, type JsonObject } from './json.ts'
import type { Lsn } from './lsn.ts'
import type { ProfileDocument, Reason } from './profile.ts'
import type { TextRow } from './row.ts'
import { isOlder, type Snapshot, sees } from './snapshot.ts'

/** What a row contributes; `part` null: it is gone, or must not be a user. */
export interface RowContent {
  /** Whose row it is; null for rows of child tables. */
  readonly distinctId: string | null
  /** For rows of child tables: the key of the users row they belong to. */
  readonly userKey: string | null
  readonly part: ProfileDocument | null
  readonly partHash: string | null
  /** Of the values that were mapped and of the mapping; null when there is no row. */
  readonly rowHash: string | null
  readonly reasons: readonly Reason[]
}

export interface RowVersion {
  readonly changeXid: bigint | null
  readonly changeLsn: Lsn | null
  readonly readSnapshot: Snapshot | null
}

export interface StoredRow extends RowVersion {
  readonly key: string
  readonly distinctId: string | null
  readonly userKey: string | null
  readonly live: boolean
  readonly partHash: string | null
  readonly era: number
  readonly duplicate: boolean
}

/** The newest streamed state of a row within a batch. */
export interface StreamedRow {
  /** The table's name, as it stands in state. */
  readonly source: string
  readonly key: string
  /** Not mapped yet: most changes turn out to be of unmapped columns. null: deleted. */
  readonly row: TextRow | null
  /** Mapped already, where keeping the row until it is judged would be dear: it was read again, and may be large. */
  readonly content: RowContent | null
  readonly rowHash: string | null
  readonly xid: bigint
  readonly commitLsn: Lsn
  /** When the first and the last of its changes in this batch were committed, milliseconds since 1970. */
  readonly firstCommittedAt: number
  readonly lastCommittedAt: number
  /** The batch held other states of the row before this one: its version counts even when the content is as stored. */
  readonly varied: boolean
  /** Set when the row had to be read again: the content is as of this snapshot, and nothing in it was written after the LSN. */
  readonly readSnapshot: Snapshot | null
  readonly readLsn: Lsn | null
}

export interface PagedRow {
  readonly key: string
  readonly content: RowContent
}

export type StreamVerdict = 'write' | 'noop' | 'replay' | 'older'
export type PageVerdict = 'write' | 'seen' | 'older'

export const ABSENT: RowContent = {
  distinctId: null,
  userKey: null,
  part: null,
  partHash: null,
  rowHash: null,
  reasons: [],
}

/** One text for a row among those of all followed tables. */
export function rowId(source: string, key: string): string {
  return `${source}\0${key}`
}

/** Rows of one table, by rowId. */
export function byId(source: string, stored: ReadonlyMap<string, StoredRow>): ReadonlyMap<string, StoredRow> {
  return new Map([...stored].map(([key, row]) => [rowId(source, key), row]))
}

/**
 * Equal hashes: the same values under the same mapping. PostgreSQL's text holds no NUL, so NUL parts the values; what
 * follows it tells NULL from text, else (NULL, '') and ('', NULL) would be one.
 * @param mappingHash of the mapping that reads the row.
 */
export function rowHash(mappingHash: string, row: TextRow): string {
  let text = mappingHash
  for (const value of row) text += value === null ? '\0-' : `\0+${value}`
  return digest(text)
}

/**
 * Equal hashes: nothing would be stored differently. Reasons count, order of keys does not. Null: no part and no reason, so
 * that a row that is no user for a reason differs from one that is simply gone.
 */
export function partHash(part: ProfileDocument | null, reasons: readonly Reason[]): string | null {
  const hash = part === null ? null : part.hash
  return reasons.length === 0 ? hash : digest((hash ?? '') + canonical(reasons as unknown as readonly JsonObject[]))
}

export interface Surroundings {
  readonly era: number
  /** Pages are being read: one that was read earlier may be stored later. */
  readonly paging: boolean
}

/**
 * Whether a change counts even when the row is stored just as it says: its row went through other states, and a page that
 * saw one of those may be on its way. A row that was read again may have, unseen by us.
 */
export function needsVersion(row: Pick<StreamedRow, 'varied' | 'readSnapshot'>, paging: boolean): boolean {
  return row.varied || (paging && row.readSnapshot !== null)
}

export function judgeStreamed(
  stored: StoredRow | undefined,
  row: StreamedRow & { readonly content: RowContent },
  { era, paging }: Surroundings,
): StreamVerdict {
  if (!stored || stored.era !== era) return 'write'
  if (stored.changeLsn !== null && row.commitLsn < stored.changeLsn) return 'replay'
  if (row.readSnapshot === null && stored.readSnapshot && sees(stored.readSnapshot, row.xid)) return 'older'
  if (row.readSnapshot && stored.readSnapshot && isOlder(row.readSnapshot, stored.readSnapshot)) return 'older'
  return !needsVersion(row, paging) && isSame(stored, row.content) ? 'noop' : 'write'
}

/** @param truncateXid the table's last TRUNCATE in this era, or null. */
export function judgePaged(
  stored: StoredRow | undefined,
  row: PagedRow,
  page: { readonly snapshot: Snapshot; readonly truncateXid: bigint | null; readonly era: number },
): PageVerdict {
  if (page.truncateXid !== null && !sees(page.snapshot, page.truncateXid)) return 'older'
  if (!stored || stored.era !== page.era) return 'write'
  if (stored.changeXid !== null && !sees(page.snapshot, stored.changeXid)) return 'older'
  if (stored.readSnapshot && isOlder(page.snapshot, stored.readSnapshot)) return 'older'
  return isSame(stored, row.content) ? 'seen' : 'write'
}

function isSame(stored: StoredRow, content: RowContent): boolean {
  if (stored.partHash !== content.partHash) return false
  if (content.part === null) return !stored.live
  return stored.live && stored.distinctId === content.distinctId && stored.userKey === content.userKey
}
