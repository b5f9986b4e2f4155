// One stretch of capturing in a test: its stream, which can be held, and the pages beside it. Made by CaptureHarness.
import { rowKey, type TextRow } from '../../src/core/row.ts'
import type { Page, Pages, SourceTable, WalkedPage } from '../../src/core/source-port.ts'
import type { PageReader } from '../../src/postgres/pages.ts'
import type { RowMapper } from '../../src/sync/row-mapper.ts'
import type { StateWriter } from '../../src/sync/state-writer.ts'
import type { TestDatabase } from './database.ts'
import type { HeldStream } from './held-stream.ts'
import { until } from './wait.ts'

/** The service's pages, counted; a test may look at or change what a reading again finds. */
export class CountedPages implements Pages {
  readonly #inner: PageReader
  rereads = 0
  beforeReread: () => Promise<void> = async () => undefined
  beforePage: (cursor: TextRow | null) => Promise<void> = async () => undefined

  constructor(inner: PageReader) {
    this.#inner = inner
  }

  async page(cursor: TextRow | null, limit: number): Promise<Page> {
    await this.beforePage(cursor)
    return await this.#inner.page(cursor, limit)
  }

  filtered(cursor: TextRow | null, limit: number, filter: string): Promise<Page> {
    return this.#inner.filtered(cursor, limit, filter)
  }

  walked(cursor: TextRow | null, limit: number, filter: string): Promise<WalkedPage> {
    return this.#inner.walked(cursor, limit, filter)
  }

  estimateRows(): Promise<number | null> {
    return this.#inner.estimateRows()
  }

  async rows(keys: readonly TextRow[]): Promise<Page> {
    await this.beforeReread()
    const page = await this.#inner.rows(keys)
    this.rereads += 1
    return page
  }
}

interface SessionParts {
  readonly stream: HeldStream
  readonly mapper: RowMapper
  readonly writer: StateWriter
  readonly tables: readonly SourceTable[]
  readonly ended: Promise<void>
  readonly stop: AbortController
  readonly backfill: (signal: AbortSignal) => Promise<boolean>
}

export class CaptureSession implements AsyncDisposable {
  readonly #parts: SessionParts
  readonly stream: HeldStream

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.stream = parts.stream
  }

  /** Rejects with what ended the capture. */
  get ended(): Promise<void> {
    return this.#parts.ended
  }

  backfill(signal: AbortSignal = new AbortController().signal): Promise<boolean> {
    return this.#parts.backfill(signal)
  }

  /** Stores a page, whenever it was read. @param at which of the tables it is of; 0: the users table. */
  async storePage(page: Page, { finished = false, at = 0 } = {}): Promise<void> {
    const { mapper, writer, tables } = this.#parts
    const source = tables[at]
    if (!source) throw new Error('no such table')
    const { name, table } = source
    const rows = page.rows.map((row) => ({ key: rowKey(table, row), content: mapper.content(name, row) }))
    const backfill = {
      id: '1',
      cursor: null,
      rowsRead: rows.length,
      firstSnapshot: page.snapshot.text,
      paged: finished,
      finished,
    }
    await writer.storePage(name, { rows, snapshot: page.snapshot, lsn: page.lsn, backfill })
  }

  /** Runs the statements while the stream is held, and lets them go as one batch. */
  async inOneBatch(database: TestDatabase, statements: readonly string[]): Promise<void> {
    this.stream.hold()
    const before = this.stream.heldTransactions
    for (const statement of statements) await database.query(statement)
    await until(() => this.stream.heldTransactions >= before + statements.length, { what: 'the changes to arrive' })
    this.stream.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.stop.abort()
    await this.#parts.ended.catch(() => undefined) // tests that expect a failure look at `ended`
  }
}
