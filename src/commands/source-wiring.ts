// Joins postgres/ and state/ to the ports of capture, from the configuration: the pool of the source, the tables as they are
// now, and what is owed for them. One instance a process; each stretch of capturing asks it anew. How a stretch comes by its
// slot is in source-start.ts.
import type { Config } from '../config/config.ts'
import { sleep } from '../core/abort.ts'
import { SuprsyncError } from '../core/error.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { Logger } from '../core/logger.ts'
import { RecoveryPace } from '../core/recovery-pace.ts'
import {
  decideRemap,
  isAsNoted,
  LEFT_OUT,
  MAPPING_CHANGED,
  OTHER_USERS_TABLE,
  OWNERS_CHANGED,
  type OwedReading,
  type TableState,
} from '../core/remap-decision.ts'
import type { Source } from '../core/source-port.ts'
import { RECOVER_BY_HAND } from '../core/start-decision.ts'
import { shapeChange, type TableShape } from '../core/table-shape.ts'
import type { Wake } from '../core/wake.ts'
import { connectionConfig, openPool } from '../postgres/connection.ts'
import { readCurrentXid, readInsertLsn, readNewXid } from '../postgres/pages.ts'
import { isSlotInUse, ReplicationStream } from '../postgres/stream.ts'
import { readTableShape } from '../postgres/table-shape.ts'
import { failRun, REQUESTED } from '../state/backfill-request.ts'
import { type BackfillRun, type OwedTable, readMappedTables, readOwedBackfills } from '../state/backfill-store.ts'
import type { CaptureStore } from '../state/capture-store.ts'
import type { StateDatabase } from '../state/database.ts'
import type { Owed } from '../sync/capture-session.ts'
import type { CompiledSource, MappedTable } from '../sync/row-mapper.ts'
import { openTables } from './compiled-tables.ts'
import { readReturnedUsers } from './returned-users.ts'
import { prepareSource } from './source-start.ts'

const WATCH_EVERY_MS = 5_000
const REMAPPED: readonly string[] = [MAPPING_CHANGED, OWNERS_CHANGED, OTHER_USERS_TABLE]
/** For readings that were asked for and whose notice was missed. */
const LOOK_EVERY_MS = 2_000

export interface SourceWiringOptions {
  readonly config: Config
  readonly state: StateDatabase
  readonly log: Logger
  readonly failPoints: FailPoints
}

export class SourceWiring implements AsyncDisposable {
  readonly #options: SourceWiringOptions
  readonly #pool: ReturnType<typeof openPool>
  readonly #pace = new RecoveryPace()

