// Collects one response into an Answer. Guarantees exactly one Answer per request, in bounded memory: a body over the bound
// is dropped (but for a page's beginning) while its status still counts; a request of which nothing was written is `unsent`, any other without a whole
// answer is `unclear`, except that a 2xx status line alone proves that it was applied, and a 429 or 503 asks to wait. Leaves conclusions to core/outcome.ts.
import type { IncomingHttpHeaders } from 'node:http'
import type { Answer } from '../core/api.ts'
import { errorCode } from '../core/error.ts'
import type { Json } from '../core/json.ts'
import { isDeeperThan } from '../core/json-text.ts'
import { decodeContent } from './content-coding.ts'

/** A user object is a few kilobytes; what is larger is no answer of this API. */
export const MAX_BODY_BYTES = 1_048_576

/** More than any message; what is of no use is not kept. */
const CUT_BYTES = 4_096

/** A body of a megabyte may come byte by byte, and each byte as a Buffer would take a hundred. */
const MOST_CHUNKS = 1_000

/** What reads an answer recurses: 90,000 arrays fit into the bound above and would overflow the stack. */
const MAX_DEPTH = 256

export class AnswerBuffer {
  /** Something may have been written to the socket. */
  started = false
  #status: number | null = null
  #retryAfterMs: number | null = null
  #coding = ''
  #chunks: Buffer[] = []
  #bytes = 0

  /** Undici begins again with the headers after an interim 1xx. */
  begin(status: number, headers: IncomingHttpHeaders, nowMs: number): void {
    this.#status = status
    this.#retryAfterMs = parseRetryAfter(headers['retry-after'], headers.date, nowMs)
    this.#coding = String(headers['content-encoding'] ?? '')
  }

  /** False once the body is over the bound: stop reading. */
  add(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    if (this.#bytes > MAX_BODY_BYTES) {
      this.#chunks = this.#chunks.slice(0, 1)
      return false
    }
    if (this.#chunks.length >= MOST_CHUNKS) this.#chunks = [Buffer.concat(this.#chunks)]
    this.#chunks.push(chunk)
    return true
  }

  whole(): Answer {
    const raw = this.#raw()
    const decoded = decodeContent(raw, this.#coding, MAX_BODY_BYTES)
    // What cannot be read is shown as it came: it must not pass for an answer without a body.
    if (decoded.kind === 'unreadable') return this.#answered(parseBody(raw))
    return this.#answered(decoded.kind === 'whole' ? parseBody(decoded.bytes) : pageStart(decoded.start))
  }

  broken(error: unknown): Answer {
    const status = this.#status
    if (status !== null && (this.#bytes > MAX_BODY_BYTES || (status >= 200 && status < 300) || asksToWait(status)))
      return this.#answered(this.#startOfPage())
    return { kind: this.started ? 'unclear' : 'unsent', code: errorCode(error) ?? 'unknown' }
  }

  #startOfPage(): Json {
    const decoded = decodeContent(this.#raw(), this.#coding, MAX_BODY_BYTES)
    if (decoded.kind === 'unreadable') return null
    return pageStart(decoded.kind === 'whole' ? decoded.bytes : decoded.start)
  }

  #raw(): Buffer {
    const [first, ...more] = this.#chunks
    return first !== undefined && more.length === 0 ? first : Buffer.concat(this.#chunks)
  }

  #answered(body: Json): Answer {
    return { kind: 'answered', status: this.#status ?? 0, retryAfterMs: this.#retryAfterMs, body }
  }
}

/** What is asked stands in the head, and nothing worse follows from it whatever the body would have said. */
function asksToWait(status: number): boolean {
  return status === 429 || status === 503
}

/** The beginning of a body that was cut, if it is a web page's: it must not pass for the API's. Else null. */
function pageStart(bytes: Buffer): Json {
  const text = bytes.toString('utf8', 0, CUT_BYTES)
  return text.trimStart().startsWith('<') ? text : null
}

/** JSON, else the text itself, else null when empty. JSON that is too deep stays text, cut. */
export function parseBody(bytes: Buffer): Json {
  if (bytes.length === 0) return null
  const text = bytes.toString('utf8')
  try {
    const value: Json = JSON.parse(text)
    return isDeeperThan(value, MAX_DEPTH) ? text.slice(0, CUT_BYTES) : value
  } catch {
    // Plain text and HTML are answers too: a gateway's, or the API's own 401.
    return text
  }
}

/** Milliseconds from now, of `120` or `Fri, 31 Dec 1999 23:59:59 GMT`. A date is read by the server's own clock, not ours. */
function parseRetryAfter(
  value: string | readonly string[] | undefined,
  date: string | undefined,
  nowMs: number,
): number | null {
  const text = (typeof value === 'string' ? value : value?.[0])?.trim()
  if (text === undefined || text === '') return null
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000)
  // Date.parse takes `wait 35` for the year 2035: nobody would be sent for an hour.
  const atMs = /\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(atMs)) return null
  const serverNowMs = date === undefined ? Number.NaN : Date.parse(date)
  return Math.max(0, atMs - (Number.isNaN(serverNowMs) ? nowMs : serverNowMs))
}
