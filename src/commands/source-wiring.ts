// Joins postgres/ and state/ to the ports of capture, from the configuration: the pool of the source, the table as it is
// now, publication, slot and checkpoint. One instance a process; each stretch of capturing asks it anew.
import type { Config } from '../config/config.ts'
import { errorCode, SuprsyncError } from '../core/error.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { Logger } from '../core/logger.ts'
import { decideRemap, type RemapDecision } from '../core/remap-decision.ts'
import type { Source } from '../core/source-port.ts'
import { decideStart, type FoundServer, START_OVER } from '../core/start-decision.ts'
import { readTableFacts, type TableFacts } from '../postgres/catalogue.ts'
import { connectionConfig, openClient, openPool } from '../postgres/connection.ts'
import { readCurrentXid } from '../postgres/pages.ts'
import { ensurePublication } from '../postgres/publication.ts'
import { type Queryable, queryRows } from '../postgres/query.ts'
import { createSlot, describeSlot } from '../postgres/slot.ts'
import { isSlotInUse, ReplicationStream } from '../postgres/stream.ts'
import { identifySystem } from '../postgres/system.ts'
import { type OwedTable, readMappedTables, readOwedBackfills } from '../state/backfill-store.ts'
import type { CaptureStore } from '../state/capture-store.ts'
import type { StateDatabase } from '../state/database.ts'
import { createCheckpoint, hasSlotIntent, noteSlotIntent, readCheckpoint } from '../state/ownership.ts'
import type { Owed } from '../sync/capture-session.ts'
import type { CompiledSource } from '../sync/row-mapper.ts'
import { openTables, sourceName, wantedTables } from './compiled-tables.ts'

export interface SourceWiringOptions {
  readonly config: Config
  readonly state: StateDatabase
  readonly log: Logger
  readonly failPoints: FailPoints
}

export class SourceWiring implements AsyncDisposable {
  readonly #options: SourceWiringOptions
  readonly #pool: ReturnType<typeof openPool>

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

  /** Publication before slot, slot before checkpoint; each step finds what a killed start left behind. */
  async prepare(): Promise<void> {
    const { config, state, log, failPoints } = this.#options
    const { source } = config
    const client = await openClient(connectionConfig(source.url.reveal(), { applicationName: 'suprsync setup' }))
    try {
      const tables = await this.#facts(client)
      const [users] = tables
      const checkpoint = await readCheckpoint(state)
      // Made anew beside an old slot a publication would hide the gap since it was dropped.
      const create = source.create && checkpoint === null
      const published = tables.map(({ name, kind }) => ({ name, partitioned: kind === 'partitioned' }))
      const publication = await ensurePublication(client, {
        name: source.publication,
        tables: published,
        create,
      }).catch((error: unknown) => {
        if (checkpoint === null || errorCode(error) !== 'publication_missing') throw error
        throw new SuprsyncError('publication_missing', `The publication ${source.publication} is gone. ${START_OVER}`)
      })
      if (publication === 'created') log.info({ publication: source.publication }, 'created the publication')
      failPoints.hit('after_publication')

      const server = await this.#server(client, users.oid)
      const decision = decideStart(source.slot, checkpoint, server)
      if (decision.kind === 'go_on') return
      if (decision.kind === 'stop') throw new SuprsyncError(decision.code, decision.message)
      if (decision.kind === 'create_slot' && !source.create) {
        throw new SuprsyncError(
          'slot_missing',
          `There is no replication slot ${source.slot}, and source.create is false; create it: SELECT pg_create_logical_replication_slot('${source.slot}', 'pgoutput').`,
        )
      }
      await noteSlotIntent(state, source.slot, server.systemIdentifier)
      const lsn = decision.kind === 'adopt_slot' ? decision.lsn : await createSlot(client, { name: source.slot })
      log.info(
        { slot: source.slot, lsn },
        decision.kind === 'adopt_slot'
          ? 'adopted the replication slot of a start that did not finish'
          : 'created the replication slot',
      )
      failPoints.hit('after_slot')

      const startXid = await readNewXid(client)
      failPoints.hit('before_first_checkpoint')
      // The tables to be read follow from the mapping, once this process has taken over.
      await createCheckpoint(state, {
        era: 1,
        systemIdentifier: server.systemIdentifier,
        timeline: server.timeline,
        slot: source.slot,
        tableOid: users.oid,
        lsn,
        startXid,
      })
    } finally {
      await client.end()
    }
  }

