// `suprsync backfill`: rows are read again on demand beside the stream (P3), by the service that runs or the next one; only users who
// come out different are told; it shows how far it is, keeps to its rate, and can be called off.
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type Run, runCommand } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, startWorkload } from '../support/workload.ts'

const USERS = 120

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly start: (config?: JsonObject) => Promise<Service>
  readonly backfill: (service: Service, ...args: readonly string[]) => Promise<Run>
}

async function world(run: (world: World) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, USERS)
  await database.query(`
    CREATE TABLE devices (id bigint PRIMARY KEY, user_id bigint, token text);
    INSERT INTO devices SELECT n, 1 + n % ${USERS}, 'token-' || n FROM generate_series(1, ${2 * USERS}) n`)
  await using emulator = await startEmulator()
  const base = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  const children = [{ table: 'devices', user: 'user_id', profile: { $androidpush: 'token' } }]
  await run({
    database,
    emulator,
    start: (config = {}) => startService({ ...base, config: { children, ...config } }),
    backfill: (service, ...args) => runCommand(['backfill', '--config', service.config.file, ...args]),
  })
}

async function settled({ database, emulator }: World, service: Service): Promise<void> {
  await service.waitStreaming()
  await until(
    async () => (await database.query('SELECT FROM suprsync.backfill WHERE finished_at IS NULL')).length === 0,
    { what: 'no reading to be owed', timeoutMs: 20_000 },
  )
  await expectConverged({ database, emulator, config: service.config })
}

/** State forgets what row 5 holds, and believes in a row that is not there: as if changes had been missed. */
async function forget(database: TestDatabase): Promise<void> {
  await database.query(`
    UPDATE suprsync.source_row SET part = '{"channels": {}, "properties": {"name": "stale"}}', part_hash = 'x', row_hash = 'x'
    WHERE source = 'public.users' AND key = '5';
    UPDATE suprsync.profile SET desired = '{"channels": {}, "properties": {"name": "stale"}}', desired_hash = 'x', synced_hash = 'x',
      synced = '{"channels": {}, "properties": {"name": "stale"}}' WHERE distinct_id = '5'`)
}

async function believe(database: TestDatabase, emulator: Emulator): Promise<void> {
  await database.query(`
    INSERT INTO suprsync.source_row (source, key, distinct_id, part, part_hash, era)
    SELECT 'public.users', '999', '999', part, part_hash, 0 FROM suprsync.source_row WHERE source = 'public.users' AND key = '7';
    INSERT INTO suprsync.profile (distinct_id, bucket, desired, desired_hash, synced, synced_hash, changed_at, change_lsn)
    SELECT '999', bucket, desired, desired_hash, synced, synced_hash, changed_at, '0/0' FROM suprsync.profile WHERE distinct_id = '7'`)
  await fetch(`${emulator.url}/v1/user/999/`, {
    method: 'POST',
    headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Ghost' }),
  })
  expect(emulator.users().has('999')).toBe(true)
}

const tables = ({ stdout }: Run) =>
  (JSON.parse(stdout) as { readonly tables: readonly { readonly table: string; readonly rows_read: number }[] }).tables

const writes = (emulator: Emulator) =>
  Object.entries(emulator.stats().calls)
    .filter(([method]) => method !== 'GET')
    .flatMap(([, byStatus]) => Object.values(byStatus))
    .reduce((a, b) => a + b, 0)

