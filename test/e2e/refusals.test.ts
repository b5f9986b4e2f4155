// P1, P5: where going on would lose changes or harm somebody, the service says so by a stable code, sends nothing, and
// leaves everything as it found it: a slot that somebody else made, a publication that went missing, a table that was
// replaced, row security that was switched on.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { runCommand } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { type LogLine, type Service, startService } from '../support/service.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const USERS = 5

test('a slot of that name which this state has not made is left alone', async () => {
  await using world = await createWorld()
  const { database } = world
  await database.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [database.slot])
  const before = await slotPosition(database)
  await database.query("UPDATE users SET name = 'x'")
  await using service = await world.start()
  await brokenBy(service, 'slot_foreign')
  expect(await slotPosition(database)).toBe(before)
  expect(world.emulator.users().size).toBe(0)
  // Once it is gone the service goes on by itself.
  await database.query('SELECT pg_drop_replication_slot($1)', [database.slot])
  await expectConvergedSoon(world, service)
})

test('nor is it dropped when it keeps too much WAL, or by teardown', async () => {
  await using world = await createWorld()
  const { database } = world
  await database.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [database.slot])
  await using service = await world.start({ safety: { breaker: 'off', max_retained_wal: '1MB' } })
  await brokenBy(service, 'slot_foreign')
  await database.query("SELECT pg_logical_emit_message(true, 'fill', repeat('x', 2000000))")
  await service.waitFor('the warning', ({ code, msg }) => code === 'max_retained_wal' && msg.includes('not made it'))
  await service.stop()
  const { stdout } = await runCommand(['teardown', '--config', service.config.file, '--yes', '--json'])
  expect(JSON.parse(stdout).left).toContainEqual({
    name: `slot ${database.slot}`,
    why: expect.stringContaining('this state has not made it'),
  })
  expect(await slotPosition(database)).not.toBe('')
})

test.each([
  { what: 'a publication that went missing', sql: 'DROP PUBLICATION suprsync', code: 'publication_missing' },
  {
    what: 'another table under the name',
    sql: `ALTER TABLE users RENAME TO users_before; CREATE TABLE users (LIKE users_before INCLUDING ALL);
      ALTER PUBLICATION suprsync SET TABLE users`,
    code: 'table_replaced',
  },
])('by hand, $what stops capture instead of hiding a gap', async ({ sql, code }) => {
  await using world = await createWorld()
  const { database } = world
  {
    await using service = await world.start({ recovery: 'manual' })
    await expectConvergedSoon(world, service)
    await service.stop()
  }
  const calls = world.emulator.stats().requests
  await database.query(sql)
  await database.query("INSERT INTO users (id, email, name) VALUES (99, 'late@example.com', 'x')")
  await using service = await world.start({ recovery: 'manual' })
  await brokenBy(service, code)
  const answer = await service.readiness()
  expect(answer.status).toBe(503)
  expect(answer.codes).toEqual([code])
  // The harmless question whether the key is good is all that was asked.
  expect(world.emulator.stats().requests - calls).toBeLessThanOrEqual(1)
})

test('row security switched on while we run is an error, not the end of every user', async () => {
  await using world = await createWorld()
  const { database, emulator } = world
  const role = await database.createRole('REPLICATION')
  await database.query(`GRANT SELECT ON users TO ${role}; GRANT CREATE ON DATABASE ${database.name} TO ${role}`)
  await database.query('CREATE PUBLICATION suprsync FOR TABLE users')
  const wide = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 400))"
  await database.query(`ALTER TABLE users ALTER note SET STORAGE EXTERNAL; UPDATE users SET note = ${wide}`)
  await using service = await world.start({
    source: { url: database.urlAs(role) },
    profile: { $email: 'email', name: 'name', note: 'note' },
  })
  await expectConvergedSoon(world, service)
  await database.query('ALTER TABLE users ENABLE ROW LEVEL SECURITY')
  // The unchanged note is not sent with it, so that each row has to be read again.
  await database.query("UPDATE users SET name = 'after'")
  await service.waitFor('the refusal', ({ msg, err }) => msg.startsWith('interrupted') && hasCode(err, '42501'), 20_000)
  expect(emulator.users().size).toBe(USERS)
  await database.query('ALTER TABLE users DISABLE ROW LEVEL SECURITY')
  await expectConvergedSoon(world, service)
})

interface World extends AsyncDisposable {
  readonly database: TestDatabase
  readonly emulator: Awaited<ReturnType<typeof startEmulator>>
  start(config?: Parameters<typeof startService>[0]['config']): Promise<Service>
}

async function createWorld(): Promise<World> {
  const closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  await createUsersTable(database)
  await insertUsers(database, USERS)
  const emulator = closing.use(await startEmulator())
  return {
    database,
    emulator,
    start: (config = {}) =>
      startService({ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot, config }),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

async function expectConvergedSoon({ database, emulator }: World, service: Service): Promise<void> {
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config, timeoutMs: 40_000 })
}

async function brokenBy(service: Service, code: string): Promise<LogLine> {
  return await service.waitFor(code, ({ msg, err }) => msg.startsWith('interrupted') && hasCode(err, code))
}

function hasCode(err: unknown, code: string): boolean {
  return typeof err === 'object' && err !== null && 'code' in err && err.code === code
}

async function slotPosition(database: TestDatabase): Promise<string> {
  const rows = await database.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [database.slot],
  )
  return rows[0]?.lsn ?? ''
}
