// The source as sync sees it: the replication stream, the pages, and the WAL that is kept for us. Implemented by postgres/, joined in commands/.
import type { Lsn } from './lsn.ts'
import type { Table, TextRow } from './row.ts'
import type { Snapshot } from './snapshot.ts'
import type { StreamEvent } from './stream-event.ts'

export interface ChangeStream extends AsyncDisposable {
  /** Everything received and not yet taken, in order; waits while there is nothing. Throws what ended the stream. */
  take(): Promise<readonly StreamEvent[]>
  /** Everything below `lsn` is settled and persisted. */
  confirm(lsn: Lsn): void
  /** Ends the connection at once; `take` then throws the reason. */
  destroy(reason: unknown): void
}

export interface Page {
  readonly snapshot: Snapshot
  /** Everything that the rows show was written before it. */
  readonly lsn: Lsn
  /** Aligned to `table.wanted`, in key order. */
  readonly rows: readonly TextRow[]
}

export interface WalkedPage extends Page {
  /** Rows that were looked at, those that do not fit among them. */
  readonly scanned: number
  /** Of them all. */
  readonly sizeBytes: number
  /** Key texts of the last of them; null: there was none. */
  readonly last: TextRow | null
}

export interface Pages {
  /** The rows after `cursor` (key texts of the last row read; null: from the start), in key order. */
  page(cursor: TextRow | null, limit: number): Promise<Page>
  /**
   * The same of rows that fit, as PostgreSQL finds them: within two seconds, else it is ended with 57014; so is a page of more
   * than one row.
   * @param filter SQL over the row.
   */
  filtered(cursor: TextRow | null, limit: number, filter: string): Promise<Page>
  /** The same, looking at `limit` rows at the most, whether they fit or not. */
  walked(cursor: TextRow | null, limit: number, filter: string): Promise<WalkedPage>
  /** Rows by their primary keys in one statement; missing ones are simply not there. */
  rows(keys: readonly TextRow[]): Promise<Page>
  /** From the planner's statistics; null when the table was never analysed. */
  estimateRows(): Promise<number | null>
}

export interface SourceTable {
  /** Schema and table: names its rows in state. */
  readonly name: string
  readonly table: Table
  readonly pages: Pages
}

export interface Source {
  /** The users table, then the child tables in the order of the mapping. */
  readonly tables: readonly SourceTable[]
  openStream(startLsn: Lsn, signal: AbortSignal): Promise<ChangeStream>
  /** Rejects when a table is no longer what it was opened as. */
  verify(): Promise<void>
  /** The newest transaction id the source has given out. */
  readCurrentXid(): Promise<bigint>
  /** Whatever is committed later has a higher one. */
  readInsertLsn(): Promise<Lsn>
}

/** What the server may yet keep for the slot. Pages and sweeps write WAL of their own where the state is beside the table. */
export interface WalRoom {
  /** Little is left before the server gives the slot up: positions are confirmed sooner. */
  isScarce(): boolean
  /** Resolves when the slot survives what the next page writes, or the signal aborts. */
  forPage(signal: AbortSignal): Promise<void>
}
