// Joins postgres/ and state/ to the ports of capture, from the configuration: the pool of the source, the table as it is
// now, publication, slot and checkpoint. One instance a process; each stretch of capturing asks it anew.
import type { Config } from '../config/config.ts'
import { errorCode, SuprsyncError } from '../core/error.ts'
import type { FailPoints } from '../core/fail-points.ts'
import { digest } from '../core/json.ts'
import type { Logger } from '../core/logger.ts'
import { compileMapping, mappedColumns } from '../core/mapping.ts'
import type { Source } from '../core/source-port.ts'
import { decideStart, type FoundServer, START_OVER } from '../core/start-decision.ts'
import { describeTable, readTableFacts } from '../postgres/catalogue.ts'
import { connectionConfig, openClient, openPool } from '../postgres/connection.ts'
import { PageReader, readCurrentXid } from '../postgres/pages.ts'
import { ensurePublication } from '../postgres/publication.ts'
import { type Queryable, queryRows } from '../postgres/query.ts'
import { createSlot, describeSlot } from '../postgres/slot.ts'
import { isSlotInUse, ReplicationStream } from '../postgres/stream.ts'
import { identifySystem } from '../postgres/system.ts'
import type { StateDatabase } from '../state/database.ts'
import { createCheckpoint, hasSlotIntent, noteSlotIntent, readCheckpoint } from '../state/ownership.ts'
import type { CompiledSource } from '../sync/row-mapper.ts'

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
      const facts = await readTableFacts(client, source.table)
      if (!facts)
        throw new SuprsyncError('table_missing', `There is no table ${source.table.schema}.${source.table.name}.`)
      const table = { name: source.table, partitioned: facts.kind === 'partitioned' }
      const checkpoint = await readCheckpoint(state)
      // Made anew beside an old slot a publication would hide the gap since it was dropped.
      const create = source.create && checkpoint === null
      const publication = await ensurePublication(client, { name: source.publication, table, create }).catch(
        (error: unknown) => {
          if (checkpoint === null || errorCode(error) !== 'publication_missing') throw error
          throw new SuprsyncError('publication_missing', `The publication ${source.publication} is gone. ${START_OVER}`)
        },
      )
      if (publication === 'created') log.info({ publication: source.publication }, 'created the publication')
      failPoints.hit('after_publication')

      const server = await this.#server(client, facts.oid)
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

      const { rows } = await client.query<{ xid: string; estimate: number }>(
        'select pg_current_xact_id()::text as xid, (select reltuples::float8 from pg_class where oid = $1) as estimate',
        [facts.oid],
      )
      const estimate = rows[0]?.estimate ?? -1
      failPoints.hit('before_first_checkpoint')
      await createCheckpoint(
        state,
        {
          era: 1,
          systemIdentifier: server.systemIdentifier,
          timeline: server.timeline,
          slot: source.slot,
          tableOid: facts.oid,
          lsn,
          startXid: BigInt(rows[0]?.xid ?? '0'),
          mappingHash: mappingHash(config),
        },
        {
          source: `${source.table.schema}.${source.table.name}`,
          reason: 'first_start',
          rowsEstimated: estimate < 0 ? null : Math.round(estimate),
        },
      )
    } finally {
      await client.end()
    }
  }

  async openSource(): Promise<{ readonly source: Source } & CompiledSource> {
    const { config } = this.#options
    const described = await describeTable(this.#pool, config.source.table, mappedColumns(config.mapping))
    if (described.kind === 'missing') {
      const names = described.missing.map(({ what, name }) => `${what} ${name}`).join(', ')
      throw new SuprsyncError(
        'source_reshaped',
        `The mapping reads what the database no longer has: ${names}. Mend the mapping or the table; nothing is lost meanwhile.`,
      )
    }
    const { table } = described
    const compiled = compileMapping(config.mapping, table)
    if (compiled.kind === 'invalid') {
      throw new SuprsyncError(
        'source_reshaped',
        compiled.problems.map(({ path, message }) => `${path}: ${message}`).join(' '),
      )
    }
    const source: Source = {
      table,
      pages: new PageReader(this.#pool, table),
      readCurrentXid: () => readCurrentXid(this.#pool),
      openStream: async (startLsn, signal) => {
        const { url, slot, publication } = config.source
        const connection = connectionConfig(url.reveal(), { applicationName: 'suprsync' })
        try {
          return await ReplicationStream.open({ connection, slot, publication, startLsn, tables: [table] }, signal)
        } catch (error) {
          if (isSlotInUse(error)) await this.#endForeignStream()
          throw error
        }
      },
    }
    return { source, mapping: compiled.mapping, mappingHash: mappingHash(config) }
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

function mappingHash(config: Config): string {
  const { profile, ...rest } = config.mapping
  return digest(JSON.stringify([rest, [...profile]]))
}