  async openSource(): Promise<{ readonly source: Source } & CompiledSource> {
    const { config } = this.#options
    const compiled = await openTables(this.#pool, config)
    const source: Source = {
      tables: compiled.tables,
      readCurrentXid: () => readCurrentXid(this.#pool),
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
    return { source, ...compiled }
  }

  /** Notes what the mapping of today owes, and tells what is still to be done. */
  async owed(store: CaptureStore, { tables }: CompiledSource): Promise<Owed> {
    const { state, log } = this.#options
    const known = await readMappedTables(state)
    const now = tables.map(({ name, table, mappingHash }) => ({ source: name, tableOid: table.oid, mappingHash }))
    const { changed, added, dropped, replaced } = decideRemap(known, now)
    if (replaced.length > 0) {
      const message = `The table ${replaced.join(', ')} was replaced by another one of the same name since the checkpoint. ${START_OVER}`
      throw new SuprsyncError('table_replaced', message)
    }
    if (changed.length > 0 || (known.length > 0 && added.length > 0)) {
      log.info({ changed, added }, 'the mapping differs from the last one; these tables are read and mapped anew')
    }
    await store.owe(
      await this.#owing(known.length === 0 ? 'first_start' : 'mapping_changed', tables, { changed, added }),
    )
    const followed = new Set(tables.map(({ name }) => name))
    const runs = await readOwedBackfills(state, store.era)
    return { backfills: runs.filter(({ source }) => followed.has(source)), dropped }
  }

  /** Child tables first: a user is then told with all that belongs to it. */
  async #owing(
    reason: string,
    [users, ...children]: CompiledSource['tables'],
    { changed, added }: Pick<RemapDecision, 'changed' | 'added'>,
  ): Promise<readonly OwedTable[]> {
    const owing = [...children, users].filter(({ name }) => changed.includes(name) || added.includes(name))
    // What was changed before now may be streamed by nobody: only a reading that sees all of it counts.
    const startXid = owing.some(({ name }) => added.includes(name)) ? await readNewXid(this.#pool) : null
    return await Promise.all(
      owing.map(async ({ name, table, pages, mappingHash }) => {
        const estimate = await pages.estimateRows()
        return {
          source: name,
          tableOid: table.oid,
          mappingHash,
          reason,
          rowsEstimated: estimate === null ? null : Math.round(estimate),
          startXid: added.includes(name) ? startXid : null,
        }
      }),
    )
  }

  async #facts(client: Queryable): Promise<readonly [TableFacts, ...TableFacts[]]> {
    const facts: TableFacts[] = []
    for (const { name } of wantedTables(this.#options.config)) {
      const table = await readTableFacts(client, name)
      if (!table) throw new SuprsyncError('table_missing', `There is no table ${sourceName(name)}.`)
      facts.push(table)
    }
    const [users, ...children] = facts
    if (users === undefined) throw new SuprsyncError('table_missing', 'The mapping names no table.')
    return [users, ...children]
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

  async #server(client: Queryable, tableOid: number): Promise<FoundServer> {
    const { config, state } = this.#options
    const { source } = config
    const slot = await describeSlot(client, source.slot)
    const system = await identifySystem(client)
    const [database] = await queryRows<{ name: string }>(client, 'select current_database() as name')
    const systemIdentifier = system.systemIdentifier.toString()
    const ours = !source.create || (await hasSlotIntent(state, source.slot, systemIdentifier))
    return {
      systemIdentifier,
      timeline: system.timeline,
      database: database?.name ?? '',
      tableOid,
      slot: slot && {
        plugin: slot.plugin,
        database: slot.database,
        confirmedFlushLsn: slot.confirmedFlushLsn,
        lost: slot.walStatus === 'lost' || slot.invalidationReason !== null,
        ours,
        active: slot.active,
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end()
  }
}

/** Every transaction that is open now has a lower one, or none yet. */
async function readNewXid(client: Queryable): Promise<bigint> {
  const [row] = await queryRows<{ xid: string }>(client, 'select pg_current_xact_id()::text as xid')
  return BigInt(row?.xid ?? '0')
}
