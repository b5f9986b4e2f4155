// Before each stretch of capturing: publication, slot and checkpoint are there and fit together, or a gap is mended by beginning
// a new era, or the reason is thrown (core/start-decision.ts decides). Each step finds what a killed start left behind.
import type { Config } from '../config/config.ts'
import { errorCode, SuprsyncError } from '../core/error.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { Logger } from '../core/logger.ts'
import type { Lsn } from '../core/lsn.ts'
import type { RecoveryPace } from '../core/recovery-pace.ts'
import { decideStart, type FoundServer, mayHaveForgotten, type StartDecision } from '../core/start-decision.ts'
import { WENT_BACK } from '../core/status-problems.ts'
import type { TableFacts } from '../postgres/catalogue.ts'
import { connectionConfig, openClient } from '../postgres/connection.ts'
import { readNewXid } from '../postgres/pages.ts'
import { ensurePublication } from '../postgres/publication.ts'
import type { Queryable } from '../postgres/query.ts'
import { createSlot, dropSlot } from '../postgres/slot.ts'
import { readOwedBackfills } from '../state/backfill-store.ts'
import type { StateDatabase } from '../state/database.ts'
import {
  beginEra,
  createCheckpoint,
  noteDoubt,
  noteSlotIntent,
  noteTimeline,
  readCheckpoint,
  readStateServer,
} from '../state/ownership.ts'
import { type FollowedFacts, readFacts, readServer } from './source-facts.ts'

export interface SourceStartOptions {
  readonly config: Config
  readonly state: StateDatabase
  readonly log: Logger
  readonly failPoints: FailPoints
  readonly pace: RecoveryPace
  /** The code with which the last stretch ended; null: there was none, or it was told to end. */
  readonly endedBy: string | null
}

type Recover = Extract<StartDecision, { kind: 'recover' }>

export async function prepareSource(options: SourceStartOptions): Promise<void> {
  const { url } = options.config.source
  const client = await openClient(connectionConfig(url.reveal(), { applicationName: 'suprsync setup' }))
  try {
    await prepare(client, options)
  } finally {
    await client.end()
  }
}

/** What the next stretch would be stopped by under this configuration; null: nothing that is known. Changes nothing. */
export async function foreseeStop(
  options: Pick<SourceStartOptions, 'config' | 'state'>,
): Promise<Extract<StartDecision, { kind: 'stop' }> | null> {
  const { config, state } = options
  const { url, slot, create } = config.source
  const client = await openClient(connectionConfig(url.reveal(), { applicationName: 'suprsync setup' }))
  try {
    const checkpoint = await readCheckpoint(state)
    const server = await readServer(client, await readFacts(client, config), { ...options, endedBy: null, checkpoint })
    // Whoever streams now is this process, and ends first.
    const idle = { ...server, slot: server.slot && { ...server.slot, active: false } }
    const decision = decideStart({ slot, create, recovery: config.recovery, checkpoint, server: idle })
    return decision.kind === 'stop' ? decision : null
  } finally {
    await client.end()
  }
}

async function prepare(client: Queryable, options: SourceStartOptions): Promise<void> {
  const { config, state, log, failPoints } = options
  const { source } = config
  const tables = await readFacts(client, config)
  const checkpoint = await readCheckpoint(state).catch((error: unknown) => {
    throw isUndefined(error) ? stateGone(source.slot) : error
  })
  // Made anew beside an old slot a publication would hide the gap since it was dropped.
  if (checkpoint === null) await publish(client, tables, options)
  const server = await readServer(client, tables, { ...options, checkpoint })
  const decision = decideStart({
    slot: source.slot,
    create: source.create,
    recovery: config.recovery,
    checkpoint,
    server,
  })
  if (mayHaveForgotten(decision, { checkpoint, server }, (await readStateServer(state)) === server.systemIdentifier)) {
    await noteDoubt(state)
    const { code, message, next } = WENT_BACK
    log.warn({ code, next }, message)
  }
  switch (decision.kind) {
    case 'stop':
      throw new SuprsyncError(decision.code, decision.message)
    case 'go_on':
      // Throws where it does not fit.
      await ensurePublication(client, { name: source.publication, tables: published(tables), create: false })
      return await noteTimeline(state, server.timeline)
    case 'recover':
      await waitForTurn(decision, checkpoint?.era ?? 0, options)
      return await recover(client, tables, { ...options, decision, server })
    case 'create_slot':
    case 'replace_slot':
    case 'adopt_slot': {
      if (decision.kind === 'create_slot' && !source.create) throw slotWanted(source.slot)
      const lsn = await takeSlot(client, decision, options, server)
      const startXid = await readNewXid(client)
      failPoints.hit('before_first_checkpoint')
      // The tables to be read follow from the mapping, once this process has taken over.
      await createCheckpoint(state, { ...eraOf(config, tables, server), lsn, startXid })
    }
  }
}

