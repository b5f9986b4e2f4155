// Reads the whole table in keyset pages while the stream runs. Each page is stored with the run's cursor in one
// transaction, so a killed run goes on at its last page; a page's row never overwrites a newer streamed one (DESIGN §6). Where
// changes were missed, rows that no page showed are swept at the end (§8).
import { sleep } from '../core/abort.ts'
import type { BackfillProgress } from '../core/capture-port.ts'
import { errorCode } from '../core/error.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { Logger } from '../core/logger.ts'
import { rowKey, type TextRow } from '../core/row.ts'
import { parseSnapshot, type Snapshot } from '../core/snapshot.ts'
import type { SourceTable, WalRoom } from '../core/source-port.ts'
import { sweep as sweepUnseen } from './mass-writes.ts'
import type { RowMapper } from './row-mapper.ts'
import { type RunPage, RunReader } from './run-reader.ts'
import type { StateWriter } from './state-writer.ts'

export interface BackfillOptions {
  readonly source: SourceTable
  readonly mapper: RowMapper
  readonly writer: StateWriter
  /** Transactions up to this one may be in the WAL before the slot's start and not yet be visible to a page. */
  readonly startXid: bigint
  readonly log: Logger
  readonly failPoints: FailPoints
  readonly wal: Pick<WalRoom, 'forPage'>
  /** null: as fast as it goes. */
  readonly mostRowsPerSecond: number | null
  readonly onProgress: (progress: BackfillReport) => void
  /** Resolves when all is stored that was committed before now, or the signal aborts. */
  readonly caughtUp: (signal: AbortSignal) => Promise<void>
}

export interface BackfillReport {
  /** The table's name, as it stands in state. */
  readonly source: string
  /** Since the run began, over restarts. */
  readonly rowsRead: number
  readonly rowsInPage: number
  readonly rowsEstimated: number | null
  readonly finished: boolean
}

export interface BackfillStart {
  readonly id: string
  readonly source: string
  /** Of this run; null: that of the checkpoint counts. */
  readonly startXid: bigint | null
  readonly cursor: TextRow | null
  readonly rowsRead: number
  readonly rowsEstimated: number | null
  /** Of its first page, as pg_snapshot prints it; null: it has not begun. */
  readonly firstSnapshot: string | null
  /** Rows that no page shows are gone. */
  readonly sweep: boolean
  /** The last page is stored already. */
  readonly paged: boolean
  /** SQL over the rows to be read; null: all. */
  readonly filter: string | null
  /** Why it is owed: a code of core/remap-decision.ts, or that it was asked for. */
  readonly reason: string
}

const VISIBILITY_POLL_MS = 200

/** Runs to the end of the table, or until the signal aborts. @returns whether the end was reached. */
export async function runBackfill(
  options: BackfillOptions,
  start: BackfillStart,
  signal: AbortSignal,
): Promise<boolean> {
  const read = start.paged ? start : await readPages(options, start, signal)
  if (read === null) return false
  if (start.sweep) await sweep(options, { ...start, ...read }, signal)
  return true
}

/**
 * The same for a session: one that was called off, or whose own filter fails, ends alone.
 * @returns `finished`, `stopped` by the signal, else the code with which it ended.
 */
export async function backfillOnce(
  options: BackfillOptions,
  start: BackfillStart,
  signal: AbortSignal,
): Promise<string> {
  try {
    return (await runBackfill(options, start, signal)) ? 'finished' : 'stopped'
  } catch (error) {
    const code = errorCode(error) ?? ''
    if (code !== 'backfill_cancelled' && !(error instanceof FilterFailed)) throw error
    options.log.warn({ err: error, table: start.source }, 'a reading that was asked for ended before its end')
    return code
  }
}

/** The condition itself cannot be evaluated, whoever asks. */
class FilterFailed extends Error {
  readonly code: string

  constructor(code: string, cause: unknown) {
    super('the condition failed', { cause })
    this.code = code
  }
}

/**
 * SQLSTATEs that say nothing of the statement: of the connection, resources, the operator, the system, locks, and conflicts with
 * other transactions. 57014 does: a single row took too long.
 */
