// `suprsync status` as it is run, and what it and the metrics count: right, cheap, and without a value of any profile.
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { collectReadings } from '../../src/commands/readings.ts'
import { SILENT_LOGGER } from '../../src/core/logger.ts'
import { formatLsn, type Lsn, parseLsn } from '../../src/core/lsn.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { connectionConfig, openClient } from '../../src/postgres/connection.ts'
import { createSlot } from '../../src/postgres/slot.ts'
import { identifySystem } from '../../src/postgres/system.ts'
import { readBounded } from '../../src/state/bounded-read.ts'
import { countFailed, countLeftOut, countPending, countUsers } from '../../src/state/counts.ts'
import type { Schema } from '../../src/state/database.ts'
import { LockSession } from '../../src/state/lock-session.ts'
import { takeOver } from '../../src/state/ownership.ts'
import { readCheckpointReport } from '../../src/state/report.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { install, makeState, type Run, runCommand, seedProfiles, seedRows } from '../support/installation.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const CANARY = 'canary-51ab'
const PROFILE = { channels: { $sms: [CANARY] }, properties: { name: CANARY } }

let emulator: Emulator

beforeAll(async () => {
  emulator = await startEmulator({ apiKey: 'good-key' })
})
afterAll(() => emulator.destroy())

interface Status {
  readonly problems: readonly { readonly code: string; readonly next: string | null }[]
  readonly [name: string]: unknown
}

function parse(run: Run): Status {
  return JSON.parse(run.stdout) as Status
}

/** The shared server of a test run has no WAL limit and may keep WAL for others. */
function codes({ problems }: Status): readonly string[] {
  return problems.map(({ code }) => code).filter((code) => code !== 'wal_retained')
}

async function makeSlot(database: TestDatabase): Promise<Lsn> {
  const client = await openClient(connectionConfig(database.url))
  try {
    return await createSlot(client, { name: database.slot })
  } finally {
    await client.end()
  }
}

async function seedCheckpoint(database: TestDatabase, lsn: Lsn): Promise<void> {
  const { systemIdentifier, timeline } = await identifySystem(database.pool)
  await database.query(
    `INSERT INTO suprsync.checkpoint (era, system_identifier, timeline, slot, lsn, start_xid, mapping_hash, epoch, advanced_at)
     VALUES (1, $1, $2, $3, $4, '1', 'h', 5, now() - interval '90 seconds')`,
    [systemIdentifier.toString(), timeline, database.slot, formatLsn(lsn)],
  )
}

/** State, slot and checkpoint as a service would have left them. */
async function seedAll(database: TestDatabase): Promise<Lsn> {
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
    { id: 'due', desired: PROFILE, due: true, agoSeconds: 30 },
    { id: 'backfilled', desired: PROFILE, due: true, lane: 1, agoSeconds: 900 },
    { id: 'retrying', desired: PROFILE, due: true, failure: passing, attempts: 2, agoSeconds: 120 },
    { id: 'refused', desired: PROFILE, failure, attempts: 1 },
    { id: 'fine', desired: PROFILE },
    { id: 'gone', desired: null },
  ])
  await database.query("UPDATE suprsync.profile SET due_at = now() + interval '1 hour' WHERE distinct_id = 'retrying'")
  const reason = (key: string, code: string) => ({ key, code, message: 'a message' })
  await seedRows(database, [
    {
      key: '1',
      id: 'fine',
      part: PROFILE,
      reasons: [reason('$sms', 'invalid_e164'), reason('$email', 'invalid_email')],
    },
    { key: '2', id: 'due', part: PROFILE, reasons: [reason('$sms', 'invalid_e164')] },
    { key: '3', id: 'fine', part: PROFILE, duplicate: true },
    { key: '4', part: null, reasons: [reason('when', 'when_failed'), reason('distinct_id', 'invalid_distinct_id')] },
  ])
  return lsn
}

