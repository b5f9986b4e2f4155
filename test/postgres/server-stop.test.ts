// P5: stopping the application's PostgreSQL does not wait for us: `pg_ctl stop -m fast` sends SIGINT, and the server ends
// only when its walsender was answered. Afterwards the service goes on by itself, and nothing is lost.
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, startWorkload } from '../support/workload.ts'

const MOST_MS = 2_000
/** The service's walsender sets wal_sender_timeout to 6 s for itself. */
const MOST_FROZEN_MS = 9_000

async function world(config: JsonObject = {}) {
  const closing = new AsyncDisposableStack()
  const cluster = closing.use(await startCluster())
  const database = closing.use(await createTestDatabase(cluster.url()))
  await createUsersTable(database)
  await insertUsers(database, 50)
  const emulator = closing.use(await startEmulator())
  const options = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot, config }
  const service = closing.use(await startService(options))
  await service.waitStreaming()
  await until(() => emulator.users().size === 50, { what: 'the users' })
  return { cluster, database, emulator, service, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

async function change(database: TestDatabase): Promise<void> {
  await until(() => database.query("UPDATE users SET name = 'after', version = nextval('user_version')"), {
    what: 'the server',
  })
}

test('idle, twice: it stops at once, and the service goes on by itself', async () => {
  await using it = await world()
  for (let round = 0; round < 2; round += 1) {
    const { elapsedMs } = await it.cluster.stop('fast')
    expect(elapsedMs).toBeLessThan(MOST_MS)
    await it.cluster.start()
    await change(it.database)
    await expectConverged({ ...it, config: it.service.config })
  }
  expect(it.service.hasExited).toBe(false)
})

test('under load', async () => {
  await using it = await world()
  const seen: string[] = []
  for (const seed of [1, 2]) {
    await using load = await startWorkload({ database: it.database, seed, users: 60, pauseMs: 1 })
    seen.push(...load.ids)
    await until(() => load.transactions > 150, { what: 'the load' })
    const { elapsedMs } = await it.cluster.stop('fast')
    expect(elapsedMs).toBeLessThan(MOST_MS)
    await expect(load.stop()).rejects.toThrow() // its clients lost their server
    await it.cluster.start()
  }
  await change(it.database)
  await expectConverged({ ...it, config: it.service.config })
  expectNeverBack(it.emulator, new Set(seen))
})

test('with our state on another server, which takes the last positions', async () => {
  await using state = await createTestDatabase()
  await using it = await world({ state: { url: state.url } })
  await using load = await startWorkload({ database: it.database, seed: 3, users: 60, pauseMs: 1 })
  await until(() => load.transactions > 100, { what: 'the load' })
  const { elapsedMs } = await it.cluster.stop('fast')
  expect(elapsedMs).toBeLessThan(MOST_MS)
  await it.cluster.start()
  await change(it.database)
  const [row] = await it.database.query<{ users: number }>('SELECT count(*)::int AS users FROM users')
  const names = () => [...it.emulator.users().values()].filter((user) => user.properties.name === 'after')
  await until(() => names().length === row?.users, { what: 'every user to be as after the stop' })
  const idle = await it.cluster.stop('fast')
  expect(idle.elapsedMs).toBeLessThan(MOST_MS)
  await it.cluster.start() // for the database to be dropped
})

test('a frozen service delays it by seconds only, and goes on when it is woken', async () => {
  await using it = await world()
  it.service.signal('SIGSTOP')
  try {
    const { elapsedMs } = await it.cluster.stop('fast')
    expect(elapsedMs).toBeLessThan(MOST_FROZEN_MS)
    await it.cluster.start()
    await change(it.database)
  } finally {
    it.service.signal('SIGCONT')
  }
  await expectConverged({ ...it, config: it.service.config })
})
