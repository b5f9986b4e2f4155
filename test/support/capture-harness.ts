// Capture on a real server and a real state, without the service around it: a test holds the stream back and lets it go,
// reads pages when it wants and stores them later, and looks at what state then holds. The pieces are the service's own.
import { sql } from 'kysely'
import pg from 'pg'
import { compileTables } from '../../src/commands/compiled-tables.ts'
import { NO_FAIL_POINTS } from '../../src/core/fail-points.ts'
import { canonical, type JsonObject } from '../../src/core/json.ts'
import { type LogFields, type Logger, SILENT_LOGGER } from '../../src/core/logger.ts'
import { childColumns, mappedColumns } from '../../src/core/mapped-columns.ts'
import type { MappingSpec } from '../../src/core/mapping-spec.ts'
import { type Metrics, NO_METRICS } from '../../src/core/metrics.ts'
import type { Profile } from '../../src/core/profile.ts'
import { RemapSteps } from '../../src/core/remap-steps.ts'
import type { Table } from '../../src/core/row.ts'
import type { Source, WalRoom } from '../../src/core/source-port.ts'
import { connectionConfig } from '../../src/postgres/connection.ts'
import { PageReader, readCurrentXid, readInsertLsn } from '../../src/postgres/pages.ts'
import { ReplicationStream } from '../../src/postgres/stream.ts'
import { oweBackfills, readOwedBackfills } from '../../src/state/backfill-store.ts'
import { openStateDatabase, type StateDatabase } from '../../src/state/database.ts'
import { migrate } from '../../src/state/migrations.ts'
import { createCheckpoint, takeOver } from '../../src/state/ownership.ts'
import { runBackfill } from '../../src/sync/backfill.ts'
import { Capture } from '../../src/sync/capture.ts'
import { type MappedTable, RowMapper } from '../../src/sync/row-mapper.ts'
import { StateWriter } from '../../src/sync/state-writer.ts'
import { CaptureSession, CountedPages } from './capture-session.ts'
import type { TestDatabase } from './database.ts'
import { describe, type FollowedName, PUBLICATION, publish } from './followed-table.ts'
import { HeldStream } from './held-stream.ts'
import { sourceOf, specOf } from './source-spec.ts'
import { until } from './wait.ts'

const AMPLE_WAL: WalRoom = { isScarce: () => false, forPage: async () => undefined }

export interface HarnessChild {
  readonly table: string
  /** The columns that name the user. */
  readonly user: readonly string[]
  readonly when?: string
  readonly profile: { readonly [key: string]: string }
}

export interface HarnessOptions {
  readonly create: string
  readonly table?: FollowedName
  /** A column; default `id`. */
  readonly distinctId?: string
  readonly when?: string
  /** Profile key to column. */
  readonly profile: { readonly [key: string]: string }
  readonly children?: readonly HarnessChild[]
  /** Session settings of the state's connections: `-c name=value`. */
  readonly stateOptions?: string
}

export interface StoredState {
  readonly key: string
  readonly distinctId: string | null
  readonly part: Profile | null
  readonly duplicate: boolean
  readonly changeXid: string | null
  readonly readSnapshot: string | null
}

export interface StoredUser {
  readonly desired: Profile | null
  /** A sender could take it now. */
  readonly claimable: boolean
}

export class CaptureHarness implements AsyncDisposable {
  readonly #database: TestDatabase
  readonly #spec: MappingSpec
  readonly #closing = new AsyncDisposableStack()
  /** The users table, then the children. */
  readonly tables: readonly Table[]
  readonly state: StateDatabase
  readonly #pages: readonly CountedPages[]
  readonly sourcePool: pg.Pool
  /** `unmapped_noop`, `replay`, `older`, and `backfill` rows. */
  readonly counts = new Map<string, number>()
  /** Whoever waits for the stream asks how far it has to come. */
  onReadLsn: () => void = () => undefined
  readonly logged: { readonly fields: LogFields; readonly message: string }[] = []

  private constructor(database: TestDatabase, tables: readonly Table[], spec: MappingSpec, options: HarnessOptions) {
    this.#database = database
    this.#spec = spec
    this.tables = tables
    const connection = connectionConfig(database.url)
    this.sourcePool = new pg.Pool({ ...connection, max: 3 })
    this.sourcePool.on('error', () => undefined) // an idle connection of a server that a test stops
    this.#closing.defer(() => this.sourcePool.end())
    this.#pages = tables.map((table) => new CountedPages(new PageReader(this.sourcePool, table)))
    this.state = openStateDatabase({
      connection: { ...connection, options: [connection.options, options.stateOptions].filter(Boolean).join(' ') },
      schema: 'suprsync',
      onIdleError: () => undefined,
    })
    this.#closing.defer(() => this.state.destroy())
  }