test('before the first start: says so, exit code 0', async () => {
  await using database = await createTestDatabase()
  await using installation = await install({ database, suprsendUrl: emulator.url })
  const json = await installation.run('status', '--json')
  expect(json).toMatchObject({ code: 0, stderr: '' })
  expect(parse(json)).toMatchObject({
    ok: true,
    source: { reachable: true, standby: false },
    state: { reachable: true, made: false, schema: 'suprsync' },
    suprsend: { ok: true },
    owner: null,
    slot: { name: database.slot, exists: false },
    checkpoint: null,
    pending: null,
    problems: [{ code: 'state_missing', level: 'warning' }],
  })
  const text = await installation.run('status')
  expect(text).toMatchObject({ code: 0, stderr: '' })
  expect(text.stdout).toContain('state     the schema suprsync has never been made\n')
  expect(text.stdout).toMatch(/\nwarning state_missing: .*\n +next: run `suprsync check`/)
})

test('while the service is down: all figures, every problem with its next step, no value', async () => {
  await using database = await createTestDatabase()
  const lsn = await seedAll(database)
  await using installation = await install({ database, suprsendUrl: emulator.url })
  const json = await installation.run('status', '--json')
  expect(json).toMatchObject({ code: 0, stderr: '' })
  const status = parse(json)
  expect(status).toMatchObject({
    ok: false,
    owner: { running: false },
    slot: {
      exists: true,
      active_pid: null,
      wal_status: 'reserved',
      invalidation_reason: null,
      confirmed_lsn: formatLsn(lsn),
      safe_wal_bytes: null,
    },
    checkpoint: { lsn: formatLsn((lsn + 16n) as Lsn), slot: database.slot, era: 1, epoch: 5, ahead_of_slot_bytes: 16 },
    backfill: { running: true, reason: 'first_start', rows_read: 250, rows_estimated: 1000, finished_at: null },
    users: { count: 6, estimated: false },
    pending: {
      total: 3,
      at_least: false,
      due_now: 2,
      retrying: { total: 1, at_least: false, by_code: [{ code: 'server_error', count: 1 }] },
    },
    failed: {
      total: 3,
      at_least: false,
      by_code: ['duplicate_distinct_id', 'invalid_distinct_id', 'invalid_value'].map((code) => ({ code, count: 1 })),
    },
    left_out: {
      at_least: false,
      by_key: [
        { key: '$sms', code: 'invalid_e164', count: 2 },
        { key: '$email', code: 'invalid_email', count: 1 },
      ],
    },
  })
  const { pending, checkpoint, slot } = status as unknown as Record<string, Record<string, number>>
  expect(pending?.oldest_age_s).toBeGreaterThanOrEqual(900)
  expect(pending?.oldest_age_s).toBeLessThan(1_000)
  expect(pending?.oldest_live_age_s).toBeGreaterThanOrEqual(120)
  expect(pending?.oldest_live_age_s).toBeLessThan(220)
  expect(checkpoint?.since_advanced_s).toBeGreaterThanOrEqual(90)
  expect(slot?.lag_bytes).toBeGreaterThan(0)
  expect(slot?.retained_wal_bytes).toBeGreaterThanOrEqual(slot?.lag_bytes ?? Number.NaN)
  expect(codes(status)).toEqual([
    'not_running',
    'server_error',
    'duplicate_distinct_id',
    'invalid_distinct_id',
    'invalid_value',
  ])
  expect(status.problems.every(({ next }) => next !== null)).toBe(true)

  const text = await installation.run('status')
  expect(text).toMatchObject({ code: 0, stderr: '' })
  for (const line of [
    'service     not running',
    /^checkpoint {2}\S+, moved 1m \d\ds ago, 16 bytes ahead of the slot$/m,
    /^backfill {4}250 of ~1,000 rows read \(first_start\), begun \d+s ago$/m,
    /^pending {5}3 \(2 due now, 1 after a failed attempt, the oldest for 15m \d\ds\)$/m,
    /^failed {6}3$/m,
    /^ {12}1 invalid_value$/m,
    /^ {12}2 \$sms invalid_e164$/m,
    /^error not_running: .*\n {6}next: start `suprsync run`/m,
  ]) {
    expect(text.stdout).toMatch(line)
  }
  expect(json.stdout + text.stdout).not.toContain(CANARY)
})

