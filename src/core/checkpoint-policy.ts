// When an LSN up to which nothing more has to be stored is worth a write of ours (DESIGN §5.7): when slices of its
// transaction wait for it, when the server asks (it may be waiting for us to stop), or when it frees a WAL segment, and that
// at most every ten seconds, so that our own writes, which make WAL too, never keep us busy.
// The server lets go of WAL only up to the last list of running transactions that we confirmed past, and writes such a list
// 15 s apart: a burst that ends is followed by one more write, or its WAL would stay until the next one.
// Where little WAL is left before the server gives the slot up, any move may be the one that frees it: twice a second then.
import type { StateCommit } from './capture-port.ts'
import { type Lsn, later, NO_LSN } from './lsn.ts'

const SEGMENT_BITS = 24n // wal_segment_size is 16 MB unless the cluster was made with another
const LEAST_INTERVAL_MS = 10_000
const SCARCE_INTERVAL_MS = 500
/** LOG_SNAPSHOT_INTERVAL_MS of PostgreSQL's background writer, and up to 10 s that it hibernates (50 times bgwriter_delay). */
const RELEASE_AFTER_MS = 30_000

export interface IdleProgress {
  readonly settled: Lsn
  readonly persisted: Lsn
  readonly replyRequested: boolean
  /** Slices of a transaction are stored whose end this is: senders wait for it. */
  readonly endsSlices: boolean
  /** Little is left before the server gives the slot up. */
  readonly walIsScarce: boolean
  readonly sinceLastWriteMs: number
  /** Since a write passed a WAL segment; null when the server has let go of it. */
  readonly sinceSegmentMs: number | null
}

export function shouldPersist(progress: IdleProgress): boolean {
  const { settled, persisted, replyRequested, endsSlices, sinceLastWriteMs } = progress
  if (settled <= persisted) return false
  if (replyRequested || endsSlices) return true
  if (progress.walIsScarce) return sinceLastWriteMs >= SCARCE_INTERVAL_MS
  if (sinceLastWriteMs < LEAST_INTERVAL_MS) return false
  return passesSegment(progress) || walRelease(progress) === 'done'
}

/** What writing this position means for the WAL that the server keeps for us. */
export function walRelease(progress: IdleProgress): 'begins' | 'waited for' | 'done' | 'nothing' {
  if (passesSegment(progress)) return 'begins'
  if (progress.sinceSegmentMs === null) return 'nothing'
  return progress.sinceSegmentMs < RELEASE_AFTER_MS ? 'waited for' : 'done'
}

function passesSegment({ settled, persisted }: IdleProgress): boolean {
  return settled >> SEGMENT_BITS !== persisted >> SEGMENT_BITS
}

/** The newest change of a slice, which leaves the checkpoint before it; null: it is none, or of no streamed change. */
export function slicedLsn({ lsn, rows, profiles }: Pick<StateCommit, 'lsn' | 'rows' | 'profiles'>): Lsn | null {
  if (lsn !== null) return null
  const changes = [
    ...rows.flatMap(({ version }) => version.changeLsn ?? []),
    ...profiles.map(({ changeLsn }) => changeLsn),
  ]
  const newest = changes.reduce(later, NO_LSN)
  return newest === NO_LSN ? null : newest
}
