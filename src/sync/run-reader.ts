// The pages of one run, however the table is: sized to stay short, made smaller when a statement runs into its time-out, and waited
// for while the application keeps its table locked, so that the stream beside it goes on. A condition that no index serves is not
// looked for through the whole table in one statement: rows are walked over, some at a time (P5).
import { sleep } from '../core/abort.ts'
import { rowSize } from '../core/change-batch.ts'
import { errorCode } from '../core/error.ts'
import type { Logger } from '../core/logger.ts'
import { FIRST_PAGE_ROWS, nextPageRows, smallerPage } from '../core/page-size.ts'
import type { TextRow } from '../core/row.ts'
import type { SourceTable, WalkedPage } from '../core/source-port.ts'

export interface RunPage extends WalkedPage {
  /** It was the last one. */
  readonly paged: boolean
}

/** query_canceled: by statement_timeout, for nobody else cancels ours. lock_not_available: by lock_timeout. */
const STATEMENT_TIMEOUT = '57014'
const LOCK_TIMEOUT = '55P03'
const LOCKED_MS = 5_000
/** What a condition costs is known by the first page. */
const FIRST_WALKED_ROWS = 10

export interface RunReaderOptions {
  readonly source: SourceTable
  /** SQL over the rows to be read; null: all. */
  readonly filter: string | null
  readonly log: Logger
  /** How long a lock is waited for before the next try. */
  readonly lockedMs?: number
}

export class RunReader {
  readonly #source: SourceTable
  readonly #filter: string | null
  readonly #log: Logger
  readonly #lockedMs: number
  #limit = FIRST_PAGE_ROWS
  #isWalking = false

  constructor({ source, filter, log, lockedMs = LOCKED_MS }: RunReaderOptions) {
    this.#source = source
    this.#filter = filter
    this.#log = log
    this.#lockedMs = lockedMs
  }

  /** The page after `cursor`; null: it was told to stop. */
  async next(cursor: TextRow | null, signal: AbortSignal): Promise<RunPage | null> {
    while (!signal.aborted) {
      const asked = this.#limit
      const askedAt = performance.now()
      try {
        const page = await this.#read(cursor, asked)
        this.#limit = nextPageRows(asked, {
          rows: page.scanned,
          sizeBytes: page.sizeBytes,
          tookMs: performance.now() - askedAt,
        })
        return { ...page, paged: page.scanned < asked }
      } catch (error) {
        await this.#afterFailure(error, asked, signal)
      }
    }
    return null
  }

  async #read(cursor: TextRow | null, limit: number): Promise<WalkedPage> {
    const { pages, table } = this.#source
    if (this.#filter !== null && this.#isWalking) return await pages.walked(cursor, limit, this.#filter)
    const page =
      this.#filter === null ? await pages.page(cursor, limit) : await pages.filtered(cursor, limit, this.#filter)
    const { rows } = page
    const sizeBytes = rows.reduce((sum, row) => sum + rowSize(row), 0)
    return { ...page, scanned: rows.length, sizeBytes, last: rows.at(-1)?.slice(0, table.key.length) ?? null }
  }

  /** @throws the error, where nothing can be done about it. */
  async #afterFailure(error: unknown, asked: number, signal: AbortSignal): Promise<void> {
    const code = errorCode(error)
    const table = this.#source.name
    if (code === LOCK_TIMEOUT) {
      this.#log.warn({ table }, 'the table is locked by somebody; reading waits, changes are captured meanwhile')
      return await sleep(this.#lockedMs, signal)
    }
    if (code !== STATEMENT_TIMEOUT) throw error
    if (this.#filter !== null && !this.#isWalking) {
      this.#isWalking = true
      this.#limit = Math.min(this.#limit, FIRST_WALKED_ROWS)
      this.#log.info({ table }, 'no index serves the condition: the table is walked through')
      return
    }
    const smaller = smallerPage(asked)
    if (smaller === null) throw error
    this.#log.warn({ table, rows: asked }, 'a page took too long; trying a smaller one')
    this.#limit = smaller
  }
}
