// A table with publication and slot, and followers of its replication stream, for tests of the stream alone: a follower
// takes what arrives until a condition holds or a deadline passes, and keeps everything in order.

import { type Lsn, parseLsn } from '../../src/core/lsn.ts'
import type { Table } from '../../src/core/row.ts'
import type { RowEvent, StreamEvent } from '../../src/core/stream-event.ts'
import { describeTable } from '../../src/postgres/catalogue.ts'
import { connectionConfig, openClient } from '../../src/postgres/connection.ts'
import { ensurePublication } from '../../src/postgres/publication.ts'
import { createSlot } from '../../src/postgres/slot.ts'
import { ReplicationStream, type StreamOptions } from '../../src/postgres/stream.ts'
import type { TestDatabase } from './database.ts'
import { until } from './wait.ts'

export const PUBLICATION = 'followed'

export interface Transaction {
  readonly xid: number
  readonly commitLsn: Lsn
  readonly endLsn: Lsn
  readonly changes: readonly RowEvent[]
}

export interface FollowedName {
  readonly schema?: string
  readonly name: string
  readonly partitioned?: boolean
}

/** Publication, then slot; `sql` makes the table before. @returns where the slot starts. */
export async function publish(
  database: TestDatabase,
  sql: string,
  tables: readonly FollowedName[] = [{ name: 'users' }],
): Promise<Lsn> {
  await database.query(sql)
  const client = await openClient(connectionConfig(database.url))
  try {
    const published = tables.map(({ schema = 'public', name, partitioned = false }) => ({
      name: { schema, name },
      partitioned,
    }))
    await ensurePublication(client, { name: PUBLICATION, tables: published, create: true })
    return await createSlot(client, { name: database.slot })
  } finally {
    await client.end()
  }
}

/** The table as it is now, all of its columns wanted unless some are named. */
export async function describe(
  database: TestDatabase,
  table: FollowedName = { name: 'users' },
  columns?: readonly string[],
): Promise<Table> {
  const name = { schema: table.schema ?? 'public', name: table.name }
  const all = await describeTable(database.pool, name, columns ?? [])
  if (all.kind === 'missing') throw new Error(`no such table or column: ${all.missing.map((it) => it.name).join(', ')}`)
  if (columns) return all.table
  return {
    ...all.table,
    wanted: [...all.table.wanted, ...all.table.columns.filter((it) => !all.table.key.includes(it.name))],
  }
}

export async function confirmedLsn(database: TestDatabase): Promise<Lsn> {
  const [row] = await database.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [database.slot],
  )
  return parseLsn(row?.lsn ?? '')
}

/** Ends the walsender of the test's slot, as a failing network or an administrator would. */
export async function terminateWalSender(database: TestDatabase): Promise<void> {
  await database.query(
    'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active',
    [database.slot],
  )
}

export class Follower implements AsyncDisposable {
  readonly stream: ReplicationStream
  readonly events: StreamEvent[] = []
  readonly transactions: Transaction[] = []
  #open: { readonly begin: Extract<StreamEvent, { kind: 'begin' }>; readonly changes: RowEvent[] } | null = null

  private constructor(stream: ReplicationStream) {
    this.stream = stream
  }

  static async open(
    database: TestDatabase,
    table: Table,
    options: Pick<StreamOptions, 'startLsn'> & Partial<StreamOptions>,
  ): Promise<Follower> {
    const stream = await ReplicationStream.open(
      {
        connection: connectionConfig(database.url),
        slot: database.slot,
        publication: PUBLICATION,
        tables: [table],
        ...options,
      },
      new AbortController().signal,
    )
    return new Follower(stream)
  }

  /** Row changes of the whole transactions so far. */
  get changes(): readonly RowEvent[] {
    return this.transactions.flatMap((it) => it.changes)
  }
  /** How many changes the unfinished transaction has so far; null outside of one. */
  get openChanges(): number | null {
    return this.#open?.changes.length ?? null
  }

  /** Takes until the condition holds; a deadline that passes ends the stream. */
  async until(what: string, condition: () => boolean, timeoutMs = 10_000): Promise<void> {
    const timer = setTimeout(() => this.stream.destroy(new Error(`not within ${timeoutMs} ms: ${what}`)), timeoutMs)
    try {
      while (!condition()) await this.take()
    } finally {
      clearTimeout(timer)
    }
  }

  async take(): Promise<readonly StreamEvent[]> {
    const events = await this.stream.take()
    for (const event of events) this.#note(event)
    return events
  }

  #note(event: StreamEvent): void {
    this.events.push(event)
    if (event.kind === 'begin') this.#open = { begin: event, changes: [] }
    else if (event.kind === 'commit') {
      if (!this.#open) throw new Error('a commit without a begin')
      const { begin, changes } = this.#open
      this.transactions.push({ xid: begin.xid, commitLsn: begin.commitLsn, endLsn: event.endLsn, changes })
      this.#open = null
    } else if (event.kind !== 'keepalive' && event.kind !== 'reshaped' && event.kind !== 'namesake')
      this.#open?.changes.push(event)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stream[Symbol.asyncDispose]()
  }
}

/** Takes until the stream ends. @returns what ended it. */
export async function drained(follower: Follower): Promise<unknown> {
  try {
    for (;;) await follower.take()
  } catch (error) {
    return error
  }
}

/** The server may need a moment to see that the former connection is gone. */
export function openWhenFree(database: TestDatabase, table: Table, startLsn: Lsn): Promise<Follower> {
  return until(() => Follower.open(database, table, { startLsn }), { what: 'the slot to be free' })
}