/** @throws SuprsyncError where rows are still owed for a gap of a moment ago: whoever tries again asks again. */
async function waitForTurn({ code, message }: Recover, era: number, { state, pace }: SourceStartOptions) {
  const nowMs = performance.now()
  const isOwed = (await readOwedBackfills(state, era)).length > 0
  const waitMs = pace.waitMs({ isOwed, nowMs })
  if (waitMs === 0) return pace.began(nowMs)
  const again = `It came back before every row was read; the next attempt is in ${Math.ceil(waitMs / 1_000)} s.`
  if (code !== 'slot_lost') throw new SuprsyncError(code, `${message} ${again}`)
  throw new SuprsyncError(
    'wal_limit_small',
    `${message} ${again} max_slot_wal_keep_size is smaller than what is written while rows are read: raise it, or set state.url to another server.`,
  )
}

/** Publication before slot, slot before the era: a killed recovery is found as the same gap, or as a slot ahead, again. */
async function recover(
  client: Queryable,
  tables: FollowedFacts,
  { decision, server, ...options }: SourceStartOptions & { readonly decision: Recover; readonly server: FoundServer },
): Promise<void> {
  const { config, state, log, failPoints } = options
  const { code, message } = decision
  log.warn({ code }, `${message} Recovering: every row is read again, and users whose rows are gone are removed.`)
  await publish(client, tables, options)
  const lsn = await takeSlot(client, takeOf(decision.slot), options, server)
  const startXid = await readNewXid(client)
  failPoints.hit('before_era')
  await beginEra(state, { ...eraOf(config, tables, server), lsn, startXid }, code)
  log.info({ code, lsn }, 'began a new era')
}

type Take = Extract<StartDecision, { kind: 'create_slot' | 'replace_slot' | 'adopt_slot' }>

function takeOf(step: Recover['slot']): Take {
  if (step.kind === 'adopt') return { kind: 'adopt_slot', lsn: step.lsn }
  return { kind: step.kind === 'create' ? 'create_slot' : 'replace_slot' }
}

async function takeSlot(
  client: Queryable,
  step: Take,
  { config, state, log, failPoints }: SourceStartOptions,
  { systemIdentifier }: FoundServer,
): Promise<Lsn> {
  const name = config.source.slot
  await noteSlotIntent(state, name, systemIdentifier)
  if (step.kind === 'replace_slot') {
    await dropSlot(client, { name, signal: AbortSignal.timeout(10_000) })
    log.warn({ slot: name }, 'dropped the replication slot, which was of no use')
    failPoints.hit('after_slot_drop')
  }
  const lsn = step.kind === 'adopt_slot' ? step.lsn : await createSlot(client, { name })
  log.info(
    { slot: name, lsn },
    step.kind === 'adopt_slot' ? 'adopted the replication slot' : 'created the replication slot',
  )
  failPoints.hit('after_slot')
  return lsn
}

async function publish(
  client: Queryable,
  tables: readonly TableFacts[],
  { config, log, failPoints }: SourceStartOptions,
): Promise<void> {
  const { publication: name, create } = config.source
  const made = await ensurePublication(client, { name, tables: published(tables), create })
  if (made === 'created') log.info({ publication: name }, 'created the publication')
  failPoints.hit('after_publication')
}

function published(tables: readonly TableFacts[]) {
  return tables.map(({ name, kind }) => ({ name, partitioned: kind === 'partitioned' }))
}

function eraOf({ source }: Config, [users]: FollowedFacts, server: FoundServer) {
  const { systemIdentifier, timeline } = server
  return { systemIdentifier, timeline, slot: source.slot, tableOid: users.oid }
}

/** UNDEFINED_TABLE, INVALID_SCHEMA_NAME. */
function isUndefined(error: unknown): boolean {
  return ['42P01', '3F000'].includes(errorCode(error) ?? '')
}

function stateGone(slot: string): SuprsyncError {
  return new SuprsyncError(
    'state_missing',
    `The state was dropped while we run: what was sent is known to nobody any more. To begin anew drop its slot as well, SELECT pg_drop_replication_slot('${slot}'), and restart \`suprsync run\`.`,
  )
}

function slotWanted(slot: string): SuprsyncError {
  return new SuprsyncError(
    'slot_missing',
    `There is no replication slot ${slot}, and source.create is false; create it: SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput').`,
  )
}
