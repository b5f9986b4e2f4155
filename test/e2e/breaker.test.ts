// The circuit breaker (DESIGN §8): what a TRUNCATE, a wrong `when`, a bad migration or a sweep would delete is held until a person
// has looked; everything else is sent meanwhile; `approve` sends it, `reject` keeps the users.
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type Installation, install } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, type ServiceOptions, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const USERS = 200
const SAFETY = { breaker: { share: 0.1, min_users: 10, window: '10m' } }

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly command: Installation['run']
  readonly start: (config?: JsonObject, more?: Partial<ServiceOptions>) => Promise<Service>
  readonly settled: () => Promise<void>
  readonly held: () => Promise<number>
}

async function world(run: (world: World) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, USERS)
  await database.query('CREATE TABLE devices (id bigint PRIMARY KEY, user_id bigint, token text)')
  await database.query(`INSERT INTO devices SELECT n, n, 'token-' || n FROM generate_series(1, ${USERS}) n`)
  await using emulator = await startEmulator()
  await using installation = await install({ database, suprsendUrl: emulator.url })
  const base = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  const children = [{ table: 'devices', user: 'user_id', profile: { $androidpush: 'token' } }]
  await run({
    database,
    emulator,
    command: installation.run,
    start: (config = {}, more = {}) =>
      startService({ ...base, ...more, config: { safety: SAFETY, children, ...config } }),
    settled: async () => {
      await until(
        async () => (await database.query('SELECT FROM suprsync.profile WHERE due_at IS NOT NULL')).length === 0,
        { what: 'nothing to be due', timeoutMs: 20_000 },
      )
    },
    held: async () => (await database.query('SELECT FROM suprsync.profile WHERE held')).length,
  })
}

const status = async (command: World['command']) => {
  const { stdout } = await command('status', '--json')
  return JSON.parse(stdout) as {
    readonly breaker: JsonObject
    readonly problems: readonly { readonly code: string }[]
  }
}

test('TRUNCATE: nobody is deleted, upserts flow, it is said everywhere; approve deletes them', () =>
  world(async ({ database, emulator, command, start, settled, held }) => {
    await using service = await start()
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    await database.query('TRUNCATE users')
    await until(async () => (await held()) === USERS, { what: 'everybody to be held' })
    await service.waitFor('the alarm', ({ code, level }) => code === 'breaker_open' && level === 'error')
    await until(async () => (await service.readiness()).codes.includes('breaker_open'), { what: '/readyz to say so' })
    expect((await service.metrics()).get('suprsync_breaker_open')).toBe(1)
    expect((await service.metrics()).get('suprsync_profiles_held')).toBe(USERS)
    const { breaker, problems } = await status(command)
    expect(breaker).toMatchObject({ open: true, losses: USERS, held: { deletions: USERS, channels: 0 } })
    expect(problems.map(({ code }) => code)).toContain('breaker_open')

    // New users, and users who come back, are sent as ever.
    await database.query(
      "INSERT INTO users (id, email, phone) VALUES (1001, 'new@example.com', NULL), (7, 'back@example.com', '+919877777777')",
    )
    await until(() => emulator.users().get('7')?.channels.$email?.[0] === 'back@example.com', { what: 'user 7' })
    await until(() => emulator.users().has('1001'), { what: 'user 1001' })
    await settled()
    expect(emulator.users().size).toBe(USERS + 1)
    expect(await held()).toBe(USERS - 1)
    // A restart changes nothing.
    await service.stop()
    await using second = await start()
    await second.waitStreaming()
    await settled()
    expect(emulator.users().size).toBe(USERS + 1)

    expect(await command('approve')).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') })
    expect(JSON.parse((await command('approve', '--yes', '--json')).stdout)).toEqual({ open: false, users: USERS - 1 })
    await until(() => emulator.users().size === 2, { what: 'the others to be deleted', timeoutMs: 20_000 })
    await expectConverged({ database, emulator, config: second.config })
    await until(async () => (await second.readiness()).status === 200, { what: 'to be ready again' })
    expect((await status(command)).breaker).toEqual({ open: false })
    expect((await command('approve', '--yes')).stdout).toContain('nothing is held')
  }))

