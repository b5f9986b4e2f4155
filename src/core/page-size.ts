// How many rows the next page may hold, so that a page stays within a few megabytes whatever a row weighs (P7), and its statement
// short whatever the table is like (P5). Begins small: the first page of a table with a megabyte in each row must be bearable too.

export const FIRST_PAGE_ROWS = 50
const MOST_ROWS = 1_000
const TARGET_BYTES = 4 << 20
const TARGET_MS = 500

export interface ReadPage {
  readonly rows: number
  readonly sizeBytes: number
  /** Of the statement. */
  readonly tookMs: number
}

/** @param page what the last page held; an empty one tells nothing. */
export function nextPageRows(limit: number, { rows, sizeBytes, tookMs }: ReadPage): number {
  if (rows === 0) return limit
  const fitting = Math.floor((TARGET_BYTES * rows) / Math.max(1, sizeBytes))
  // What is spent per statement and not per row must not make pages small for ever.
  const inTime = tookMs > TARGET_MS ? Math.floor((limit * TARGET_MS) / tookMs) : MOST_ROWS
  return Math.max(1, Math.min(MOST_ROWS, limit * 4, fitting, inTime))
}

/** After a statement that ran into its time-out; null: a page of one row did. */
export function smallerPage(limit: number): number | null {
  return limit <= 1 ? null : Math.floor(limit / 4) || 1
}
