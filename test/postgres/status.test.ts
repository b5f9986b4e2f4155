// `suprsync status` as it is run: what it shows before, with and without a service, and that it prints no value of a profile.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatLsn, type Lsn } from '../../src/core/lsn.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { connectionConfig } from '../../src/postgres/connection.ts'
import { CaptureLock } from '../../src/state/capture-lock.ts'
import { createTestDatabase } from '../support/database.ts'
import { install, type Run, runCommand } from '../support/installation.ts'
import { CANARY, makeSlot, seedAll } from '../support/seeded-state.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

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
      parked: 0,
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
    /^backfill {4}250 of ~1,000 rows of public.users read \(first_start\)(, [\d,]+\/s, \w+ left)?, asked for \d+s ago$/m,
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
  await using other = await new CaptureLock({ connection: connectionConfig(database.url), schema: 'other' }).acquire()
  expect(other).not.toBeNull()
  expect(codes(parse(await installation.run('status', '--json')))[0]).toBe('not_running')
  await using owner = await new CaptureLock({
    connection: connectionConfig(database.url),
    schema: 'suprsync',
  }).acquire()
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