describe('while the service runs', () => {
  test('every row, children first: what was missed is found, rows that are gone as well, nobody else is told', () =>
    world(async (it) => {
      const { database, emulator, start, backfill } = it
      await using service = await start()
      await settled(it, service)
      await forget(database)
      await believe(database, emulator)
      const before = writes(emulator)
      const done = await backfill(service, '--json')
      expect(done).toMatchObject({ code: 0, stderr: '' })
      expect(tables(done)).toMatchObject([
        { table: 'public.devices', rows_read: 2 * USERS, finished: true, failure: null },
        { table: 'public.users', rows_read: USERS, finished: true, failure: null },
      ])
      await expectConverged({ database, emulator, config: service.config })
      expect(emulator.users().has('999')).toBe(false)
      expect(writes(emulator) - before).toBe(2)
      const said = await backfill(service)
      expect(said.stdout).toContain(`public.users: ${USERS} rows read`)
    }))

  test('under load nothing goes back', () =>
    world(async (it) => {
      const { database, emulator, start, backfill } = it
      await using service = await start()
      await settled(it, service)
      await using load = startWorkload({ database, seed: 5, users: USERS })
      for (let round = 0; round < 4; round += 1) expect((await backfill(service, '--json')).code).toBe(0)
      await load.stop()
      await expectConverged({ database, emulator, config: service.config })
    }))

  test('--user and --where read their rows and the child rows of these users alone', () =>
    world(async (it) => {
      const { database, emulator, start, backfill } = it
      await using service = await start()
      await settled(it, service)
      await forget(database)
      const one = await backfill(service, '--user', '5', '--json')
      expect(tables(one).map(({ rows_read }) => rows_read)).toEqual([2, 1])
      await expectConverged({ database, emulator, config: service.config })
      const some = await backfill(service, '--where', "id BETWEEN 10 AND 19 -- it's a comment", '--json')
      expect(tables(some).map(({ rows_read }) => rows_read)).toEqual([20, 10])
      expect(tables(await backfill(service, '--user', '12345', '--json')).map(({ rows_read }) => rows_read)).toEqual([
        0, 0,
      ])
    }))

  test('a condition that PostgreSQL does not take is refused; one that fails on a row ends alone', () =>
    world(async (it) => {
      const { database, emulator, start, backfill } = it
      await using service = await start()
      await settled(it, service)
      for (const where of ['emial IS NULL', 'id =', "id = 'x'"]) {
        expect(await backfill(service, '--where', where)).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('where_invalid'),
        })
      }
      expect(await backfill(service, '--where', 'true', '--user', '1')).toMatchObject({ code: 2 })
      // No index serves it, and each row takes its time: it is walked through, and nobody is kept waiting.
      const slow = await backfill(
        service,
        '--where',
        'CASE WHEN id % 4 = 0 THEN pg_sleep(0.1) IS NOT NULL END',
        '--json',
      )
      expect(slow.code).toBe(0)
      expect(service.log().some(({ msg }) => msg.startsWith('no index serves the condition'))).toBe(true)
      expect(service.log().filter(({ msg }) => msg === 'interrupted; trying again')).toEqual([])
      for (const [where, code] of [
        ['10 / (id - 50) > 0', '22012'],
        ['id = (SELECT user_id FROM devices)', '21000'],
      ] as const) {
        expect(await backfill(service, '--where', where)).toMatchObject({
          code: 1,
          stdout: expect.stringContaining(code),
        })
      }
      await database.query(`INSERT INTO suprsync.backfill (era, source, reason, sweep, request)
        VALUES (1, 'public.others', 'requested', true, gen_random_uuid())`)
      const refused = "SELECT FROM suprsync.backfill WHERE failure = 'table_not_followed' AND finished_at IS NOT NULL"
      await until(async () => (await database.query(refused)).length === 1, { what: 'a table of another file' })
      await database.query("UPDATE users SET name = 'after' WHERE id = 1")
      await expectConverged({ database, emulator, config: service.config })
    }))

  test('kept to its rate, seen in status, called off; live edits go first', () =>
    world(async (it) => {
      const { database, emulator, start, backfill } = it
      await using service = await start()
      await settled(it, service)
      await service.reload({
        children: [{ table: 'devices', user: 'user_id', profile: { $androidpush: 'token' } }],
        backfill: { max_rows_per_second: 10 },
      })
      await service.waitFor('the next round', ({ msg }) => msg.includes('configuration'))
      const running = backfill(service, '--json')
      const status = async () =>
        (
          JSON.parse((await runCommand(['status', '--json', '--config', service.config.file])).stdout) as {
            readonly backfill: { readonly running: boolean; readonly reason: string; readonly rows_read: number }
          }
        ).backfill
      await until(async () => (await status()).rows_read > 0, { what: 'its first page', timeoutMs: 20_000 })
      expect(await status()).toMatchObject({ running: true, reason: 'requested' })
      await database.query("UPDATE users SET name = 'first' WHERE id = 3")
      await until(() => emulator.users().get('3')?.properties.name === 'first', { what: 'the live edit' })
      expect(await backfill(service, '--cancel')).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('Called off'),
      })
      const ended = await running
      expect(ended.code).toBe(1)
      expect(tables(ended)[0]).toMatchObject({ cancelled: true })
      expect(tables(ended)[0]?.rows_read).toBeLessThan(2 * USERS)
      // And the next one is read.
      expect(tables(await backfill(service, '--user', '5', '--json')).map(({ rows_read }) => rows_read)).toEqual([2, 1])
    }))
})

test('without a service it is noted, and the next start reads it; killed in the middle it goes on', () =>
  world(async (it) => {
    const { database, emulator, start, backfill } = it
    {
      await using service = await start()
      await settled(it, service)
      await service.stop()
      await forget(database)
      expect(await backfill(service)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('no service is running'),
      })
      await using killed = await startService({
        databaseUrl: database.url,
        emulatorUrl: emulator.url,
        slot: database.slot,
        failPoint: 'in_backfill:2',
        config: { children: [{ table: 'devices', user: 'user_id', profile: { $androidpush: 'token' } }] },
      })
      await killed.exited
    }
    await using service = await start()
    await settled(it, service)
    expect(
      await database.query("SELECT sum(rows_read)::int AS rows FROM suprsync.backfill WHERE reason = 'requested'"),
    ).toEqual([{ rows: 3 * USERS }])
  }))
