// How much of a table has to be drawn for a random sample of its rows: TABLESAMPLE SYSTEM takes whole blocks, each with the same
// chance. Pure.

/**
 * A small multiple of the rows that are wanted: so that there is, nearly always, one row from each of that many blocks to
 * choose among, and rows that lie beside each other seldom come together.
 */
const BLOCKS_PER_ROW = 2
/** A table of less is drawn whole: 8 MB are read in a few milliseconds, and no draw of it comes out empty. */
const SMALL_BLOCKS = 1_000

/** The share of blocks to draw, in per cent, as TABLESAMPLE takes it. */
export function samplePercent(rows: number, blocks: number): number {
  if (blocks <= SMALL_BLOCKS) return 100
  return Math.min(100, (100 * Math.max(rows, 8) * BLOCKS_PER_ROW) / blocks)
}
