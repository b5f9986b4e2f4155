// How far a backfill has come, as text. Pure; progress.ts decides when it is shown.

export interface ProgressState {
  readonly label: string
  readonly rows: number
  /** An estimate (the planner's row count), or null when there is none. */
  readonly estimatedRows: number | null
  readonly rowsPerSecond: number
}

const BAR_CELLS = 24

/**
 * `backfill ━━━━━━──────────────────  25%  250,000 of ~1,000,000 rows  8,200/s  1m 31s left`. Without bar and time left
 * where there is no estimate or it has proved too small.
 */
export function formatProgress(state: ProgressState): string {
  const share = progressShare(state)
  const rate = `${count(state.rowsPerSecond)}/s`
  if (share === null) return [state.label, `${count(state.rows)} rows`, rate].join('  ')
  const filled = Math.floor(share * BAR_CELLS)
  const bar = '━'.repeat(filled) + '─'.repeat(BAR_CELLS - filled)
  const percent = `${Math.floor(share * 100)}%`.padStart(4)
  const rows = `${count(state.rows)} of ~${count(state.estimatedRows ?? 0)} rows`
  const leftMs = remainingMs(state)
  return [
    `${state.label} ${bar} ${percent}`,
    rows,
    rate,
    ...(leftMs === null ? [] : [`${formatDuration(leftMs)} left`]),
  ].join('  ')
}

/** 0 to 1, or null when it cannot be told. */
export function progressShare({ rows, estimatedRows }: ProgressState): number | null {
  return estimatedRows === null || estimatedRows <= 0 || rows > estimatedRows ? null : rows / estimatedRows
}

export function remainingMs(state: ProgressState): number | null {
  if (progressShare(state) === null || state.rowsPerSecond <= 0) return null
  return (((state.estimatedRows ?? 0) - state.rows) / state.rowsPerSecond) * 1000
}

/** `42s`, `3m 05s`, `2h 07m`: two units are as exact as an estimate deserves. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const minutes = Math.floor(seconds / 60)
  if (minutes === 0) return `${seconds}s`
  if (minutes < 60) return `${minutes}m ${two(seconds % 60)}s`
  return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
