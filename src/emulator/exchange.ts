// One request and its only answer on a node:http connection: JSON, text, nothing at all, or far too much. Guarantees that
// an exchange ends once and that `onEnd` is told before the first byte of an answer leaves. Knows no users.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

export type Ending = number | 'dropped'

const JSON_TYPE = 'application/json; charset=utf-8'
const CHUNK = ' '.repeat(65_536)

export class Exchange {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #onEnd: (ending: Ending, clientLeft: boolean) => void
  #ended = false

  /** @param onEnd also told whether it was the client who ended it. */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    onEnd: (ending: Ending, clientLeft: boolean) => void,
  ) {
    this.#request = request
    this.#response = response
    this.#onEnd = onEnd
    // Also fires after an answer; then the exchange has ended already.
    response.once('close', () => this.#end('dropped', true))
  }

  get ended(): boolean {
    return this.#ended
  }

  /** `null`: no body. Text goes out as it is, everything else as its JSON. */
  answer(status: number, body: unknown, headers: readonly string[] = []): void {
    if (!this.#end(status)) return
    if (body === null) {
      // Without it Node would announce chunks; a 204 may announce nothing.
      const length = status === 204 ? [] : ['content-length', '0']
      this.#response.writeHead(status, [...length, ...headers]).end()
      return
    }
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const type = typeof body !== 'string' ? JSON_TYPE : text.startsWith('<') ? 'text/html' : 'text/plain; charset=utf-8'
    const length = String(Buffer.byteLength(text))
    this.#response.writeHead(status, ['content-type', type, 'content-length', length, ...headers]).end(text)
  }

  /** `sizeBytes` of JSON white space after an opening brace, as fast as the client reads. */
  answerHuge(status: number, sizeBytes: number): void {
    if (!this.#end(status)) return
    this.#response.writeHead(status, ['content-type', JSON_TYPE])
    Readable.from(blanks(sizeBytes)).pipe(this.#response)
  }

  /** Closes the connection without an answer. */
  drop(): void {
    this.#end('dropped')
    this.#request.socket.destroy()
  }

  /** The same by a reset (RST), as a crashed host or a firewall does it. */
  reset(): void {
    this.#end('dropped')
    this.#request.socket.resetAndDestroy()
  }

  #end(ending: Ending, clientLeft = false): boolean {
    if (this.#ended) return false
    this.#ended = true
    this.#onEnd(ending, clientLeft)
    return true
  }
}

function* blanks(sizeBytes: number): Generator<string> {
  yield '{'
  for (let left = sizeBytes - 1; left > 0; left -= CHUNK.length)
    yield left < CHUNK.length ? CHUNK.slice(0, left) : CHUNK
}
