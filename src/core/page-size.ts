// How many rows the next page may hold, so that a page stays within a few megabytes whatever a row weighs (P7). Begins
// small: the first page of a table with a megabyte in each row must be bearable too.

export const FIRST_PAGE_ROWS = 50
const MOST_ROWS = 1_000
const TARGET_BYTES = 4 << 20

/** @param page what the last page held; an empty one tells nothing. */
export function nextPageRows(limit: number, page: { readonly rows: number; readonly sizeBytes: number }): number {
  if (page.rows === 0) return limit
  const fitting = Math.floor((TARGET_BYTES * page.rows) / Math.max(1, page.sizeBytes))
  return Math.max(1, Math.min(MOST_ROWS, limit * 4, fitting))
}
