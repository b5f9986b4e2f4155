// `suprsync teardown` as it is run: what it says first, what it takes away and what it leaves, and that a running service keeps it all.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { STATE_TABLES } from '../../src/state/teardown.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { runCommand } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { makeState } from '../support/seeded-state.ts'
import { type ServiceOptions, startService } from '../support/service.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

interface World {
  readonly database: TestDatabase
  readonly state: TestDatabase
  readonly left: () => Promise<readonly unknown[]>
  readonly settled: (more?: Partial<ServiceOptions>) => ReturnType<typeof startService>
  readonly users: () => number
}

async function world(run: (world: World) => Promise<void>, { elsewhere = false } = {}): Promise<void> {
  await using database = await createTestDatabase()
  await using other = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 5)
  await using emulator = await startEmulator()
  const state = elsewhere ? other : database
  await run({
    database,
    state,
    left: async () => [
      (await database.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [database.slot])).length,
      (await database.query("SELECT FROM pg_publication WHERE pubname = 'suprsync'")).length,
      (await state.query("SELECT FROM pg_namespace WHERE nspname = 'suprsync'")).length,
    ],
    settled: async (more) => {
      const service = await startService({
        databaseUrl: database.url,
        emulatorUrl: emulator.url,
        slot: database.slot,
        config: { state: { url: state.url } },
        ...more,
      })
      await service.waitStreaming()
      await expectConverged({ database, emulator, config: service.config, state })
      return service
    },
    users: () => emulator.users().size,
  })
}

test.each([{ elsewhere: false }, { elsewhere: true }])(
  'slot, publication and state go, after it was said; again, there is nothing left (%j)',
  (where) =>
    world(async ({ left, settled, users }) => {
      await using service = await settled()
      const file = service.config.file
      expect(await runCommand(['teardown', '--config', file, '--yes'])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('service_running'),
      })
      await service.stop()
      const asked = await runCommand(['teardown', '--config', file])
      expect(asked.code).toBe(2)
      expect(asked.stdout).toMatch(/drop the replication slot[\s\S]*drop the publication[\s\S]*5 users/)
      expect(await left()).toEqual([1, 1, 1])
      const kept = await runCommand(['teardown', '--config', file, '--yes', '--keep-state', '--json'])
      expect(JSON.parse(kept.stdout)).toMatchObject({ done: [{ kind: 'drop_slot' }, { kind: 'drop_publication' }] })
      expect(await left()).toEqual([0, 0, 1])
      expect((await runCommand(['teardown', '--config', file, '--yes'])).code).toBe(0)
      expect(await left()).toEqual([0, 0, 0])
      expect((await runCommand(['teardown', '--config', file])).stdout).toContain('nothing to take away')
      expect(users()).toBe(5)
    }, where),
)

test('every table of the state is known as ours', async () => {
  await using database = await createTestDatabase()
  await (await makeState(database)).destroy()
  const tables = await database.query<{ name: string }>(
    "SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'suprsync'::regnamespace AND relkind = 'r' ORDER BY 1",
  )
  expect(tables.map(({ name }) => name)).toEqual([...STATE_TABLES])
})

test('what others use is left', () =>
  world(async ({ database, left, settled }) => {
    await database.query('CREATE TABLE orders (id int PRIMARY KEY)')
    await using service = await settled()
    await database.query('ALTER PUBLICATION suprsync ADD TABLE orders; CREATE TABLE suprsync.notes (id int)')
    await service.stop()
    const { stdout } = await runCommand(['teardown', '--config', service.config.file, '--yes', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      done: [{ kind: 'drop_slot' }],
      left: [{ why: expect.stringContaining('public.orders') }, { why: expect.stringContaining('notes') }],
    })
    expect(await left()).toEqual([0, 1, 1])
  }))

test('a slot that somebody made anew: it goes, or its WAL would gather when nobody knows it any more', () =>
  world(async ({ database, left, settled }) => {
    await using service = await settled()
    await service.stop()
    await database.query(`SELECT pg_drop_replication_slot('${database.slot}')`)
    await database.query('DELETE FROM users WHERE id = 1')
    await database.query(`SELECT pg_create_logical_replication_slot('${database.slot}', 'pgoutput')`)
    const { code, stdout } = await runCommand(['teardown', '--config', service.config.file, '--yes'])
    expect(code).toBe(0)
    expect(stdout).toContain('which somebody made anew')
    expect(await left()).toEqual([0, 0, 0])
  }))
