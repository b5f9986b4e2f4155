// A mapping whose values come from elsewhere than before: of another table, or of the same one under another name. Who keeps a
// value is never seen without it, killed or not; and a table that comes back is read whole.
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, type ServiceOptions, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const USERS = 300

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly start: (config: JsonObject, more?: Partial<ServiceOptions>) => Promise<Service>
  /** Every user is as the tables say, and no reading is left. */
  readonly converged: (service: Service) => Promise<void>
  /** What was sent since the last time, by method. */
  readonly sent: () => JsonObject
}

/** Each user has two devices, on pages of their own, and an address that stands in `users` and in `user_emails`. */
async function world(run: (world: World) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE TABLE users (id int PRIMARY KEY, email text, name text);
    CREATE TABLE user_devices (id int PRIMARY KEY, user_id int, token text);
    CREATE TABLE user_emails (user_id int PRIMARY KEY, address text, name text);
    INSERT INTO users SELECT n, 'u' || n || '@example.com', 'User ' || n FROM generate_series(1, ${USERS}) n;
    INSERT INTO user_devices SELECT n, 1 + (n - 1) % ${USERS}, 'token-' || n FROM generate_series(1, ${2 * USERS}) n;
    INSERT INTO user_emails SELECT id, email, name FROM users`)
  await using emulator = await startEmulator()
  const service = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  let before: { readonly [method: string]: number } = {}
  await run({
    database,
    emulator,
    start: (config, more) => startService({ ...service, ...more, config }),
    converged: async (service) => {
      await service.waitStreaming()
      const left = () =>
        database.query(
          `
          SELECT FROM suprsync.backfill WHERE finished_at IS NULL UNION ALL SELECT FROM suprsync.mapped_table WHERE NOT source = ANY($1)`,
          [
            [service.config.source.table, ...service.config.mapping.children.map(({ table }) => table)].map(
              ({ schema, name }) => `${schema ?? 'public'}.${name}`,
            ),
          ],
        )
      await until(async () => (await left()).length === 0, { what: 'the readings' })
      await expectConverged({ database, emulator, config: service.config })
    },
    sent: () => {
      const now = Object.fromEntries(
        Object.entries(emulator.stats().calls)
          .filter(([method]) => method !== 'GET')
          .map(([method, byStatus]) => [method, Object.values(byStatus).reduce((a, b) => a + b, 0)]),
      )
      const since = Object.entries(now).map(([method, calls]) => [method, calls - (before[method] ?? 0)] as const)
      before = now
      return Object.fromEntries(since.filter(([, calls]) => calls > 0))
    },
  })
}

const DEVICES = { table: 'public.user_devices', user: 'user_id', profile: { $androidpush: 'token' } }
const EMAILS = { table: 'public.user_emails', user: 'user_id', profile: { $email: 'address' } }

async function first({ start, converged, sent }: World, config: JsonObject): Promise<void> {
  await using service = await start(config)
  await converged(service)
  expect(sent()).toEqual({ POST: USERS })
  await service.stop()
}

describe('nothing is sent when', () => {
  test('the users table has another name', () =>
    world(async (all) => {
      const { database, start, converged, sent } = all
      const mapping = { profile: { $email: 'email' }, children: [DEVICES] }
      await first(all, mapping)
      await database.query('ALTER TABLE users RENAME TO accounts')
      await using service = await start({ ...mapping, source: { table: 'public.accounts' } })
      await converged(service)
      expect(sent()).toEqual({})
      await database.query("DELETE FROM accounts WHERE id = 5; UPDATE accounts SET email = 'new@x.io' WHERE id = 6")
      await converged(service)
      expect(sent()).toEqual({ DELETE: 1, PATCH: 1 })
    }))

  test('a child table has another name', () =>
    world(async (all) => {
      const { database, start, converged, sent } = all
      const mapping = { profile: { $email: 'email' } }
      await first(all, { ...mapping, children: [DEVICES] })
      await database.query('ALTER TABLE user_devices RENAME TO devices')
      await using service = await start({ ...mapping, children: [{ ...DEVICES, table: 'public.devices' }] })
      await converged(service)
      expect(sent()).toEqual({})
    }))

  const byUser = {
    profile: { $email: 'email', name: 'name' },
    children: [{ ...EMAILS, profile: { plan: { const: 'x' } } }],
  }
  const byChild = {
    profile: {},
    children: [{ ...EMAILS, profile: { $email: 'address', name: 'name', plan: { const: 'x' } } }],
  }
  test.each<[string, JsonObject, JsonObject]>([
    ['users to a child table', byUser, byChild],
    ['a child table to users', byChild, byUser],
  ])('values move from %s, even if it is killed meanwhile; the breaker sees no loss', (_, from, to) =>
    world(async (all) => {
      const { start, converged, sent } = all
      const guarded = { ...to, safety: { breaker: { min_users: 10 } } }
      await first(all, from)
      for (const failPoint of ['in_backfill:1', 'in_backfill:1'] as const) {
        await using killed = await start(guarded, { failPoint })
        await killed.exited
      }
      await using service = await start(guarded)
      await converged(service)
      expect(sent()).toEqual({})
      expect((await service.readiness()).codes).not.toContain('breaker_open')
    }),
  )
})

test('who loses a value with the last reading is counted by the breaker then', () =>
  world(async (all) => {
    const { database, start, sent } = all
    await first(all, { profile: { $email: 'email', name: 'name' }, children: [DEVICES] })
    await database.query(
      'ALTER PUBLICATION suprsync ADD TABLE ONLY user_emails; DELETE FROM user_emails WHERE user_id <= 200',
    )
    await using service = await start({
      ...{ profile: { name: 'name' }, children: [DEVICES, EMAILS], safety: { breaker: { min_users: 10 } } },
    })
    await until(async () => (await service.readiness()).codes.includes('breaker_open'), { what: 'the breaker' })
    expect(await database.query('SELECT FROM suprsync.profile WHERE held')).toHaveLength(200)
    expect(sent()).toEqual({})
  }))

test('live edits meanwhile are sent, and those who lose a value for good lose it', () =>
  world(async (all) => {
    const { database, emulator, start, converged, sent } = all
    await first(all, { profile: { $email: 'email', name: 'name' }, children: [DEVICES] })
    await database.query('DELETE FROM user_emails WHERE user_id <= 3; DELETE FROM user_devices WHERE user_id = 4')
    await database.query('ALTER PUBLICATION suprsync ADD TABLE ONLY user_emails')
    await using service = await start({
      ...{ profile: { name: 'name' }, children: [DEVICES, EMAILS] },
      backfill: { max_rows_per_second: 300 },
    })
    await service.waitStreaming()
    await database.query("UPDATE users SET name = 'Live' WHERE id = 250")
    await until(() => emulator.users().get('250')?.properties.name === 'Live', { what: 'the live edit' })
    await converged(service)
    expect(sent()).toEqual({ PATCH: 5 })
    expect(emulator.history('250').every(({ state }) => state?.channels.$email?.length === 1)).toBe(true)
  }))

test('a child table that is left out, and comes back before it was forgotten, is read whole', () =>
  world(async (all) => {
    const { database, emulator, start, converged } = all
    const mapping = { profile: { $email: 'email' } }
    await first(all, { ...mapping, children: [DEVICES] })
    {
      // Forgotten last: the users are still being read when it comes back.
      await using second = await start({
        ...{ profile: { $email: 'email', name: 'name' }, backfill: { max_rows_per_second: 20 } },
      })
      await second.waitStreaming()
      await database.query(
        "DELETE FROM user_devices WHERE user_id < 10; UPDATE user_devices SET token = 'new' WHERE id = 20; UPDATE users SET name = 'Live' WHERE id = 250",
      )
      await until(() => emulator.users().get('250')?.properties.name === 'Live', { what: 'the checkpoint' })
      await second.kill9()
    }
    expect(await database.query("SELECT FROM suprsync.source_row WHERE source = 'public.user_devices'")).toHaveLength(
      2 * USERS,
    )
    await using service = await start({ ...mapping, children: [DEVICES] })
    await converged(service)
    expect(emulator.users().get('7')?.channels.$androidpush).toBeUndefined()
    expect(emulator.users().get('20')?.channels.$androidpush).toEqual(['token-320', 'new'])
  }))
