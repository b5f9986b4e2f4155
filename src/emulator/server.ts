// The listening socket: opens, vanishes and comes back on the same port, ends. Plain node:http and not fastify: the id is
// cut from the raw request target (no router decodes or normalises it), faults need the bare socket, and a
// throughput bench should measure its client.
import { createServer, type RequestListener, type Server } from 'node:http'
import { errorCode, errorMessage, SuprsyncError } from '../core/error.ts'

export class HttpServer {
  readonly #host: string
  readonly #handler: RequestListener
  #port: number
  #server: Server | null = null

  /** Port 0 picks a free one at the first `open`; it stays the same afterwards. */
  constructor(place: { readonly host: string; readonly port: number }, handler: RequestListener) {
    this.#host = place.host
    this.#port = place.port
    this.#handler = handler
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `http://${this.#host.includes(':') ? `[${this.#host}]` : this.#host}:${this.#port}`
  }

  async open(): Promise<void> {
    if (this.#server !== null) return
    // Idle connections stay long enough for a client's pool to be the one that gives them up.
    const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, this.#handler)
    this.#server = server
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', reject)
    server.listen({ host: this.#host, port: this.#port }, resolve)
    try {
      await promise
    } catch (error) {
      this.#server = null
      const message = `cannot listen on ${this.#host}:${this.#port}: ${errorCode(error) ?? errorMessage(error)}`
      throw new SuprsyncError('emulator_listen_failed', message, { cause: error })
    }
    const address = server.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
  }

  /** Accepts nothing more and ends when what was accepted is answered. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    // Node ends the connections that are idle now; those that become idle later are ours to end.
    const sweep = setInterval(() => server.closeIdleConnections(), 10)
    await closed(server)
    clearInterval(sweep)
  }

  /** Ends every connection at once. From then on connecting is refused. */
  async destroy(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    const done = closed(server)
    server.closeAllConnections()
    await done
  }
}

function closed(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  return promise
}
