// When an LSN up to which nothing more has to be stored is worth a write of ours (DESIGN §5.7): when slices of its
// transaction wait for it, when the server asks (it may be waiting for us to stop), or when it frees a WAL segment, and that
// at most every ten seconds, so that our own writes, which make WAL too, never keep us busy.
import type { Lsn } from './lsn.ts'

const SEGMENT_BITS = 24n // wal_segment_size is 16 MB unless the cluster was made with another
const LEAST_INTERVAL_MS = 10_000

export interface IdleProgress {
  readonly settled: Lsn
  readonly persisted: Lsn
  readonly replyRequested: boolean
  /** Slices of a transaction are stored whose end this is: senders wait for it. */
  readonly endsSlices: boolean
  readonly sinceLastWriteMs: number
}

export function shouldPersist({
  settled,
  persisted,
  replyRequested,
  endsSlices,
  sinceLastWriteMs,
}: IdleProgress): boolean {
  if (settled <= persisted) return false
  if (replyRequested || endsSlices) return true
  return settled >> SEGMENT_BITS !== persisted >> SEGMENT_BITS && sinceLastWriteMs >= LEAST_INTERVAL_MS
}
