// The replication connection: the only file that knows pg-logical-replication. Owns one START_REPLICATION session and
// neutralises the library's traps: an own plugin (values stay text), confirmation of exactly the LSN meant, no status timer
// of the library's, backpressure by waiting, one new object a connection, errors from every side heard once, a watchdog.
// Guarantees: events come in the order of the wire, keepalives included; nothing is confirmed but by `confirm`.
import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import type pg from 'pg'
import { LogicalReplicationService } from 'pg-logical-replication'
import { errorCode, SuprsyncError } from '../core/error.ts'
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts'
import type { Table } from '../core/row.ts'
import type { ChangeStream } from '../core/source-port.ts'
import type { StreamEvent } from '../core/stream-event.ts'
import { PgoutputDecoder } from './decode.ts'
import { quoteIdentifier, quoteLiteral } from './identifier.ts'

export interface StreamOptions {
  readonly connection: pg.ClientConfig
  readonly slot: string
  readonly publication: string
  /** Transactions whose commit record starts before it are not sent. */
  readonly startLsn: Lsn
  readonly tables: readonly Table[]
  /** What the session sets for itself: a frozen process of ours delays the server's shutdown by no more. */
  readonly walSenderTimeoutMs?: number
  /** Reading pauses when more than this waits to be taken. */
  readonly maxBufferedBytes?: number
}

const STATUS_EVERY = 3

type Plugin = Parameters<LogicalReplicationService['subscribe']>[0]

/** pgoutput without the library's parser, which would apply pg's global type parsers to every value. */
class TextPlugin implements Plugin {
  readonly name = 'pgoutput'
  readonly options: { readonly publication: string }
  readonly #receive: (buffer: Buffer) => void

  constructor(publication: string, receive: (buffer: Buffer) => void) {
    this.options = { publication }
    this.#receive = receive
  }

  parse(buffer: Buffer): null {
    this.#receive(buffer)
    return null
  }

  start(client: pg.Client, slot: string, lsn: string): Promise<unknown> {
    const names = quoteLiteral(quoteIdentifier(this.options.publication))
    return client.query(
      `START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL ${lsn} (proto_version '1', publication_names ${names})`,
    )
  }
}

export class ReplicationStream implements ChangeStream {
  readonly #options: Required<StreamOptions>
  readonly #socket = new Socket()
  readonly #service: LogicalReplicationService
  readonly #decoder: PgoutputDecoder
  readonly #ended: Promise<unknown>
  #events: StreamEvent[] = []
  #bytes = 0
  #confirmed: Lsn
  #heardAt = performance.now()
  #failure: unknown = null
  #available = Promise.withResolvers<void>()
  #room: PromiseWithResolvers<void> | null = null
  #statusTimer: NodeJS.Timeout | null = null