test('a child table is emptied: other changes of these users are sent, the channel stays; approve removes it', () =>
  world(async ({ database, emulator, command, start, settled, held }) => {
    await using service = await start()
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    await database.query('TRUNCATE devices')
    await until(async () => (await held()) === USERS, { what: 'everybody to be held' })
    await settled()
    await database.query("UPDATE users SET name = 'Changed', email = 'moved@example.com' WHERE id = 5")
    await until(() => emulator.users().get('5')?.properties.name === 'Changed', { what: 'the name' })
    await settled()
    expect(emulator.users().get('5')?.channels).toMatchObject({
      $email: ['moved@example.com'],
      $androidpush: ['token-5'],
    })
    const calls = JSON.stringify(emulator.stats().calls)
    await database.query("UPDATE users SET name = 'Again' WHERE id = 6")
    await until(() => emulator.users().get('6')?.properties.name === 'Again', { what: 'the name' })
    await settled()
    // Nothing is sent again and again meanwhile.
    expect(JSON.stringify(emulator.stats().calls)).not.toBe(calls)
    expect((await status(command)).breaker).toMatchObject({ held: { deletions: 0, channels: USERS } })
    await command('approve', '--yes')
    await expectConverged({ database, emulator, config: service.config })
    expect(emulator.users().get('5')?.channels).not.toHaveProperty('$androidpush')
  }))

test('a wrong when: rejected, and with the right one again nobody was touched', () =>
  world(async ({ database, emulator, command, start, settled, held }) => {
    {
      await using service = await start()
      await service.waitStreaming()
      await expectConverged({ database, emulator, config: service.config })
      await service.reload({ safety: SAFETY, user: { distinct_id: 'id', when: 'phone == null' } })
      await until(async () => (await held()) > USERS / 2, { what: 'the users to be held', timeoutMs: 20_000 })
      await until(
        async () => (await database.query('SELECT FROM suprsync.backfill WHERE finished_at IS NULL')).length === 0,
        { what: 'the reading to end' },
      )
      await settled()
      expect(emulator.users().size).toBeGreaterThanOrEqual(USERS * 0.85)
      await command('reject', '--yes')
      await settled()
      expect(await held()).toBe(0)
      const left = emulator.users().size
      await database.query("UPDATE users SET note = 'unmapped' WHERE id < 50")
      await settled()
      expect(emulator.users().size).toBe(left)
      await service.stop()
    }
    await using service = await start()
    await service.waitStreaming()
    await until(
      async () => (await database.query('SELECT FROM suprsync.backfill WHERE finished_at IS NULL')).length === 0,
      { what: 'the reading to end' },
    )
    await expectConverged({ database, emulator, config: service.config })
  }))

test('users who were deleted in a gap, too many to be believed, are held by the sweep', () =>
  world(async ({ database, emulator, command, start, settled, held }) => {
    {
      await using service = await start()
      await service.waitStreaming()
      await expectConverged({ database, emulator, config: service.config })
      await service.stop()
    }
    await database.query(`SELECT pg_drop_replication_slot('${database.slot}')`)
    await database.query('DELETE FROM users WHERE id <= 150')
    await using service = await start()
    await service.waitStreaming()
    await until(async () => (await held()) === 150, { what: 'the deleted to be held', timeoutMs: 20_000 })
    await settled()
    expect(emulator.users().size).toBe(USERS)
    await command('approve', '--yes')
    await expectConverged({ database, emulator, config: service.config })
    expect(emulator.users().size).toBe(50)
  }))

test.each([
  ['off', { safety: { breaker: 'off' } }],
  ['of fewer than min_users', { safety: { breaker: { min_users: 1_000 } } }],
  ['with on_delete: keep, where nothing is deleted', { user: { distinct_id: 'id', on_delete: 'keep' } }],
])('it stays closed: %s', (_, config) =>
  world(async ({ database, emulator, start, settled, held }) => {
    await using service = await start(config)
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    await database.query('TRUNCATE users')
    await until(
      async () => (await database.query('SELECT FROM suprsync.profile WHERE desired IS NOT NULL')).length === 0,
      { what: 'the rows to be gone' },
    )
    await settled()
    expect(await held()).toBe(0)
    expect(emulator.users().size).toBe('user' in config ? USERS : 0)
  }),
)

test('an edit that replaces a value, and a few deletions, are no losses to speak of', () =>
  world(async ({ database, emulator, start, held }) => {
    await using service = await start()
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    await database.query("UPDATE users SET email = 'other' || id || '@example.com', version = nextval('user_version')")
    await database.query('DELETE FROM users WHERE id <= 20')
    await expectConverged({ database, emulator, config: service.config })
    expect(await held()).toBe(0)
    expect(emulator.users().size).toBe(USERS - 20)
  }))
