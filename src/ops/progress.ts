// Shows how far something long has come: a bar redrawn at most ten times a second on a terminal, a log line every five
// seconds elsewhere. `advance` only adds, so that it may stand in a hot loop; an own timer, which never keeps the process
// alive, does the showing. After `end` (or dispose) nothing is printed any more.
import type { Logger } from '../core/logger.ts'
import { formatProgress, type ProgressState, progressShare, remainingMs } from './progress-text.ts'
import type { StatusLine } from './status-line.ts'

const REDRAW_MS = 100
const LOG_MS = 5_000

export interface ProgressOptions {
  /** `backfill` */
  readonly label: string
  readonly estimatedRows: number | null
  /** Rows that an earlier process has done already. They count as done, but not for the rate. */
  readonly resumedRows?: number
  readonly log: Logger
  /** The terminal's last line; null where there is no terminal. */
  readonly line: StatusLine | null
}

export class Progress implements Disposable {
  readonly #options: ProgressOptions
  readonly #startedAtMs = performance.now()
  readonly #timer: NodeJS.Timeout
  #rows = 0
  #ended = false

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#show(), options.line ? REDRAW_MS : LOG_MS)
    this.#timer.unref()
  }

  advance(rows: number): void {
    this.#rows += rows
  }

  /** Shows the final figures. May be called twice. */
  end(): void {
    if (this.#ended) return
    this.#show()
    this.#options.line?.end()
    this[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#timer)
    this.#options.line?.clear()
  }

  #show(): void {
    const { label, line, log } = this.#options
    const state = this.#state()
    if (line) {
      line.draw(formatProgress(state))
      return
    }
    const share = progressShare(state)
    const leftMs = remainingMs(state)
    const fields = {
      task: label,
      rows: state.rows,
      estimatedRows: state.estimatedRows,
      percent: share === null ? null : Math.floor(share * 100),
      rowsPerSecond: Math.round(state.rowsPerSecond),
      secondsLeft: leftMs === null ? null : Math.round(leftMs / 1000),
    }
    log.info(fields, 'progress')
  }

  #state(): ProgressState {
    const { label, estimatedRows, resumedRows = 0 } = this.#options
    const seconds = (performance.now() - this.#startedAtMs) / 1000
    const rowsPerSecond = seconds > 0 ? this.#rows / seconds : 0
    return { label, estimatedRows, rows: resumedRows + this.#rows, rowsPerSecond }
  }
}
