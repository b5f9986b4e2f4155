// Shows how far the backfills of `run` are: one table after the other, each with its own bar or lines of the log.
import type { Logger } from '../core/logger.ts'
import { Progress } from '../ops/progress.ts'
import type { StatusLine } from '../ops/status-line.ts'
import type { BackfillReport } from '../sync/backfill.ts'

export class BackfillProgress implements Disposable {
  readonly #log: Logger
  readonly #line: StatusLine | null
  #source = ''
  #progress: Progress | null = null

  constructor(log: Logger, line: StatusLine | null) {
    this.#log = log
    this.#line = line
  }

  show({ source, rowsRead, rowsEstimated, rowsInPage, finished }: BackfillReport): void {
    if (this.#source !== source) this.#progress?.end()
    if (this.#source !== source || this.#progress === null) {
      this.#source = source
      this.#progress = new Progress({
        label: `backfill of ${source}`,
        estimatedRows: rowsEstimated,
        resumedRows: rowsRead - rowsInPage,
        log: this.#log,
        line: this.#line,
      })
    }
    this.#progress.advance(rowsInPage)
    if (!finished) return
    this.#progress.end()
    this.#progress = null
    this.#log.info({ table: source, rows: rowsRead }, 'backfill finished')
  }

  [Symbol.dispose](): void {
    this.#progress?.end()
  }
}
