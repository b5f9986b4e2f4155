// How fast a reading goes and how long it may take, from what the state knows of it. Pure.
import type { ReportedBackfill } from './status-report.ts'

export interface BackfillPace {
  /** On the average since its first page. */
  readonly rowsPerSecond: number | null
  /** null: it is over, or cannot be told. */
  readonly leftMs: number | null
}

/** Shorter a reading tells nothing. */
const LEAST_MS = 1_000

export function backfillPace({ rowsRead, rowsEstimated, readingMs, finishedAt }: ReportedBackfill): BackfillPace {
  if (finishedAt !== null || readingMs === null || readingMs < LEAST_MS || rowsRead === 0)
    return { rowsPerSecond: null, leftMs: null }
  const rowsPerSecond = (rowsRead / readingMs) * 1_000
  const rowsLeft = rowsEstimated === null ? -1 : rowsEstimated - rowsRead
  // An estimate that proved too small says nothing of what is left.
  return { rowsPerSecond, leftMs: rowsLeft < 0 ? null : (rowsLeft / rowsPerSecond) * 1_000 }
}