  /** The table with its publication and slot, and a state whose checkpoint is where the slot starts. */
  static async create(database: TestDatabase, options: HarnessOptions): Promise<CaptureHarness> {
    const spec = mappingOf(options)
    const names = [options.table ?? { name: 'users' }, ...spec.children.map((child) => child.table)]
    const lsn = await publish(database, options.create, names)
    const columns = [mappedColumns(spec), ...spec.children.map(childColumns)]
    const tables = await Promise.all(names.map((name, at) => describe(database, name, columns[at])))
    const harness = new CaptureHarness(database, tables, spec, options)
    await migrate(harness.state, 'suprsync')
    const [row] = await database.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid')
    await createCheckpoint(harness.state, {
      ...{ systemIdentifier: '1', timeline: 1, slot: database.slot, tableOid: harness.table.oid, lsn },
      startXid: BigInt(row?.xid ?? '0'),
    })
    await oweBackfills(
      harness.state,
      1,
      [...tables.slice(1), harness.table].map((table) => ({
        ...{
          source: `${table.schema}.${table.name}`,
          mappingHash: 'm',
          ownerHash: 'o',
          shape: { oid: table.oid, key: '[]', columns: {}, partitions: '', membership: '' },
        },
        ...{ reason: 'first_start', sweep: false, rowsEstimated: null, startXid: null },
      })),
    )
    return harness
  }

  get table(): Table {
    return this.tables[0] ?? missing()
  }

  /** Of the users table. */
  get pages(): CountedPages {
    return this.pagesOf(0)
  }

  pagesOf(at: number): CountedPages {
    return this.#pages[at] ?? missing()
  }

