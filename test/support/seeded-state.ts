// The state as a service would have left it, made without one, for tests of what is read of it. The profiles hold a canary
// that nothing may print (P8).
import { formatLsn, type Lsn, parseLsn } from '../../src/core/lsn.ts'
import { connectionConfig, openClient } from '../../src/postgres/connection.ts'
import { createSlot } from '../../src/postgres/slot.ts'
import { identifySystem } from '../../src/postgres/system.ts'
import { oweBackfills } from '../../src/state/backfill-store.ts'
import { openStateDatabase, type StateDatabase } from '../../src/state/database.ts'
import { migrate } from '../../src/state/migrations.ts'
import { createCheckpoint } from '../../src/state/ownership.ts'
import type { TestDatabase } from './database.ts'

export const CANARY = 'canary-51ab'
export const CANARY_PROFILE = {
  channels: { $sms: [CANARY], $email: [`${CANARY}@example.com`] },
  properties: { name: CANARY },
}

/** The state's tables, empty. The caller destroys it. */
export async function makeState(database: TestDatabase): Promise<StateDatabase> {
  const db = openStateDatabase({
    connection: connectionConfig(database.url),
    schema: 'suprsync',
    onIdleError: () => undefined, // The next statement tells.
  })
  await migrate(db, 'suprsync')
  return db
}

/** The state's tables with a checkpoint at 0/100, of a server that no test looks at. The caller destroys it. */
export async function makeStateAtCheckpoint(database: TestDatabase): Promise<StateDatabase> {
  const db = await makeState(database)
  const checkpoint = {
    systemIdentifier: '1',
    timeline: 1,
    slot: database.slot,
    tableOid: 1,
    lsn: parseLsn('0/100'),
    startXid: 1n,
  }
  await createCheckpoint(db, checkpoint)
  const owed = {
    source: 'public.users',
    tableOid: 1,
    mappingHash: 'h',
    ownerHash: 'o',
    reason: 'first_start',
    rowsEstimated: null,
    sweep: false,
  }
  await oweBackfills(db, 1, [
    { ...owed, shape: { oid: 1, key: '["id"]', columns: {}, partitions: '', membership: '' }, startXid: null },
  ])
  return db
}

export interface SeededProfile {
  readonly id: string
  readonly desired?: object | null
  readonly failure?: {
    readonly code: string
    readonly status?: number
    readonly key?: string
    readonly keys?: readonly string[]
    readonly message?: string
  }
  readonly due?: boolean
  readonly lane?: 0 | 1
  readonly attempts?: number
  readonly agoSeconds?: number
}

export async function seedProfiles(database: TestDatabase, profiles: readonly SeededProfile[]): Promise<void> {
  for (const { id, desired = {}, failure, due = false, lane = 0, attempts = 0, agoSeconds = 60 } of profiles) {
    await database.query(
      `INSERT INTO suprsync.profile (distinct_id, bucket, desired, synced, sending, lane, changed_at, pending_since, due_at, attempts, failure, change_lsn)
       VALUES ($1, 0, $2, $2, jsonb_build_array(jsonb_build_object('token', 't', 'target', $2::jsonb)), $3,
         now() - $4 * interval '1 second', CASE WHEN $5 OR $7::jsonb IS NOT NULL THEN now() - $4 * interval '1 second' END,
         CASE WHEN $5 THEN clock_timestamp() END, $6, $7, '0/1')`,
      [id, desired === null ? null : JSON.stringify(desired), lane, agoSeconds, due, attempts, failure ?? null],
    )
  }
}

export interface SeededRow {
  readonly key: string
  readonly id?: string
  /** Null: a tombstone, or no user for a reason. */
  readonly part?: object | null
  readonly reasons?: readonly { readonly key: string; readonly code: string; readonly message: string }[]
  readonly duplicate?: boolean
}

export async function seedRows(database: TestDatabase, rows: readonly SeededRow[]): Promise<void> {
  for (const { key, id = null, part = {}, reasons, duplicate = false } of rows) {
    await database.query(
      `INSERT INTO suprsync.source_row (source, key, distinct_id, part, reasons, duplicate, era)
       VALUES ('public.users', $1, $2, $3, $4, $5, 1)`,
      [key, id, part === null ? null : JSON.stringify(part), reasons ? JSON.stringify(reasons) : null, duplicate],
    )
  }
}

export async function makeSlot(database: TestDatabase): Promise<Lsn> {
  const client = await openClient(connectionConfig(database.url))
  try {
    return await createSlot(client, { name: database.slot })
  } finally {
    await client.end()
  }
}

export async function seedCheckpoint(database: TestDatabase, lsn: Lsn): Promise<void> {
  const { systemIdentifier, timeline } = await identifySystem(database.pool)
  await database.query(
    `INSERT INTO suprsync.checkpoint (era, system_identifier, timeline, slot, table_oid, lsn, start_xid, epoch, advanced_at)
     VALUES (1, $1, $2, $3, 1, $4, '1', 5, now() - interval '90 seconds')`,
    [systemIdentifier.toString(), timeline, database.slot, formatLsn(lsn)],
  )
}

/** State, slot and checkpoint as a service would have left them. */
export async function seedAll(database: TestDatabase): Promise<Lsn> {
  const db = await makeState(database)
  await db.destroy()
  const lsn = await makeSlot(database)
  await seedCheckpoint(database, (lsn + 16n) as Lsn)
  await database.query(
    `INSERT INTO suprsync.backfill (era, source, reason, rows_read, rows_estimated, finished_at)
     VALUES (1, 'public.users', 'former', 9, 9, now()), (1, 'public.users', 'first_start', 250, 1000, NULL)`,
  )
  const failure = { code: 'invalid_value', status: 400, key: '$sms', message: 'SuprSend refused a value' }
  const passing = { code: 'server_error', status: 500, message: 'SuprSend failed on the request' }
  await seedProfiles(database, [
    { id: 'due', desired: CANARY_PROFILE, due: true, agoSeconds: 30 },
    { id: 'backfilled', desired: CANARY_PROFILE, due: true, lane: 1, agoSeconds: 900 },
    { id: 'retrying', desired: CANARY_PROFILE, due: true, failure: passing, attempts: 2, agoSeconds: 120 },
    { id: 'refused', desired: CANARY_PROFILE, failure, attempts: 1 },
    { id: 'fine', desired: CANARY_PROFILE },
    { id: 'gone', desired: null },
  ])
  await database.query("UPDATE suprsync.profile SET due_at = now() + interval '1 hour' WHERE distinct_id = 'retrying'")
  const reason = (key: string, code: string) => ({ key, code, message: 'a message' })
  await seedRows(database, [
    {
      key: '1',
      id: 'fine',
      part: CANARY_PROFILE,
      reasons: [reason('$sms', 'invalid_e164'), reason('$email', 'invalid_email')],
    },
    { key: '2', id: 'due', part: CANARY_PROFILE, reasons: [reason('$sms', 'invalid_e164')] },
    { key: '3', id: 'fine', part: CANARY_PROFILE, duplicate: true },
    { key: '4', part: null, reasons: [reason('when', 'when_failed'), reason('distinct_id', 'invalid_distinct_id')] },
  ])
  return lsn
}