test('while a service runs: who, since when, nothing wrong; and its gauges', async () => {
  await using database = await createTestDatabase()
  await database.query('CREATE TABLE users (id text PRIMARY KEY, email text)')
  await database.query("INSERT INTO users VALUES ('a', 'a@example.com'), ('b', 'b@example.com')")
  const config = { profile: { $email: 'email' }, suprsend: { api_key: 'good-key' } }
  await using local = await startEmulator({ apiKey: 'good-key' })
  local.addFault({ user: 'b', times: null, action: { kind: 'status', status: 413 } })
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: local.url,
    slot: database.slot,
    config,
  })
  await service.waitStreaming()
  const gauges = await until(
    async () => {
      const metrics = await service.metrics()
      return metrics.get('suprsync_profiles_failed{code="too_large"}') === 1 && metrics
    },
    { what: 'the gauge of failed users' },
  )
  expect(gauges.get('suprsync_profiles_pending')).toBe(0)
  expect(gauges.get('suprsync_oldest_pending_age_seconds')).toBe(0)
  expect(gauges.get('suprsync_slot_lag_seconds')).toBe(0)
  expect(gauges.get('suprsync_slot_lag_bytes')).toBeGreaterThanOrEqual(0)
  expect(gauges.get('suprsync_slot_retained_wal_bytes')).toBeGreaterThanOrEqual(0)

  const status = parse(await runCommand(['status', '--json', '--config', service.config.file]))
  expect(status).toMatchObject({
    ok: true,
    owner: { running: true, backend_pid: expect.any(Number), since: expect.stringMatching(/Z$/) },
    slot: { exists: true, active_pid: expect.any(Number) },
    backfill: { running: false, rows_read: 2 },
    pending: { total: 0 },
  })
  expect(codes(status)).toEqual(['too_large'])
  // Of one that was killed nothing is left to be seen.
  await service.kill9()
  await until(
    async () =>
      codes(parse(await runCommand(['status', '--json', '--config', service.config.file])))[0] === 'not_running',
    { what: 'status to see that the service is gone' },
  )
})

test('a process that owns the work and does not stream; a schema of another name is not its', async () => {
  await using database = await createTestDatabase()
  await seedAll(database)
  await using installation = await install({ database, suprsendUrl: emulator.url })
  await using other = await LockSession.acquire(connectionConfig(database.url), 'other')
  expect(other).not.toBeNull()
  expect(codes(parse(await installation.run('status', '--json')))[0]).toBe('not_running')
  await using owner = await LockSession.acquire(connectionConfig(database.url), 'suprsync')
  expect(owner).not.toBeNull()
  const status = parse(await installation.run('status', '--json'))
  expect(status.owner).toMatchObject({ running: true })
  expect(codes(status)[0]).toBe('not_streaming')
})

describe('what is out of reach', () => {
  test('the source: the state is still shown, exit code 1', async () => {
    await using database = await createTestDatabase()
    await seedAll(database)
    await using installation = await install({
      database,
      suprsendUrl: 'http://127.0.0.1:9',
      sourceUrl: `postgres://${CANARY}:${CANARY}@127.0.0.1:9/app`,
      stateUrl: database.url,
    })
    const json = await installation.run('status', '--json')
    expect(json.code).toBe(1)
    const status = parse(json)
    expect(status).toMatchObject({
      source: { reachable: false },
      slot: null,
      suprsend: { ok: false },
      failed: { total: 3 },
    })
    expect(codes(status).slice(0, 3)).toEqual(['source_unreachable', 'not_running', 'suprsend_unreachable'])
    const text = await installation.run('status')
    expect(text.code).toBe(1)
    expect(text.stdout).toMatch(/^source +cannot be read$/m)
    expect(json.stdout + text.stdout + text.stderr).not.toContain(CANARY)
  })

  test('the state, for a role without privileges: exit code 1', async () => {
    await using database = await createTestDatabase()
    await seedAll(database)
    const role = await database.createRole()
    const stateUrl = database.urlAs(role)
    await using installation = await install({ database, suprsendUrl: emulator.url, sourceUrl: database.url, stateUrl })
    const denied = await installation.run('status', '--json')
    expect(denied.code).toBe(1)
    expect(codes(parse(denied))).toEqual(['state_denied'])
    await database.query(`GRANT USAGE ON SCHEMA suprsync TO ${role}`)
    const unreadable = await installation.run('status', '--json')
    expect(unreadable.code).toBe(1)
    expect(codes(parse(unreadable))).toEqual(['state_unreadable'])
    await database.query(`GRANT SELECT ON ALL TABLES IN SCHEMA suprsync TO ${role}`)
    expect(await installation.run('status')).toMatchObject({ code: 0 })
  })

  test('a slot that is gone or stands ahead of the checkpoint', async () => {
    await using database = await createTestDatabase()
    await seedAll(database)
    await using installation = await install({ database, suprsendUrl: emulator.url })
    await database.query('SELECT pg_drop_replication_slot($1)', [database.slot])
    expect(codes(parse(await installation.run('status', '--json')))[0]).toBe('slot_missing')
    await makeSlot(database)
    expect(codes(parse(await installation.run('status', '--json')))[0]).toBe('slot_ahead')
  })
})

