// Another mapping file: only users who really change are told, what is mapped no more is taken back, a table that is mapped no
// more or anew too, through a kill in the middle; and SIGHUP does it without a restart, or says why not.
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { CHILD_TABLES, CHILDREN } from '../support/child-load.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, type ServiceOptions, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const NAMED = { profile: { $email: 'email', name: 'name' } }
const OTHER = { source: { table: 'public.others' } }
const NOTED = { profile: { $email: 'email', note: 'note' } }
const MSG = 'the mapping differs from the last one; these tables are read and mapped anew'

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly start: (config: JsonObject, more?: Partial<ServiceOptions>) => Promise<Service>
  readonly converged: (service: Service) => Promise<void>
}

/** Of 300 users a tenth has a note. */
async function world(run: (world: World) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE TABLE users (id int PRIMARY KEY, email text, name text, note text);
    INSERT INTO users SELECT n, 'u' || n || '@example.com', CASE WHEN n % 10 = 0 THEN 'User ' || n END, CASE WHEN n % 10 = 0 THEN 'note' END
    FROM generate_series(1, 300) n;
    ${CHILD_TABLES};
    INSERT INTO user_devices SELECT n, n, 'android', 'token-' || n FROM generate_series(1, 30) n`)
  await using emulator = await startEmulator()
  const service = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  await run({
    database,
    emulator,
    start: (config, more) => startService({ ...service, ...more, config }),
    converged: async (service) => {
      await service.waitStreaming()
      await until(async () => (await owed(database)) === 0, { what: 'the backfills' })
      await expectConverged({ database, emulator, config: service.config })
    },
  })
}

async function owed(database: TestDatabase): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM suprsync.backfill WHERE finished_at IS NULL',
  )
  return row?.count ?? -1
}

function calls(emulator: Emulator): { readonly [method: string]: number } {
  // A start asks whether SuprSend answers at all.
  const counted = Object.entries(emulator.stats().calls).filter(([method]) => method !== 'GET')
  return Object.fromEntries(
    counted.map(([method, byStatus]) => [method, Object.values(byStatus).reduce((a, b) => a + b, 0)]),
  )
}

describe('the mapping of the next start', () => {
  test('differs: only users who change are sent, and what is mapped no more is unset', () =>
    world(async ({ database, emulator, start, converged }) => {
      {
        await using first = await start(NAMED)
        await converged(first)
        await first.stop()
      }
      expect(calls(emulator)).toEqual({ POST: 300 })
      {
        await using second = await start(NOTED)
        await converged(second)
        expect(second.log().find(({ msg }) => msg === MSG)).toMatchObject({ tables: ['public.users'] })
        await second.stop()
      }
      expect(calls(emulator)).toEqual({ POST: 300, PATCH: 30 })
      expect(emulator.users().get('10')?.properties).toEqual({ note: 'note' })
      await using third = await start(NOTED)
      await third.waitStreaming()
      expect(third.log().find(({ msg }) => msg === MSG)).toBeUndefined()
      expect(await owed(database)).toBe(0)
      expect(calls(emulator)).toEqual({ POST: 300, PATCH: 30 })
    }))

  test('differs, and the process is killed while it maps anew', () =>
    world(async ({ emulator, start, converged }) => {
      {
        await using first = await start(NAMED)
        await converged(first)
        await first.stop()
      }
      await using killed = await start(NOTED, { failPoint: 'in_state_transaction:1' })
      await killed.exited
      await using last = await start(NOTED)
      await converged(last)
      expect(emulator.users().get('10')?.properties).toEqual({ note: 'note' })
    }))

  test('identifies users by another column: the former ones are deleted', () =>
    world(async ({ database, emulator, start, converged }) => {
      await database.query("ALTER TABLE users ADD code text NOT NULL DEFAULT ''; UPDATE users SET code = 'c' || id")
      {
        await using first = await start(NAMED)
        await converged(first)
        await first.stop()
      }
      await using second = await start({ ...NAMED, user: { distinct_id: 'code' } })
      await converged(second)
      expect([...emulator.users().keys()].every((id) => id.startsWith('c'))).toBe(true)
    }))

  test('leaves a child table out, and takes it in again', () =>
    world(async ({ database, emulator, start, converged }) => {
      const token = () => emulator.users().get('7')?.channels.$androidpush
      {
        await using first = await start({ ...NAMED, children: CHILDREN })
        await converged(first)
        expect(token()).toEqual(['token-7'])
        await first.stop()
      }
      {
        await using second = await start(NAMED)
        await second.waitFor('the table to be left out', ({ table }) => table === 'public.user_devices')
        const rows = () => database.query("SELECT FROM suprsync.source_row WHERE source <> 'public.users'")
        await until(async () => (await rows()).length === 0, { what: 'its rows to be forgotten' })
        await converged(second)
        expect(token()).toBeUndefined()
        // Seen by nobody: the table is read again when it comes back.
        await database.query(
          "DELETE FROM user_devices WHERE id < 10; UPDATE user_devices SET token = 'new' WHERE id = 20",
        )
        await second.stop()
      }
      await using third = await start({ ...NAMED, children: CHILDREN })
      await converged(third)
      expect(token()).toBeUndefined()
      expect(emulator.users().get('20')?.channels.$androidpush).toEqual(['new'])
    }))
})

describe('SIGHUP', () => {
  test('goes on with the new file, and while that one is at work with the next', () =>
    world(async ({ emulator, start, database }) => {
      await using service = await start(NAMED)
      await service.waitStreaming()
      await service.reload(NOTED)
      await service.waitFor('the reload', ({ msg }) => msg.startsWith('the configuration was read again'))
      for (const { table } of CHILDREN) await database.query(`ALTER PUBLICATION suprsync ADD TABLE ONLY ${table}`)
      await service.reload({ ...NOTED, children: CHILDREN })
      const shown = () => emulator.users().get('10')
      await until(() => shown()?.properties.note === 'note' && shown()?.channels.$androidpush?.length === 1, {
        what: 'the new mapping',
      })
      expect(shown()?.properties).toEqual({ note: 'note' })
      await database.query("UPDATE users SET note = 'live' WHERE id = 10")
      await until(() => shown()?.properties.note === 'live', { what: 'the live change' })
      expect(service.hasExited).toBe(false)
    }))

  test.each<[string, JsonObject, RegExp]>([
    ['no configuration', { profile: { $emial: 'email' } }, /unknown key/],
    ['a mapping that does not fit the table', { profile: { $email: 'emial' } }, /no column "emial"/],
    ['another slot', { ...NAMED, source: { slot: 'elsewhere' } }, /source\.slot cannot change while/],
    ['another state', { ...NAMED, state: { schema: 'elsewhere' } }, /state\.schema cannot change while/],
    ['a table that is not the one of the state', { ...NAMED, ...OTHER, recovery: 'manual' }, /replaced by another/],
  ])('%s: the former one stays in force, and the log says why', (_, config, why) =>
    world(async ({ emulator, start, database }) => {
      await database.query('CREATE TABLE others (id int PRIMARY KEY, email text, name text)')
      await using service = await start(NAMED)
      await service.waitStreaming()
      await database.query('ALTER PUBLICATION suprsync ADD TABLE ONLY others')
      await service.reload(config)
      await service.waitFor('the refusal', ({ msg }) => msg.startsWith('the new configuration cannot be used'))
      expect(service.log().some((line) => why.test(JSON.stringify(line).replaceAll('\\"', '"')))).toBe(true)
      await database.query("UPDATE users SET name = 'Still here' WHERE id = 10")
      await until(() => emulator.users().get('10')?.properties.name === 'Still here', { what: 'the former mapping' })
      await service.stop()
      expect(service.hasExited).toBe(true)
    }),
  )
})