const OF_SERVER = /^(08|25P0|40|53|55P03|57(?!014)|58|F0)/

async function ofFilter<T>(filter: string | null, read: Promise<T>): Promise<T> {
  try {
    return await read
  } catch (error) {
    const code = errorCode(error) ?? ''
    const isOfFilter = filter !== null && /^[0-9A-Z]{5}$/.test(code) && !OF_SERVER.test(code)
    throw isOfFilter ? new FilterFailed(code, error) : error
  }
}

type Read = Pick<BackfillStart, 'cursor' | 'rowsRead' | 'firstSnapshot'>

/** Null: it was told to stop. */
async function readPages(
  { source, mapper, writer, failPoints, onProgress, ...options }: BackfillOptions,
  start: BackfillStart,
  signal: AbortSignal,
): Promise<Read | null> {
  const { name, table } = source
  let { cursor, rowsRead, firstSnapshot } = start
  const visible = { startXid: start.startXid ?? options.startXid, log: options.log }
  const reader = new RunReader({ source, filter: start.filter, log: options.log })
  while (!signal.aborted) {
    await options.wal.forPage(signal)
    const askedAt = performance.now()
    const page = await readVisiblePage(visible, () => ofFilter(start.filter, reader.next(cursor, signal)), signal)
    if (!page) return null
    const rows = page.rows.map((row) => ({ key: rowKey(table, row), content: mapper.content(name, row) }))
    cursor = page.last ?? cursor
    rowsRead += rows.length
    firstSnapshot ??= page.snapshot.text
    const { paged } = page
    const finished = paged && !start.sweep
    const backfill = { id: start.id, cursor, rowsRead, firstSnapshot, paged, finished }
    await writer.storePage(name, { rows, snapshot: page.snapshot, lsn: page.lsn, backfill })
    failPoints.hit('in_backfill')
    onProgress({ source: name, rowsRead, rowsInPage: rows.length, rowsEstimated: start.rowsEstimated, finished })
    if (paged) return { cursor, rowsRead, firstSnapshot }
    await sleep(pauseMs(page.scanned, performance.now() - askedAt, options.mostRowsPerSecond), signal)
  }
  return null
}

/** What is left of the time that so many rows may take. */
function pauseMs(rows: number, tookMs: number, mostRowsPerSecond: number | null): number {
  return mostRowsPerSecond === null ? 0 : Math.max(0, (rows / mostRowsPerSecond) * 1_000 - tookMs)
}

async function sweep(
  { source, writer, log, failPoints, onProgress, caughtUp, wal }: BackfillOptions,
  { id, cursor, rowsRead, rowsEstimated, firstSnapshot }: BackfillStart,
  signal: AbortSignal,
): Promise<void> {
  const first: Snapshot = parseSnapshot(firstSnapshot ?? '')
  const progress: BackfillProgress = {
    id,
    cursor,
    rowsRead,
    firstSnapshot: first.text,
    paged: true,
    finished: false,
  }
  // A row whose key changed while pages were read may stand in none of them: the stream tells, and has to be heard first, or its
  // user would be deleted and made again.
  await caughtUp(signal)
  failPoints.hit('in_sweep')
  const rows = await sweepUnseen(writer, source.name, { ...progress, first, wal }, signal)
  log.info({ table: source.name, rows }, 'took back what rows gave that are gone from the table')
  onProgress({ source: source.name, rowsRead, rowsInPage: 0, rowsEstimated, finished: true })
}

async function readVisiblePage(
  { startXid, log }: Pick<BackfillOptions, 'startXid' | 'log'>,
  read: () => Promise<RunPage | null>,
  signal: AbortSignal,
): Promise<RunPage | null> {
  for (let waited = false; !signal.aborted; waited = true) {
    const page = await read()
    if (page === null) return null
    if (page.snapshot.xmin > startXid) return page
    if (!waited)
      log.info(
        { oldest_xid: page.snapshot.xmin.toString() },
        'backfill waits for transactions older than the slot to end',
      )
    await sleep(VISIBILITY_POLL_MS, signal)
  }
  return null
}