describe('counts', () => {
  /** Of this session since its figures were last given away: the migration's are among them. */
  const fullScans = async (transaction: Kysely<Schema>): Promise<number> => {
    const { rows } = await sql<{ full: number }>`
      select coalesce(sum(seq_scan), 0)::int as full from pg_stat_xact_user_tables
      where relname in ('profile', 'source_row')`.execute(transaction)
    return rows[0]?.full ?? Number.NaN
  }

  test('walk their partial indexes however many users there are, stop at the limit and say so', async () => {
    await using database = await createTestDatabase()
    const db = await makeState(database)
    try {
      await database.query(
        `INSERT INTO suprsync.profile (distinct_id, bucket, changed_at, due_at, failure, change_lsn)
         SELECT n::text, 0, now(), CASE WHEN n % 2000 < 2 THEN now() END,
           CASE WHEN n % 2000 IN (1, 2) THEN '{"code": "too_large"}'::jsonb END, '0/1' FROM generate_series(1, 20000) n`,
      )
      await database.query(
        `INSERT INTO suprsync.source_row (source, key, distinct_id, part, reasons, duplicate, era)
         SELECT 't', n::text, n::text, CASE WHEN n % 2000 <> 1 THEN '{}'::jsonb END,
           CASE n % 2000 WHEN 1 THEN '[{"key": "distinct_id", "code": "invalid_distinct_id"}]'::jsonb
             WHEN 2 THEN '[{"key": "$sms", "code": "invalid_e164"}]'::jsonb END, n % 2000 = 3, 1
         FROM generate_series(1, 20000) n`,
      )
      await database.query('ANALYZE suprsync.profile, suprsync.source_row')
      const scans = await readBounded(db, 10_000, async (transaction) => {
        const before = await fullScans(transaction)
        expect(await countPending(transaction, 1_000)).toMatchObject({
          total: 20,
          dueNow: 20,
          atLeast: false,
          retrying: { byCode: [{ code: 'too_large', count: 10 }], atLeast: false },
        })
        expect(await countFailed(transaction, 1_000)).toEqual({
          atLeast: false,
          byCode: ['duplicate_distinct_id', 'invalid_distinct_id', 'too_large'].map((code) => ({ code, count: 10 })),
        })
        expect(await countLeftOut(transaction, 1_000)).toEqual({
          atLeast: false,
          byKey: [{ key: '$sms', code: 'invalid_e164', count: 10 }],
        })
        expect(await countPending(transaction, 15)).toMatchObject({ total: 15, atLeast: true })
        expect(await countFailed(transaction, 10)).toMatchObject({ atLeast: true })
        expect(await countLeftOut(transaction, 5)).toEqual({
          atLeast: true,
          byKey: [{ key: '$sms', code: 'invalid_e164', count: 5 }],
        })
        return (await fullScans(transaction)) - before
      })
      expect(scans).toBe(0)
      const users = (limit: number) => readBounded(db, 10_000, (transaction) => countUsers(transaction, limit))
      expect(await users(20_000)).toEqual({ count: 20_000, estimated: false })
      expect(await users(100)).toEqual({ count: 20_000, estimated: true })
    } finally {
      await db.destroy()
    }
  })

  test('take no longer than they may, and write nothing', async () => {
    await using database = await createTestDatabase()
    const db = await makeState(database)
    try {
      expect(await readBounded(db, 50, (transaction) => sql`select pg_sleep(30)`.execute(transaction))).toBeNull()
      await expect(
        readBounded(db, 1_000, (transaction) => sql`delete from profile`.execute(transaction)),
      ).rejects.toMatchObject({ code: '25006' })
      // What was set for one reading is not there for the next statement of the session.
      const { rows } = await sql<{ statement_timeout: string }>`show statement_timeout`.execute(db)
      expect(rows).toEqual([{ statement_timeout: '1min' }])
    } finally {
      await db.destroy()
    }
  })
})