  private constructor(options: StreamOptions) {
    this.#options = { walSenderTimeoutMs: 6_000, maxBufferedBytes: 2 << 20, ...options }
    this.#confirmed = options.startLsn
    this.#decoder = new PgoutputDecoder(options.tables)
    const extra = `-c wal_sender_timeout=${this.#options.walSenderTimeoutMs}ms`
    this.#service = new LogicalReplicationService(
      {
        ...options.connection,
        stream: () => {
          queueMicrotask(() => this.#listenEarly())
          return this.#socket
        },
        keepAlive: true,
        options: [options.connection.options, extra].filter(Boolean).join(' '),
      },
      { acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: true } },
    )
    this.#service.on('error', (error: Error) => this.destroy(error))
    this.#service.on('data', () => this.#waitForRoom())
    this.#service.on('heartbeat', (lsn: string, _at: number, replyRequested: boolean) => {
      this.#push({ kind: 'keepalive', lsn: parseLsn(lsn), replyRequested }, 32)
    })
    const plugin = new TextPlugin(options.publication, (buffer) => this.#receive(buffer))
    this.#ended = this.#service.subscribe(plugin, options.slot, formatLsn(options.startLsn)).then(
      () => this.destroy(new SuprsyncError('stream_ended', 'The server ended the replication stream.')),
      (error: unknown) => this.destroy(error),
    )
  }

  /** Connects and starts the stream. Rejects with the server's error (`code` is its SQLSTATE) or the socket's. */
  static async open(options: StreamOptions, signal: AbortSignal): Promise<ReplicationStream> {
    signal.throwIfAborted()
    const stream = new ReplicationStream(options)
    const abort = () => stream.destroy(new SuprsyncError('aborted', 'Stopped while connecting.'))
    signal.addEventListener('abort', abort)
    try {
      await Promise.race([new Promise<void>((resolve) => stream.#service.once('start', resolve)), stream.#ended])
      if (stream.#failure !== null) throw stream.#failure
      stream.#watch()
      return stream
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** Everything received and not yet taken, in order; waits while there is nothing. Throws what ended the stream. */
  async take(): Promise<readonly StreamEvent[]> {
    while (this.#events.length === 0) {
      if (this.#failure !== null) throw this.#failure
      await this.#available.promise
    }
    const events = this.#events
    this.#events = []
    this.#bytes = 0
    this.#available = Promise.withResolvers()
    if (this.#room) {
      this.#heardAt = performance.now() // silence while we did not read is our own
      this.#room.resolve()
      this.#room = null
    }
    return events
  }

  /**
   * Tells the server that everything below `lsn` is settled: exactly `lsn`, although the library adds one to what it is
   * given, which would skip the next transaction where two commits are adjacent. Never goes backwards.
   */
  confirm(lsn: Lsn): void {
    if (lsn > this.#confirmed) this.#confirmed = lsn
    this.#sendStatus(false)
  }

  /** Ends the connection at once; `take` then throws the reason. May be called twice. */
  destroy(reason: unknown): void {
    this.#failure ??= reason
    if (this.#statusTimer) clearInterval(this.#statusTimer)
    this.#statusTimer = null
    this.#socket.destroy()
    this.#room?.resolve()
    this.#room = null
    this.#available.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy(new SuprsyncError('stream_closed', 'The replication stream was closed.'))
    await this.#ended
  }

  /**
   * The library listens for errors of its client only once that is connected. A server that ends the session in the same
   * packet would end this process: an `error` event without a listener. Called when the client has just been made.
   */
  #listenEarly(): void {
    const client: unknown = Reflect.get(this.#service, '_client')
    if (client instanceof EventEmitter) client.on('error', (error) => this.destroy(error))
  }

  #receive(buffer: Buffer): void {
    if (this.#failure !== null) return
    try {
      const event = this.#decoder.decode(buffer)
      if (event) this.#push(event, buffer.length)
      else this.#heardAt = performance.now()
    } catch (error) {
      this.destroy(error) // an exception here would surface in pg's socket handler
    }
  }

  #push(event: StreamEvent, sizeBytes: number): void {
    this.#heardAt = performance.now()
    this.#bytes += sizeBytes + 64
    this.#events.push(event)
    if (this.#events.length === 1) this.#available.resolve()
  }

  #waitForRoom(): Promise<void> | void {
    if (this.#bytes < this.#options.maxBufferedBytes || this.#failure !== null) return
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }

  #sendStatus(ping: boolean): void {
    if (this.#failure !== null || this.#confirmed === 0n) return
    void this.#service.acknowledge(formatLsn((this.#confirmed - 1n) as Lsn), ping)
  }

  // Repeats the last confirmed LSN well under the server's time-out, and asks for an answer: a walsender that gives none
  // for two time-outs, although we are reading, is frozen or its host is gone.
  #watch(): void {
    const timeoutMs = this.#options.walSenderTimeoutMs
    this.#statusTimer = setInterval(() => {
      const silentMs = performance.now() - this.#heardAt
      if (!this.#room && silentMs > 2 * timeoutMs) {
        this.destroy(
          new SuprsyncError('stream_silent', 'The server sent nothing for too long; connecting anew.', {
            details: { silentMs: Math.round(silentMs) },
          }),
        )
        return
      }
      this.#sendStatus(!this.#room)
    }, timeoutMs / STATUS_EVERY)
  }
}

/** SQLSTATE 55006: another session streams from the slot. */
export function isSlotInUse(error: unknown): boolean {
  return errorCode(error) === '55006'
}
