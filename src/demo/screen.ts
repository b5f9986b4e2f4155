// The demo on its reader's terminal: a few kinds of lines, in columns that fit its width, in colours where it has any
// (NO_COLOR is honoured). Elsewhere the same lines without colours and of any length.
import { styleText } from 'node:util'
import type { Piece, Tone } from './call-text.ts'

export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** What happened in the table, and what came of it at SuprSend. */
export interface EventLine {
  readonly verb: string
  readonly who: string
  readonly what: string
  readonly call: string
  readonly pieces: readonly Piece[]
  readonly latencyMs: number | null
}

const STYLES: Readonly<Record<Tone, Parameters<typeof styleText>[0]>> = {
  plain: 'reset',
  dim: 'dim',
  good: 'green',
  bad: 'red',
  gone: 'red',
  new: 'green',
  set: 'yellow',
}
const VERB = 9
const WHO = 10
const CALL = 7
const LATENCY = 8
/** An old and a new address, side by side. */
const PIECES = 44

export class Screen {
  readonly #output: Output
  readonly #colour: boolean
  readonly #width: number
  #unfinished = false

  constructor(output: Output, options: { readonly colour: boolean }) {
    this.#output = output
    this.#colour = options.colour
    this.#width = output.isTTY ? Math.max(64, output.columns ?? 100) : 160
  }

  line(...pieces: readonly (Piece | string)[]): void {
    const text = pieces.map((piece) => (typeof piece === 'string' ? piece : this.#paint(piece))).join('')
    this.#output.write(`${this.#unfinished ? '\r\x1b[K' : ''}${text}\n`)
    this.#unfinished = false
  }

  /** What goes on, until the next line takes its place. Only where a line can be taken back. */
  meanwhile(text: string): void {
    if (!this.#output.isTTY) return
    this.#output.write(`${this.#unfinished ? '\r\x1b[K' : ''}${this.#paint({ text: `  … ${text}`, tone: 'dim' })}`)
    this.#unfinished = true
  }

  done(text: string, more = ''): void {
    this.line({ text: '  ✓ ', tone: 'good' }, text, { text: more === '' ? '' : `  ${more}`, tone: 'dim' })
  }

  wrong(text: string): void {
    this.line({ text: '  ✗ ', tone: 'bad' }, text)
  }

  rule(text: string, tone: Tone = 'dim'): void {
    const rest = Math.max(3, Math.min(this.#width, 100) - text.length - 6)
    this.line('')
    this.line({ text: `  ── ${text} ${'─'.repeat(rest)}`, tone })
  }

  columns(): void {
    const [what, pieces] = this.#flexible()
    const left = `  ${'in the table'.padEnd(VERB + WHO + what)}`
    this.line({ text: `${left}→ ${'at SuprSend'.padEnd(CALL + pieces)}${'after'.padStart(LATENCY)}`, tone: 'dim' })
  }

  event(event: EventLine): void {
    const [whatWidth, pieceWidth] = this.#flexible()
    const latency = event.latencyMs === null ? '' : `${event.latencyMs.toFixed(event.latencyMs < 10 ? 1 : 0)} ms`
    const { pieces, width } = shorten(event.pieces, pieceWidth - 1)
    this.line(
      '  ',
      { text: event.verb.padEnd(VERB), tone: event.call === '' ? 'dim' : 'plain' },
      cut(event.who, WHO),
      cut(event.what, whatWidth),
      { text: '→ ', tone: 'dim' },
      event.call.padEnd(CALL),
      ...pieces,
      latency === '' ? '' : ' '.repeat(pieceWidth - width),
      { text: latency === '' ? '' : latency.padStart(LATENCY), tone: 'dim' },
    )
  }

  /** Widths of what changed and of what was told, from what the fixed columns leave. */
  #flexible(): readonly [number, number] {
    const left = Math.min(this.#width - 1, 150) - 2 - VERB - WHO - 2 - CALL - LATENCY
    const what = Math.max(14, Math.min(32, left - PIECES))
    return [what, Math.max(10, left - what)]
  }

  #paint({ text, tone }: Piece): string {
    if (!this.#colour || tone === 'plain' || text === '') return text
    return styleText(STYLES[tone], text, { validateStream: false })
  }
}

/** To exactly `width`, with a blank at the end. */
function cut(text: string, width: number): string {
  return text.length < width ? text.padEnd(width) : `${text.slice(0, width - 2)}… `
}

/** The pieces that fit, two blanks apart, and their width. */
function shorten(
  pieces: readonly Piece[],
  limit: number,
): { readonly pieces: readonly Piece[]; readonly width: number } {
  const fitting: Piece[] = []
  let width = 0
  for (const piece of pieces) {
    const gap = width === 0 ? '' : '  '
    const room = limit - width - gap.length
    if (room < 2) break
    const text = piece.text.length <= room ? piece.text : `${piece.text.slice(0, room - 1)}…`
    fitting.push({ text: gap, tone: 'plain' }, { text, tone: piece.tone })
    width += gap.length + text.length
    if (text !== piece.text) break
  }
  return { pieces: fitting, width }
}
