// One process captures, others stand by, and all of them send. Killed, it is replaced within seconds; frozen and replaced (the server has ended its
// sessions), it wakes up to commit nothing and to send nothing: its changes, its claims and its place are another's now.
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { testSeed } from '../support/seed.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, startWorkload, type Workload } from '../support/workload.ts'

test('killed: the one that stands by takes over within seconds', async () => {
  await using pair = await createPair()
  const { database, emulator, first, second, load } = pair
  const killedAt = performance.now()
  await first.kill9()
  await second.waitStreaming()
  expect(performance.now() - killedAt).toBeLessThan(5_000)
  const before = emulator.stats().requests
  await until(() => emulator.stats().requests > before + 50, { what: 'the second to send' })
  await load.stop()
  await expectConverged({ database, emulator, config: second.config })
  expectNeverBack(emulator, load.ids)
  expect(emulator.stats().concurrencyViolations.count).toBe(0)
})

// A backlog, so that it is frozen with claims in hand and requests about to be written.
test('frozen while busy, replaced and woken: it commits nothing, sends nothing, and stands by', async () => {
  await using pair = await createPair({ users: 2_000 })
  const { database, emulator, first, second, load } = pair
  await load.stop()
  await expectConverged({ database, emulator, config: first.config })
  await renameAll(database, 'before')
  const sent = emulator.stats().requests
  await until(() => emulator.stats().requests > sent + 300, { what: 'the first to be busy', pollMs: 1 })
  first.signal('SIGSTOP')
  await until(() => emulator.stats().inFlight === 0, { what: 'its requests to be answered' })
  expect(await endSessions(database, first)).toEqual(['suprsync', 'suprsync capture', 'suprsync sender'])
  await second.waitStreaming()
  await renameAll(database, 'after')
  await expectConverged({ database, emulator, config: second.config })
  const [stored, requests] = [await stateOf(database), emulator.stats().requests]

  first.signal('SIGCONT')
  await first.waitFor('the first to stand by', ({ capture }) => capture === 'standby')
  expect(await stateOf(database)).toEqual(stored)
  expect(emulator.stats().requests).toBe(requests)
  await expectConverged({ database, emulator, config: second.config })
  expectNeverBack(emulator, load.ids)
  expect(emulator.stats().concurrencyViolations.count).toBe(0)

  await second.kill9()
  await first.waitFor('the first to stream again', () => streams(first) === 2)
})

test('frozen while idle, woken while the other is busy: it takes none of its users', async () => {
  await using pair = await createPair({ latencyMs: 100, maxInFlight: 6 })
  const { database, emulator, first, second, load } = pair
  await load.stop()
  await expectConverged({ database, emulator, config: first.config })
  first.signal('SIGSTOP')
  const frozenAt = performance.now()
  await endSessions(database, first)
  await second.waitStreaming()
  // A server frees the locks of a vanished host after a minute; a second is what a sender notices.
  await until(() => performance.now() - frozenAt > 1_500, { what: 'it to stand still for long enough' })
  await using more = startWorkload({ database, seed: load.seed + 1 })
  await until(() => emulator.stats().inFlight === 6, { what: 'the second to be busy' })

  first.signal('SIGCONT')
  await first.waitFor('the first to stand by', ({ capture }) => capture === 'standby')
  const before = emulator.stats().requests
  await until(() => emulator.stats().requests > before + 50, { what: 'the second to go on' })
  await more.stop()
  await expectConverged({ database, emulator, config: second.config })
  expectNeverBack(emulator, load.ids)
  expect(emulator.stats().concurrencyViolations).toEqual({ count: 0, users: [] })
  expect(second.log().filter(({ msg }) => msg.includes('taken over before'))).toEqual([])
})

interface Pair extends AsyncDisposable {
  readonly database: TestDatabase
  readonly emulator: Emulator
  /** Streams, under load. */
  readonly first: Service
  /** Stands by. */
  readonly second: Service
  readonly load: Workload
}

async function createPair({ users = 100, latencyMs = 0, maxInFlight = 64 } = {}): Promise<Pair> {
  const seed = testSeed()
  await using closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  await createUsersTable(database)
  await insertUsers(database, users)
  const emulator = closing.use(await startEmulator({ latencyMs }))
  const service = {
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
    config: { suprsend: { max_in_flight: maxInFlight } },
  }
  const first = closing.use(await startService(service))
  await first.waitStreaming()
  const second = closing.use(await startService(service))
  await second.waitFor('the second to stand by', ({ capture }) => capture === 'standby')
  await second.waitReady()
  const load = closing.use(startWorkload({ database, seed, users }))
  await until(() => load.transactions > 200, { what: 'the load to be under way' })
  const kept = closing.move()
  return { database, emulator, first, second, load, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

async function renameAll(database: TestDatabase, name: string): Promise<void> {
  await database.query("UPDATE users SET name = $1, version = nextval('user_version')", [name])
}

/** As the server does when a host is gone: the locks first, then the walsender. */
async function endSessions(database: TestDatabase, { pid }: Service): Promise<readonly unknown[]> {
  const ended = await database.query(
    `SELECT application_name AS name, pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND (backend_type = 'walsender'
       OR pid = (SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.objid = 0)
       OR pid = (SELECT s.pid FROM suprsync.sender s WHERE s.process = $1))`,
    [pid],
  )
  return ended.map(({ name }) => name).sort()
}

/** Every row with the transaction that wrote it. */
async function stateOf(database: TestDatabase): Promise<unknown> {
  return await database.query(`
    SELECT (SELECT epoch::text FROM suprsync.checkpoint),
      (SELECT md5(string_agg(concat(xmin, ' ', r.*), '|' ORDER BY key)) FROM suprsync.source_row r) AS rows,
      (SELECT md5(string_agg(concat(xmin, ' ', p.*), '|' ORDER BY distinct_id)) FROM suprsync.profile p) AS profiles`)
}

function streams(service: Service): number {
  return service.log().filter(({ capture }) => capture === 'streaming').length
}