test('the checkpoint has moved when its position has, not when something else was written', async () => {
  await using database = await createTestDatabase()
  const db = await makeState(database)
  try {
    await seedCheckpoint(database, parseLsn('0/1000'))
    const { state, lsn } = await takeOver(db)
    const sinceMs = async () => (await readCheckpointReport(db))?.sinceAdvancedMs ?? Number.NaN
    const nothing = { rows: [], seen: null, profiles: [], marks: [], lane: 1 as const, truncate: null, backfill: null }
    await state.commit('t', { ...nothing, lsn: null }, () => undefined)
    await state.advance(lsn)
    expect(await sinceMs()).toBeGreaterThanOrEqual(90_000)
    await state.advance(parseLsn('0/1001'))
    expect(await sinceMs()).toBeLessThan(80_000)
  } finally {
    await db.destroy()
  }
})

describe('readings', () => {
  const never = new AbortController().signal

  test('hold what status counts', async () => {
    await using database = await createTestDatabase()
    await seedAll(database)
    const db = await makeState(database)
    try {
      const read = collectReadings({ state: db, source: database.pool, slot: database.slot, log: SILENT_LOGGER })
      const readings = await read(never)
      expect(readings).toMatchObject({
        profilesPending: 3,
        profilesFailed: { invalid_value: 1, duplicate_distinct_id: 1, invalid_distinct_id: 1 },
      })
      expect(readings.oldestPendingAgeMs).toBeGreaterThanOrEqual(900_000)
      expect(readings.slotLagBytes).toBeGreaterThan(0)
      expect(readings.slotLagMs).toBeGreaterThanOrEqual(90_000)
      expect(readings.slotRetainedWalBytes).toBeGreaterThanOrEqual(readings.slotLagBytes ?? Number.NaN)
    } finally {
      await db.destroy()
    }
  })

  test('a source that does not answer costs its own gauges only, and is asked once', async () => {
    await using database = await createTestDatabase()
    await seedAll(database)
    const db = await makeState(database)
    let asked = 0
    const source = {
      query: () => {
        asked += 1
        return new Promise(() => undefined)
      },
    }
    try {
      const read = collectReadings({ state: db, source: source as never, slot: database.slot, log: SILENT_LOGGER })
      const abort = new AbortController()
      const first = read(abort.signal)
      const second = read(never)
      await until(async () => asked > 0, { what: 'the source to be asked' })
      expect(await second).toMatchObject({ profilesPending: 3 })
      const readings = await first
      expect(readings).toMatchObject({ profilesPending: 3 })
      expect(readings).not.toHaveProperty('slotLagBytes')
      expect(asked).toBe(1)
    } finally {
      await db.destroy()
    }
  })

  test('without a state only the slot is known', async () => {
    await using database = await createTestDatabase()
    await makeSlot(database)
    const db = await makeState(database)
    try {
      await database.query('DROP SCHEMA suprsync CASCADE')
      const read = collectReadings({ state: db, source: database.pool, slot: database.slot, log: SILENT_LOGGER })
      const readings = await read(never)
      expect(Object.keys(readings).toSorted()).toEqual(['slotLagBytes', 'slotRetainedWalBytes'])
    } finally {
      await db.destroy()
    }
  })
})
