// Several processes on one state (DESIGN §7.1): one captures, several send. Started, stopped, killed, frozen and cut off from the database
// under load, they never have two requests in flight for one user, lose nothing, and share the limits.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type Network, startNetwork } from '../support/network.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { testSeed } from '../support/seed.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, startWorkload } from '../support/workload.ts'

const RECEIVER = { http: { listen: '127.0.0.1:0' } }

interface Deployment extends AsyncDisposable {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly capture: Service
  /** @param through a network that a test breaks; without one it is direct. */
  sender(through?: Network): Promise<Service>
}

async function deploy(options: {
  readonly users: number
  readonly latencyMs: number
  readonly config?: JsonObject
  readonly role?: 'capture' | 'all'
}): Promise<Deployment> {
  const { users, latencyMs, config = {}, role = 'capture' } = options
  await using closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  await createUsersTable(database)
  await insertUsers(database, users)
  const emulator = closing.use(await startEmulator({ latencyMs }))
  const base = { emulatorUrl: emulator.url, slot: database.slot, config: { ...RECEIVER, ...config } }
  const capture = closing.use(await startService({ ...base, databaseUrl: database.url, args: ['--role', role] }))
  await capture.waitStreaming()
  const kept = closing.move()
  return {
    database,
    emulator,
    capture,
    sender: async (through) =>
      kept.use(await startService({ ...base, databaseUrl: through?.url ?? database.url, args: ['--role', 'deliver'] })),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** By the process that owns them, in the order of joining. */
async function shares(database: TestDatabase): Promise<readonly number[]> {
  const rows = await database.query<{ buckets: number }>(`
    SELECT (SELECT count(*) FROM pg_locks l WHERE l.pid = s.pid AND l.locktype = 'advisory' AND l.objid BETWEEN 1 AND 64)::int AS buckets
    FROM suprsync.sender s JOIN pg_stat_activity a USING (pid) ORDER BY s.started_at`)
  return rows.map(({ buckets }) => buckets)
}

async function untilShared(database: TestDatabase, wanted: readonly number[], timeoutMs = 10_000): Promise<void> {
  let seen: readonly number[] = []
  const isShared = async () => {
    seen = (await shares(database)).filter((share) => share > 0)
    return JSON.stringify(seen) === JSON.stringify(wanted)
  }
  await until(isShared, { what: `shares of ${wanted.join(', ')}`, timeoutMs }).catch((error: unknown) => {
    throw new Error(`shares were ${seen.join(', ')}`, { cause: error })
  })
}

test('started, stopped, killed, frozen, cut off: never two requests for one user, and everybody is sent', async () => {
  const config = { delivery: { stuck_after: '4s' } }
  await using it = await deploy({ users: 150, latencyMs: 60, config })
  const { database, emulator, capture } = it
  await using load = startWorkload({ database, seed: testSeed(), users: 150 })
  await using network = await startNetwork(database.url)
  const first = await it.sender()
  await untilShared(database, [64])
  const second = await it.sender()
  const cutOff = await it.sender(network)
  await untilShared(database, [22, 21, 21])
  expect(await second.readiness()).toMatchObject({ status: 200, parts: { capture: 'off', delivery: 'active' } })
  expect(await capture.readiness()).toMatchObject({ status: 200, parts: { capture: 'active', delivery: 'off' } })

  await first.kill9()
  await untilShared(database, [32, 32])
  const frozen = await it.sender()
  await untilShared(database, [22, 21, 21])
  frozen.signal('SIGSTOP')
  network.cut()
  await cutOff.waitFor('the one that is cut off to notice', ({ msg }) => msg.startsWith('lost the locks'))
  // The frozen one keeps its users until another one ends its session; the cut one has joined anew.
  await until(() => [second, cutOff].some((it) => it.log().some(({ msg }) => msg.startsWith('a sender made no'))), {
    what: 'the frozen one to be ended',
    timeoutMs: 15_000,
  })
  await untilShared(database, [32, 32])
  network.become('refused')
  await untilShared(database, [64])
  const before = emulator.stats().requests
  frozen.signal('SIGCONT')
  await untilShared(database, [32, 32])
  network.become('none')
  await untilShared(database, [22, 21, 21], 15_000)
  expect(await second.stop()).toEqual({ code: 0, signal: null })
  await untilShared(database, [32, 32])
  await until(() => emulator.stats().requests > before + 200, { what: 'more to be sent' })

  await load.stop()
  await expectConverged({ database, emulator, config: capture.config, timeoutMs: 20_000 })
  expectNeverBack(emulator, load.ids)
  expect(emulator.stats().concurrencyViolations).toEqual({ count: 0, users: [] })
})

test('the limits are those of all together, whoever comes and goes', async () => {
  const suprsend = { max_requests_per_second: 80, max_in_flight: 12 }
  await using it = await deploy({ users: 1_200, latencyMs: 40, config: { suprsend }, role: 'all' })
  const { database, emulator, capture } = it
  const second = await it.sender()
  await it.sender()
  await untilShared(database, [22, 21, 21])
  await delay(2_000) // no wait for a condition: a second of full rate is the point
  expect(await second.stop()).toMatchObject({ code: 0 })
  await untilShared(database, [32, 32])
  await expectConverged({ database, emulator, config: capture.config, timeoutMs: 40_000 })
  const { peakRequestsPerSecond, maxInFlight, requests } = emulator.stats()
  // As they arrive: a process that stood still for a moment has what it let out arrive in a bunch.
  expect(peakRequestsPerSecond).toBeLessThanOrEqual(80 * 1.05)
  expect(peakRequestsPerSecond).toBeGreaterThan(60)
  expect(maxInFlight).toBeLessThanOrEqual(12)
  expect(requests).toBeLessThan(1_250)
})

test('what one is told holds for all: a Retry-After, a refused key', async () => {
  await using it = await deploy({ users: 300, latencyMs: 5, role: 'all' })
  const { database, emulator, capture } = it
  const second = await it.sender()
  await untilShared(database, [32, 32])
  await expectConverged({ database, emulator, config: capture.config })
  emulator.addFault({ user: '*', times: 1, action: { kind: 'status', status: 429, retryAfter: 3 } })
  await database.query("UPDATE users SET name = 'x', version = nextval('user_version') WHERE id = 1")
  for (const process of [capture, second]) {
    await process.waitFor('both to slow down', ({ msg }) => msg === 'suprsend asks to slow down')
  }
  const before = emulator.stats().requests
  await database.query("UPDATE users SET name = 'y', version = nextval('user_version')")
  await delay(1_500) // nothing is sent meanwhile
  expect(emulator.stats().requests).toBe(before)
  await expectConverged({ database, emulator, config: capture.config, timeoutMs: 20_000 })

  emulator.settings({ unauthorized: true })
  await database.query("UPDATE users SET name = 'z', version = nextval('user_version') WHERE id = 1")
  for (const process of [capture, second]) {
    await until(async () => (await process.readiness()).codes.includes('api_key_rejected'), { what: 'both to stop' })
  }
  const refused = emulator.stats().requests
  await database.query("UPDATE users SET name = 'w', version = nextval('user_version')")
  await delay(1_500) // one probe in 15 s at most
  expect(emulator.stats().requests).toBeLessThanOrEqual(refused + 1)
  emulator.settings({ unauthorized: false })
  await expectConverged({ database, emulator, config: capture.config, timeoutMs: 45_000 })
  expect(emulator.stats().concurrencyViolations.count).toBe(0)
})

test('a rolling restart of three processes under load: nobody waits for long, nothing is sent twice at a time', async () => {
  const USERS = 1_200
  await using it = await deploy({ users: USERS, latencyMs: 30, role: 'all' })
  const { database, emulator, capture } = it
  const processes = [capture, await it.sender(), await it.sender()]
  await untilShared(database, [22, 21, 21])
  await expectConverged({ database, emulator, config: capture.config, timeoutMs: 30_000 })

  const committed = new Map<string, number>()
  const editing = (async () => {
    for (let id = 1; id <= USERS; id += 1) {
      await database.query("UPDATE users SET name = 'rolled', version = nextval('user_version') WHERE id = $1", [id])
      committed.set(String(id), Date.now())
      await delay(8)
    }
  })()
  // A new one before an old one goes; the last old one captures.
  const fresh: Service[] = []
  for (const old of processes.toReversed()) {
    fresh.push(await it.sender())
    await until(async () => (await fresh.at(-1)?.readiness())?.parts.delivery === 'active', {
      what: 'the new one to send',
    })
    if (old !== capture) expect(await old.stop()).toEqual({ code: 0, signal: null })
  }
  await editing
  await expectConverged({ database, emulator, config: capture.config, timeoutMs: 20_000 })
  const waits = [...committed].map(([id, atMs]) => {
    const sent = emulator.history(id).find(({ state }) => state?.properties.name === 'rolled')
    return (sent?.atMs ?? Number.POSITIVE_INFINITY) - atMs
  })
  const sorted = waits.toSorted((a, b) => a - b)
  expect(sorted[Math.floor(sorted.length * 0.99)]).toBeLessThan(3_000)
  expect(emulator.stats().concurrencyViolations).toEqual({ count: 0, users: [] })
  // Every edit once: nobody's is repeated by a restart.
  const { calls } = emulator.stats()
  expect(Object.values(calls.PATCH ?? {}).reduce((sum, count) => sum + count, 0)).toBe(USERS)
})
