// Follows the stream: groups row changes by transaction, stores them together with the checkpoint, and only then confirms
// (P1). A small transaction shares its commit with others, a huge one is stored in slices, the checkpoint moving with its
// last. One batch is committed while the next is read ahead and a third is gathered; all are bounded, and a full one makes
// the stream wait (P7).
// Any error ends the stream at once: nothing is confirmed that is not persisted, and a stopping server does not wait for us.
import { sleep } from '../core/abort.ts'
import { ChangeBatch, type ChangeVersion, fillUnchanged } from '../core/change-batch.ts'
import { SuprsyncError } from '../core/error.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { Logger } from '../core/logger.ts'
import { hasReached, type Lsn, later } from '../core/lsn.ts'
import type { Metrics } from '../core/metrics.ts'
import { isComplete, type RawRow, rowKey, type Table, type TextRow } from '../core/row.ts'
import { RowCache } from '../core/row-cache.ts'
import { widenXid } from '../core/snapshot.ts'
import type { ChangeStream, Source, WalRoom } from '../core/source-port.ts'
import type { RowEvent, StreamEvent } from '../core/stream-event.ts'
import { Breather } from './breather.ts'
import { type CaptureStart, CheckpointProgress } from './checkpoint-progress.ts'
import { storeTruncate } from './mass-writes.ts'
import type { ReadAhead } from './read-ahead.ts'
import type { RowMapper } from './row-mapper.ts'
import type { StateWriter } from './state-writer.ts'
import { StoreQueue } from './store-queue.ts'

export interface CaptureOptions {
  readonly source: Source
  readonly wal: Pick<WalRoom, 'isScarce'>
  readonly mapper: RowMapper
  readonly writer: StateWriter
  readonly metrics: Metrics
  readonly log: Logger
  readonly failPoints: FailPoints
  /** The server has accepted us: changes arrive from now on. */
  readonly onStreaming: () => void
}

interface BatchPart {
  readonly batch: ChangeBatch
  /** Everything before it is in this batch or an earlier one, whole. */
  readonly received: Lsn
  /** The transaction of which the batch holds the beginning or a middle part. */
  readonly within: ChangeVersion | null
  /** The server asked for a confirmation. */
  readonly asked: boolean
}

const MAX_ROWS = 1_000
const MAX_BYTES = 2 << 20
const CACHE_BYTES = 16 << 20
const BREATHE_EVERY_EVENTS = 200
/** At most a hundred commits a second on the state database, which is the application's by default (P5). */
const LEAST_COMMIT_INTERVAL_MS = 10
const WHOLE_TRANSACTION_MS = 20
const XID_REFRESH_MS = 60_000
const SETTLED_POLL_MS = 50

export class Capture {
  readonly #options: CaptureOptions
  readonly #tables: ReadonlyMap<number, Table>
  readonly #cache = new RowCache(CACHE_BYTES)
  readonly #checkpoint: CheckpointProgress
  readonly #queue = new StoreQueue()
  #stream: ChangeStream | null = null
  #stopping: AbortSignal | null = null
  #batch = new ChangeBatch()
  #timer: NodeJS.Timeout | null = null
  #gatheringSince: number | null = null
  #lastStoreAt = Number.NEGATIVE_INFINITY
  /** The transaction that is being received. */
  #transaction: ChangeVersion | null = null
  /** Everything before it was received whole. */
  #received: Lsn
  /** Everything before it is stored, or needed not to be. */
  #stored: Lsn
  #asked = false
  #nearXid = 0n
  #nearXidAt = Number.NEGATIVE_INFINITY

  constructor(options: CaptureOptions, start: CaptureStart) {
    this.#options = options
    this.#received = start.lsn
    this.#stored = start.lsn
    this.#tables = new Map(options.source.tables.map(({ table }) => [table.oid, table]))
    this.#checkpoint = new CheckpointProgress(start, () => options.wal.isScarce())
  }