  constructor(options: SourceWiringOptions) {
    this.#options = options
    const connection = connectionConfig(options.config.source.url.reveal(), { applicationName: 'suprsync pages' })
    this.#pool = openPool(connection, (error) =>
      options.log.debug({ err: error }, 'an idle connection to the source was lost'),
    )
  }

  get pool(): ReturnType<typeof openPool> {
    return this.#pool
  }

  /** @param endedBy the code with which the last stretch ended, if it did by itself. */
  async prepare(endedBy: string | null): Promise<void> {
    await prepareSource({ ...this.#options, pace: this.#pace, endedBy })
  }

  async openSource(): Promise<{ readonly source: Source } & CompiledSource> {
    const { config } = this.#options
    const compiled = await openTables(this.#pool, config)
    const opened = await this.#states(compiled.tables)
    const verify = async () => this.#compare(opened, await this.#states(compiled.tables))
    const source: Source = {
      tables: compiled.tables,
      readCurrentXid: () => readCurrentXid(this.#pool),
      readInsertLsn: () => readInsertLsn(this.#pool),
      verify,
      openStream: async (startLsn, signal) => {
        const { url, slot, publication } = config.source
        const connection = connectionConfig(url.reveal(), { applicationName: 'suprsync' })
        const tables = compiled.tables.map(({ table }) => table)
        try {
          return await ReplicationStream.open({ connection, slot, publication, startLsn, tables }, signal)
        } catch (error) {
          if (isSlotInUse(error)) await this.#endForeignStream()
          throw error
        }
      },
    }
    this.#compare(
      opened,
      opened.map((is, at) => ({ ...is, shape: asOpened(is.shape, compiled.tables[at]) })),
    )
    return { source, ...compiled }
  }

  /** Notes what the tables and the mapping of today owe, and tells what is still to be done. */
  async owed(store: CaptureStore, { tables }: CompiledSource): Promise<Owed> {
    const { config, state, log } = this.#options
    const known = await readMappedTables(state)
    const now = await this.#states(tables)
    const { owed, dropped } = decideRemap(known, now)
    for (const { source, change, sweep } of owed) {
      if (change === null) continue
      const { code, what, isGap } = change
      const message = `The table ${source} ${what}.`
      if (config.recovery === 'manual' && isGap) throw new SuprsyncError(code, `${message} ${RECOVER_BY_HAND}`)
      log.warn(
        { code, table: source },
        `${message} Its rows are read again${sweep ? ', and what is gone is removed' : ''}.`,
      )
    }
    const remapped = owed.filter(({ reason }) => REMAPPED.includes(reason)).map(({ source }) => source)
    if (remapped.length > 0) {
      const message = 'the mapping differs from the last one; these tables are read and mapped anew'
      log.info({ tables: remapped }, message)
    }
    const noted = now.filter((is) => !isAsNoted(known, is))
    const left = dropped.filter((source) => known.find((table) => table.source === source)?.gap !== LEFT_OUT)
    if (noted.length + left.length > 0) await store.owe(await this.#owing(tables, now, owed), noted, left)
    return { backfills: await this.#unfinished(store, tables), dropped }
  }

  /** Readings that were asked for since; waits for the first of them. */
  async nextBackfills(
    store: CaptureStore,
    { tables }: CompiledSource,
    { wake, signal }: { readonly wake: Wake; readonly signal: AbortSignal },
  ): Promise<readonly BackfillRun[]> {
    const { config, state, log } = this.#options
    while (!signal.aborted) {
      await readReturnedUsers(state, config, log)
      const runs = await this.#unfinished(store, tables)
      if (runs.length > 0) return runs
      await wake.wait(LOOK_EVERY_MS, signal)
    }
    return []
  }

  async #unfinished(store: CaptureStore, tables: CompiledSource['tables']): Promise<readonly BackfillRun[]> {
    const { state, log } = this.#options
    const followed = new Set(tables.map(({ name }) => name))
    const runs = await readOwedBackfills(state, store.era)
    // Asked for by whoever has another file: nobody else would end it.
    for (const { id, source, reason } of runs) {
      if (followed.has(source) || reason !== REQUESTED) continue
      log.warn(
        { code: 'table_not_followed', table: source },
        'a table that is not followed cannot be read: was the file changed?',
      )
      await failRun(state, id, 'table_not_followed')
    }
    return runs.filter(({ source }) => followed.has(source))
  }

  /** While a stretch lasts: looks now and then. A stream says nothing of a publication that was altered or of a new partition. */
  async watch({ verify }: Source, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(WATCH_EVERY_MS, signal)
      if (signal.aborted) return
      try {
        await verify()
      } catch (error) {
        if (error instanceof SuprsyncError) throw error
        this.#options.log.debug({ err: error }, 'the tables could not be looked at')
      }
    }
  }

  /** @throws SuprsyncError `table_altered`: the next stretch opens it anew, and decides what that means. */
  #compare(opened: readonly TableState[], now: readonly TableState[]): void {
    for (const [at, { source, shape }] of now.entries()) {
      const was = opened[at]?.shape
      if (was === undefined) continue
      const lost = Object.keys(was.columns).filter((name) => !(name in shape.columns))
      const reidentified = was.identity !== shape.identity && 'has another replica identity'
      const change =
        lost.length > 0
          ? `lost columns that are mapped: ${lost.join(', ')}`
          : (shapeChange(was, shape)?.what ?? reidentified)
      if (change) throw new SuprsyncError('table_altered', `The table ${source} ${change}; it is opened anew.`)
    }
  }

  async #states(tables: CompiledSource['tables']): Promise<readonly TableState[]> {
    const { publication } = this.#options.config.source
    return await Promise.all(
      tables.map(async ({ name, table, mappingHash, ownerHash }: MappedTable) => {
        const shape = await readTableShape(this.#pool, publication, table)
        if (shape === null) throw new SuprsyncError('table_missing', `There is no table ${name}.`)
        if (shape.membership === null)
          throw new SuprsyncError('publication_missing', `The publication ${publication} is gone.`)
        return { source: name, mappingHash, ownerHash, shape }
      }),
    )
  }

  /** Child tables first: a user is then told with all that belongs to it. */
  async #owing(
    [users, ...children]: CompiledSource['tables'],
    now: readonly TableState[],
    owed: readonly OwedReading[],
  ): Promise<readonly OwedTable[]> {
    if (owed.length === 0) return []
    const startXid = await readNewXid(this.#pool)
    const owing = await Promise.all(
      [...children, users].map(async ({ name, pages }) => {
        const reading = owed.find(({ source }) => source === name)
        const table = now.find(({ source }) => source === name)
        if (reading === undefined || table === undefined) return null
        const { reason, sweep } = reading
        const estimate = await pages.estimateRows()
        const rowsEstimated = estimate === null ? null : Math.round(estimate)
        return { ...table, reason, sweep, rowsEstimated, startXid }
      }),
    )
    return owing.filter((table) => table !== null)
  }

  /** We hold the locks, so whoever still streams is a session left over: of a process cut off, or paused. */
  async #endForeignStream(): Promise<void> {
    const { config, log } = this.#options
    const { rows } = await this.#pool.query<{ pid: number }>(
      'select active_pid as pid from pg_replication_slots where slot_name = $1 and active and pg_terminate_backend(active_pid)',
      [config.source.slot],
    )
    if (rows[0])
      log.warn({ slot: config.source.slot, pid: rows[0].pid }, 'ended a session that still held the replication slot')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }
}

/** The types that the table was opened with: it may have been altered between the two looks at it. */
function asOpened(shape: TableShape, opened: MappedTable | undefined): TableShape {
  const columns = Object.entries(shape.columns).map(([name, text]) => {
    const type = opened?.table.wanted.find((column) => column.name === name)?.type.oid
    const [place, oid, ...more] = text.split(' ')
    return [name, type === undefined || String(type) === oid ? text : [place, type, ...more].join(' ')]
  })
  return { ...shape, columns: Object.fromEntries(columns) }
}
