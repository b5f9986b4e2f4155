// Asks state, source and SuprSend for what `status` shows. Changes nothing; no answer takes long, none stops the others, and
// what could not be read is a value that says why.
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config/config.ts'
import { errorCode } from '../core/error.ts'
import type { Finding } from '../core/finding.ts'
import type { SlotReport, SourceReading, StateReading, StatusReport, Unreadable } from '../core/status-report.ts'
import { walRate, walSample } from '../core/wal-trend.ts'
import { reportError } from '../ops/error-report.ts'
import { connectionConfig, openClient } from '../postgres/connection.ts'
import { connectionFailure } from '../postgres/connection-failure.ts'
import type { Queryable } from '../postgres/query.ts'
import { readSlotReport, readSourceReport } from '../postgres/slot-report.ts'
import { readBounded } from '../state/bounded-read.ts'
import { countHeld, countRejected, readBreaker } from '../state/breaker-store.ts'
import { countFailed, countLeftOut, countPending, countUsers } from '../state/counts.ts'
import { openStateDatabase, type StateDatabase } from '../state/database.ts'
import { readCheckpoint } from '../state/ownership.ts'
import { findState, readBackfillReport, readLockHolder, readSenders } from '../state/report.ts'
import { checkApi } from './preflight.ts'

/** How long WAL is watched. */
const MEASURED_MS = 1_100
const CONNECT_TIMEOUT_MS = 5_000
const READ_TIMEOUT_MS = 5_000
/** Counting stops here: "at least". A second or two on a common server. */
const COUNT_LIMIT = 1_000_000
/** Beyond it the planner's estimate does: who has as many users wants no exact figure. */
const USERS_COUNTED = 10_000

export async function gatherStatus(config: Config): Promise<StatusReport> {
  const [databases, suprsend] = await Promise.all([readDatabases(config), readSuprsend(config)])
  return { readAt: Date.now(), ...databases, suprsend }
}

/** The slot before the checkpoint: the slot is never ahead of it, and would seem so if it were read after it. */
export async function readDatabases(config: Config): Promise<Pick<StatusReport, 'source' | 'state'>> {
  const source = await readSource(config)
  return { source, state: await readState(config) }
}

async function readSource({ source }: Config): Promise<SourceReading> {
  const settings = { statement_timeout: `${READ_TIMEOUT_MS}ms` }
  const options = { applicationName: 'suprsync status', connectTimeoutMs: CONNECT_TIMEOUT_MS, settings }
  return await connected(
    () => openClient(connectionConfig(source.url.reveal(), options)),
    async (client) => {
      const report = await readSourceReport(client, source.slot)
      return { kind: 'read' as const, ...report, walBytesPerSecond: await measureWal(client, report.slot) }
    },
    (client) => client.end(),
  )
}

/** Where the server may give the slot up it matters how soon. */
async function measureWal(client: Queryable, slot: SlotReport | null): Promise<number | null> {
  if (slot?.safeWalBytes == null) return null
  const first = walSample(slot, performance.now())
  await delay(MEASURED_MS)
  const later = await readSlotReport(client, slot.name)
  return later && walRate([first, walSample(later, performance.now())])
}

async function readState({ state }: Config): Promise<StateReading> {
  const open = async () => {
    const db = openStateDatabase({
      connection: connectionConfig(state.url.reveal(), { connectTimeoutMs: CONNECT_TIMEOUT_MS }),
      schema: state.schema,
      maxConnections: 1,
      onIdleError: () => undefined, // The next statement tells.
    })
    try {
      return { db, found: await findState(db, state.schema) }
    } catch (error) {
      await db.destroy()
      throw error
    }
  }
  return await connected(
    open,
    async ({ db, found }): Promise<StateReading> => {
      switch (found) {
        case 'missing':
          return { kind: 'missing' }
        case 'denied':
          return {
            kind: 'unreadable',
            code: 'denied',
            message: `The role may not read the schema ${state.schema}: GRANT USAGE ON SCHEMA, and SELECT on its tables.`,
          }
        case 'there':
          return await readStateReport(db, state.schema)
      }
    },
    ({ db }) => db.destroy(),
  )
}

async function readStateReport(db: StateDatabase, schema: string): Promise<StateReading> {
  const basics = await readBounded(db, READ_TIMEOUT_MS, async (it) => ({
    checkpoint: await readCheckpoint(it),
    owner: await readLockHolder(it, schema),
    senders: await readSenders(it, schema),
    backfill: await readBackfillReport(it),
    open: await readBreaker(it),
  }))
  if (basics === null) {
    const message = `The state's database did not answer within ${READ_TIMEOUT_MS / 1000} s.`
    return { kind: 'unreadable', code: 'unreadable', message }
  }
  const { open, ...known } = basics
  return {
    kind: 'read',
    ...known,
    breaker: open && { ...open, held: await readBounded(db, READ_TIMEOUT_MS, (it) => countHeld(it, COUNT_LIMIT)) },
    rejected: await readBounded(db, READ_TIMEOUT_MS, (it) => countRejected(it, COUNT_LIMIT)),
    users: await readBounded(db, READ_TIMEOUT_MS, (it) => countUsers(it, USERS_COUNTED)),
    pending: await readBounded(db, READ_TIMEOUT_MS, (it) => countPending(it, COUNT_LIMIT)),
    failed: await readBounded(db, READ_TIMEOUT_MS, (it) => countFailed(it, COUNT_LIMIT)),
    leftOut: await readBounded(db, READ_TIMEOUT_MS, (it) => countLeftOut(it, COUNT_LIMIT)),
  }
}

async function connected<C, R>(
  open: () => Promise<C>,
  read: (connection: C) => Promise<R>,
  close: (connection: C) => Promise<void>,
): Promise<R | Unreadable> {
  let connection: C
  try {
    connection = await open()
  } catch (error) {
    return { kind: 'unreadable', code: 'unreachable', message: connectionFailure(error).message }
  }
  try {
    return await read(connection)
  } catch (error) {
    const { message } = reportError(error)
    return { kind: 'unreadable', code: 'unreadable', message: `${message} (${errorCode(error) ?? 'no code'}).` }
  } finally {
    await close(connection).catch(() => undefined) // It broke: what was read or the error above says so.
  }
}

/** As `check` asks, only with less patience. */
async function readSuprsend(config: Config): Promise<readonly Finding[]> {
  const { suprsend } = config
  const hurried = {
    connectTimeoutMs: Math.min(suprsend.connectTimeoutMs, CONNECT_TIMEOUT_MS),
    headersTimeoutMs: Math.min(suprsend.headersTimeoutMs, CONNECT_TIMEOUT_MS),
    bodyTimeoutMs: Math.min(suprsend.bodyTimeoutMs, CONNECT_TIMEOUT_MS),
  }
  return await checkApi(
    { ...config, suprsend: { ...suprsend, ...hurried } },
    AbortSignal.timeout(CONNECT_TIMEOUT_MS * 4),
  )
}