  /** Runs until the signal aborts (then everything received whole is stored) or something fails, which it throws. */
  async run(signal: AbortSignal): Promise<void> {
    this.#stopping = signal
    await using stream = await this.#options.source.openStream(this.#checkpoint.persisted, signal)
    this.#stream = stream
    const stop = () => stream.destroy(new SuprsyncError('aborted', 'Capture was stopped.'))
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop() // before anybody listened
    const failed = new AbortController()
    const breather = new Breather(BREATHE_EVERY_EVENTS)
    try {
      this.#options.metrics.captureActive(true)
      this.#options.onStreaming()
      await this.#refreshXid()
      for (;;) {
        const events = await stream.take()
        this.#options.failPoints.hit('after_decode')
        if (performance.now() - this.#nearXidAt > XID_REFRESH_MS) await this.#refreshXid()
        for (const event of events) {
          await this.#apply(event, failed.signal)
          if (breather.isDue()) await breather.breathe()
        }
        this.#schedule(failed.signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
      await this.#drain(failed.signal)
    } finally {
      this.#options.metrics.captureActive(false)
      signal.removeEventListener('abort', stop)
      this.#callOff()
      failed.abort()
      await this.#queue.settled() // their error is the one being thrown
    }
  }

  /** Resolves when everything is stored that was committed before the server's insert position was `lsn`, or the signal aborts. */
  async settled(lsn: Lsn, signal: AbortSignal): Promise<void> {
    while (!hasReached(this.#stored, lsn) && !signal.aborted) {
      const isIdle = this.#transaction === null && this.#batch.rowCount === 0 && this.#queue.isEmpty
      if (isIdle && hasReached(this.#received, lsn)) return
      await sleep(SETTLED_POLL_MS, signal)
    }
  }

  async #apply(event: StreamEvent, signal: AbortSignal): Promise<void> {
    switch (event.kind) {
      case 'begin':
        this.#transaction = {
          xid: widenXid(event.xid, this.#nearXid),
          commitLsn: event.commitLsn,
          committedAt: event.committedAt,
        }
        return
      case 'commit':
        this.#transaction = null
        this.#received = event.endLsn
        this.#options.metrics.capturedTransactions(1)
        return
      case 'keepalive':
        // Inside a transaction or before what it stands behind is stored it says nothing yet.
        if (this.#transaction === null && event.lsn > this.#received) this.#received = event.lsn
        if (event.replyRequested) this.#asked = true
        return
      case 'reshaped':
        // In WAL of before the table was altered that is a matter of reading rows again; today's table must be opened anew.
        await this.#options.source.verify()
        this.#options.log.warn({ columns: event.columns }, 'columns of the table changed; its rows are read again')
        return
      case 'namesake':
        // One that is here since then must be opened; of one that was replaced, the rows of its successor tell all there is.
        await this.#options.source.verify()
        this.#options.log.warn({ table: event.table }, 'changes of the table that had this name before are passed over')
        return
      case 'truncate':
        return await this.#truncate(event, signal)
      case 'insert':
      case 'update':
      case 'delete':
        this.#change(event)
        if (this.#batch.rowCount >= MAX_ROWS || this.#batch.sizeBytes >= MAX_BYTES) await this.#store(signal)
    }
  }

  #change(event: Exclude<RowEvent, { kind: 'truncate' }>): void {
    const version = this.#version()
    const table = this.#table(event.table)
    this.#options.metrics.capturedChanges(event.kind, 1)
    if (event.kind === 'delete') return this.#put(table, event.key, { row: null, version })
    if (event.kind === 'update' && event.oldKey) this.#put(table, event.oldKey, { row: null, version })
    const key = event.row.slice(0, table.key.length)
    if (!isComplete(key)) throw new SuprsyncError('protocol_key_missing', 'A change does not name its row.')
    this.#put(table, key, { row: event.row, version })
  }

  #put(
    table: Table,
    keyValues: TextRow,
    { row, version }: { readonly row: RawRow | null; readonly version: ChangeVersion },
  ): void {
    const key = rowKey(table, keyValues)
    const earlier = this.#batch.latest(table.oid, key)
    if (earlier === undefined) {
      // A row is in at most one of the two: it leaves the cache when it enters a batch.
      const cached = this.#cache.get(cacheKey(table.oid, key)) ?? this.#queue.latest(table.oid, key)
      if (row && cached) {
        const filled = fillUnchanged(row, cached)
        if (this.#cache.holds(cacheKey(table.oid, key), filled))
          return this.#options.metrics.skippedChanges('unmapped_noop', 1)
        this.#cache.delete(cacheKey(table.oid, key))
        return this.#batch.put(table.oid, key, keyValues, filled, version)
      }
      this.#cache.delete(cacheKey(table.oid, key))
    }
    this.#batch.put(table.oid, key, keyValues, row, version)
  }

  async #truncate(event: Extract<RowEvent, { kind: 'truncate' }>, signal: AbortSignal): Promise<void> {
    const version = this.#version()
    const { source, metrics, writer } = this.#options
    const truncated = source.tables.filter(({ table }) => event.tables.includes(table.oid))
    if (truncated.length === 0) return
    await this.#store(signal)
    await this.#queue.drained()
    metrics.capturedChanges('truncate', 1)
    this.#cache.clear()
    this.#checkpoint.storedSlice(version.commitLsn)
    const stamp = { xid: version.xid, lsn: version.commitLsn, committedAt: version.committedAt }
    for (const { name } of truncated) await storeTruncate(writer, name, stamp, this.#stopping)
  }

  #table(oid: number): Table {
    const found = this.#tables.get(oid)
    if (found) return found
    throw new TypeError('a change of a table that is not followed')
  }

  #version(): ChangeVersion {
    if (this.#transaction) return this.#transaction
    throw new SuprsyncError('protocol_no_transaction', 'The replication stream sent a change outside a transaction.')
  }

  /**
   * Stores soon what is gathered, unless that is going on already: then its end comes back here. The rest of a transaction
   * that has begun to arrive is waited for, a moment: stored in slices its users could not be sent before its last.
   */
  #schedule(signal: AbortSignal): void {
    this.#callOff()
    if (!this.#queue.isEmpty || signal.aborted || !this.#hasWork()) return
    const nowMs = performance.now()
    this.#gatheringSince ??= nowMs
    const wholeMs = this.#transaction ? this.#gatheringSince + WHOLE_TRANSACTION_MS - nowMs : 0
    const waitMs = Math.max(wholeMs, this.#lastStoreAt + LEAST_COMMIT_INTERVAL_MS - nowMs)
    if (waitMs <= 0) return this.#begin(signal)
    this.#timer = setTimeout(() => {
      this.#timer = null
      if (this.#queue.isEmpty) this.#begin(signal)
    }, waitMs)
  }

  #callOff(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }

  #hasWork(): boolean {
    return this.#batch.rowCount > 0 || this.#asked || this.#checkpoint.isDue(this.#received, false)
  }

  /** Begins to store the batch as soon as there is room for it. */
  async #store(signal: AbortSignal): Promise<void> {
    await this.#queue.room()
    this.#begin(signal)
  }

  /** A failure ends the stream, whose `take` then throws it in `run`. */
  #begin(signal: AbortSignal): void {
    const batch = this.#batch
    this.#batch = new ChangeBatch()
    this.#callOff()
    this.#gatheringSince = null
    this.#lastStoreAt = performance.now()
    const part = { batch, received: this.#received, within: this.#transaction, asked: this.#asked }
    this.#asked = false
    this.#queue
      .push(batch, this.#readAhead(batch, signal), (ahead) => this.#storeBatch(part, ahead))
      .then(
        () => this.#schedule(signal),
        (error: unknown) => this.#stream?.destroy(error),
      )
  }

  async #readAhead(batch: ChangeBatch, signal: AbortSignal): Promise<ReadAhead> {
    const { mapper, writer } = this.#options
    const rows = await mapper.streamed(batch.rows(), { ended: signal, stop: this.#stopping })
    return await writer.readAhead(rows)
  }

  async #storeBatch({ batch, received, within, asked }: BatchPart, ahead: ReadAhead): Promise<void> {
    const { writer, metrics, failPoints } = this.#options
    const lsn = received > this.#checkpoint.persisted ? received : null
    const written = await writer.storeStreamed(ahead, lsn)
    if (written && within) this.#checkpoint.storedSlice(within.commitLsn)
    let persisted = written && lsn !== null
    const after = [...this.#queue.after(batch), this.#batch]
    for (const { table, key, row } of batch.rows()) {
      const newer = after.some((other) => other.latest(table, key) !== undefined)
      if (row && !newer && isComplete(row)) this.#cache.set(cacheKey(table, key), row)
    }
    if (!persisted && this.#checkpoint.isDue(received, asked)) {
      await writer.advance(received)
      persisted = true
    }
    if (persisted) {
      failPoints.hit('before_confirm')
      this.#checkpoint.moved(received)
      metrics.lastCommitLsn(received)
    }
    this.#stored = later(received, this.#stored)
    if (persisted || asked) this.#stream?.confirm(this.#checkpoint.persisted)
  }

  /** After a stop: what was received whole is stored, the tail of an unfinished transaction is received again next time. */
  async #drain(signal: AbortSignal): Promise<void> {
    await this.#queue.drained()
    if (this.#transaction !== null || this.#batch.rowCount === 0) return
    this.#begin(signal)
    await this.#queue.drained()
  }

  async #refreshXid(): Promise<void> {
    this.#nearXid = await this.#options.source.readCurrentXid()
    this.#nearXidAt = performance.now()
  }
}

function cacheKey(oid: number, key: string): string {
  return `${oid} ${key}`
}
