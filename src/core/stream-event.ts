// What the replication stream tells capture, decoded but not yet mapped. Produced by postgres/decode.ts in the order of
// the WAL: transactions whole and in commit order (protocol 1), keepalives in between.
import type { Lsn } from './lsn.ts'
import type { RawRow, TextRow } from './row.ts'

export type RowEvent =
  | { readonly kind: 'insert'; readonly table: number; readonly row: RawRow }
  /** `oldKey`: the primary key before, when the update changed it. */
  | { readonly kind: 'update'; readonly table: number; readonly oldKey: TextRow | null; readonly row: RawRow }
  | { readonly kind: 'delete'; readonly table: number; readonly key: TextRow }
  | { readonly kind: 'truncate'; readonly tables: readonly number[] }

export type StreamEvent =
  | RowEvent
  /** `commitLsn`: where the commit record starts. `xid`: the low 32 bits. `committedAt`: milliseconds since 1970. */
  | { readonly kind: 'begin'; readonly commitLsn: Lsn; readonly xid: number; readonly committedAt: number }
  /** `endLsn`: just behind the commit record; the only LSN that is ever confirmed for a transaction. */
  | { readonly kind: 'commit'; readonly endLsn: Lsn }
  /** A wanted column is missing from the relation as it was at this point of the WAL, or had another type. */
  | { readonly kind: 'reshaped'; readonly table: number; readonly columns: readonly string[] }
  /** Of another table that had the followed one's name at this point of the WAL; its rows are not told. */
  | { readonly kind: 'namesake'; readonly table: string }
  | { readonly kind: 'keepalive'; readonly lsn: Lsn; readonly replyRequested: boolean }