  /** Takes over and captures until it is stopped. `paging`: as while a backfill is owed. */
  async start(options: { readonly paging?: boolean; readonly held?: boolean } = {}): Promise<CaptureSession> {
    const { state, lsn, slicedLsn, startXid } = await takeOver(this.state)
    const compiled = compileTables(this.#spec, this.tables)
    if (compiled.kind === 'invalid') throw new Error(compiled.problems.map(({ message }) => message).join(' '))
    const metrics: Metrics = {
      ...NO_METRICS,
      skippedChanges: (reason, count) => this.#count(reason, count),
      backfillRows: (count) => this.#count('backfill', count),
    }
    const log: Logger = { ...SILENT_LOGGER, info: (fields, message) => this.logged.push({ fields, message }) }
    const [users, ...children] = this.tables.map(
      (table, at): MappedTable => ({
        name: `${table.schema}.${table.name}`,
        table,
        pages: this.pagesOf(at),
        map: compiled.maps[at] ?? missing(),
        mappingHash: 'm',
        ownerHash: 'o',
      }),
    )
    const tables = [users ?? missing(), ...children] as const
    const mapper = new RowMapper({ tables, idIsKey: compiled.idIsKey }, metrics)
    const failPoints = NO_FAIL_POINTS
    const writer = new StateWriter({
      state,
      mapper,
      sources: [tables[0].name, ...children.map(({ name }) => name)],
      owedBackfills: (options.paging ?? false) ? tables.length : 0,
      steps: new RemapSteps({ sources: [tables[0].name], readings: [], forgets: false, era: state.era, since: lsn }),
      readUsers: async () => null,
      metrics,
      failPoints,
      onPending: () => undefined,
    })
    const opened = Promise.withResolvers<HeldStream>()
    const source: Source = {
      tables,
      readCurrentXid: () => readCurrentXid(this.sourcePool),
      readInsertLsn: () => {
        this.onReadLsn()
        return readInsertLsn(this.sourcePool)
      },
      verify: async () => undefined,
      openStream: async (startLsn, signal) => {
        const connection = connectionConfig(this.#database.url)
        const { slot } = this.#database
        const stream = new HeldStream(
          // A session that was stopped a moment ago may still hold the slot.
          await until(
            () =>
              ReplicationStream.open(
                { connection, slot, publication: PUBLICATION, startLsn, tables: this.tables },
                signal,
              ),
            { what: 'the stream to open' },
          ),
        )
        if (options.held) stream.hold()
        opened.resolve(stream)
        return stream
      },
    }
    const onStreaming = () => undefined
    const capture = new Capture(
      { source, wal: AMPLE_WAL, mapper, writer, metrics, log, failPoints, onStreaming },
      { lsn, slicedLsn },
    )
    const stop = new AbortController()
    const ended = capture.run(stop.signal)
    ended.catch(opened.reject)
    const stream = await opened.promise
    const backfill = async (signal: AbortSignal) => {
      const owed = await readOwedBackfills(this.state, 1)
      if (owed.length === 0) throw new Error('no backfill is owed')
      const caughtUp = async (ending: AbortSignal) => await capture.settled(await source.readInsertLsn(), ending)
      const shared = {
        wal: AMPLE_WAL,
        mapper,
        writer,
        startXid,
        log,
        failPoints,
        mostRowsPerSecond: null,
        caughtUp,
        onProgress: () => undefined,
      }
      for (const run of owed) {
        const table = tables.find(({ name }) => name === run.source) ?? missing()
        if (!(await runBackfill({ source: table, ...shared }, run, signal))) return false
      }
      return true
    }
    return new CaptureSession({ stream, mapper, writer, tables, ended, stop, backfill })
  }

  #count(what: string, count: number): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + count)
  }

  /** By key, tombstones too. */
  async rows(): Promise<ReadonlyMap<string, StoredState>> {
    const { rows } = await sql<StoredState>`
      select key, distinct_id as "distinctId", part, duplicate, change_xid::text as "changeXid", read_snapshot::text as "readSnapshot"
      from source_row order by key`.execute(this.state)
    return new Map(rows.map((row) => [row.key, row]))
  }

  async users(): Promise<ReadonlyMap<string, StoredUser>> {
    const { rows } = await sql<StoredUser & { id: string }>`
      select distinct_id as id, desired, due_at is not null and change_lsn < (select lsn from checkpoint) as claimable
      from profile order by distinct_id`.execute(this.state)
    return new Map(rows.map(({ id, ...user }) => [id, user]))
  }

  /** Channels and properties of each user that should exist: `{1: {$email: ['a'], name: 'A'}}`. */
  async desired(): Promise<{ readonly [distinctId: string]: object }> {
    const users = await this.users()
    return Object.fromEntries(
      [...users].flatMap(([id, { desired }]) =>
        desired ? [[id, { ...desired.channels, ...desired.properties }]] : [],
      ),
    )
  }

  /** Waits until exactly these users should exist. */
  async untilDesired(expected: JsonObject, timeoutMs = 10_000): Promise<void> {
    let found: JsonObject = {}
    const differing = () =>
      [...new Set([...Object.keys(expected), ...Object.keys(found)])].filter(
        (id) => canonical(expected[id] ?? null) !== canonical(found[id] ?? null),
      )
    try {
      await until(
        async () => {
          found = (await this.desired()) as JsonObject
          return differing().length === 0
        },
        { what: 'the users', timeoutMs },
      )
    } catch (error) {
      const some = differing().slice(0, 5)
      const lines = some.map(
        (id) => `${id}: expected ${canonical(expected[id] ?? null)}, found ${canonical(found[id] ?? null)}`,
      )
      throw new Error(`${differing().length} users differ\n${lines.join('\n')}`, { cause: error })
    }
  }

  async checkpoint(): Promise<{ readonly lsn: string; readonly tuple: string; readonly epoch: string }> {
    const { rows } = await sql<{ lsn: string; tuple: string; epoch: string }>`
      select lsn::text, xmin::text || ctid::text as tuple, epoch::text from checkpoint`.execute(this.state)
    const row = rows[0]
    if (!row) throw new Error('no checkpoint')
    return row
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closing.disposeAsync()
  }
}

function mappingOf({ distinctId = 'id', when, profile, children = [] }: HarnessOptions): MappingSpec {
  const sources = (of: { readonly [key: string]: string }) =>
    Object.fromEntries(Object.entries(of).map(([key, column]) => [key, [sourceOf(column)]]))
  return specOf(sources(profile), {
    distinctId: { kind: 'column', column: distinctId },
    when: when ?? null,
    children: children.map((child) => ({
      table: { schema: 'public', name: child.table },
      user: child.user,
      when: child.when ?? null,
      profile: new Map(Object.entries(sources(child.profile))),
      properties: [],
      exclusive: [],
    })),
  })
}

function missing(): never {
  throw new Error('no such table')
}
