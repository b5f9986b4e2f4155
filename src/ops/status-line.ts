// The last line of a terminal, redrawn in place. Owned by one drawer at a time; whoever prints lines above it (the log)
// clears it first, and the drawer's next tick brings it back.

export interface TerminalStream {
  readonly columns?: number
  write(text: string): unknown
}

const ERASE_LINE = '\r\u001b[2K'

export class StatusLine {
  readonly #stream: TerminalStream
  #drawn = false

  constructor(stream: TerminalStream) {
    this.#stream = stream
  }

  /** One column is left free: a full line would wrap, and the next redraw could not take it back. */
  get width(): number {
    return Math.max(20, (this.#stream.columns ?? 80) - 1)
  }

  draw(text: string): void {
    this.#stream.write(ERASE_LINE + text.slice(0, this.width))
    this.#drawn = true
  }

  clear(): void {
    if (this.#drawn) this.#stream.write(ERASE_LINE)
    this.#drawn = false
  }

  /** Leaves the drawn text standing and goes on below it. */
  end(): void {
    if (this.#drawn) this.#stream.write('\n')
    this.#drawn = false
  }
}
