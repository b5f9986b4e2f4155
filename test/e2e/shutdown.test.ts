// P10: SIGTERM finishes what is in hand, within the deadline and with exit code 0, so that nothing is sent twice; a second
// signal ends at once, one that comes within a second of the first is its echo.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { testSeed } from '../support/seed.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, seededRandom } from '../support/workload.ts'

const USERS = 2_000
/** suprsend.max_in_flight by default. */
const IN_FLIGHT = 64

test('SIGTERM under load: exit 0 within the deadline, and nobody is sent twice', async () => {
  await using world = await createWorld({ latencyMs: 40 })
  const { database, emulator, start } = world
  await using first = await start()
  await until(() => emulator.stats().requests > 300, { what: 'the service to be busy' })
  const stoppedAt = performance.now()
  expect(await first.stop()).toEqual({ code: 0, signal: null })
  expect(performance.now() - stoppedAt).toBeLessThan(10_000)
  const sent = emulator.stats().requests
  expect(sent).toBeLessThan(USERS)
  expect(first.log().at(-1)).toMatchObject({ msg: 'stopped' })
  expect(await leftInHand(database)).toEqual([])

  await using second = await start()
  await expectConverged({ database, emulator, config: second.config })
  const { calls } = emulator.stats()
  expect(calls.POST).toEqual({ 201: USERS })
  expect(calls.PATCH).toBeUndefined()
})

test('a second signal a second later ends it at once; what was in hand is sent again', async () => {
  await using world = await createWorld()
  const { database, emulator, start } = world
  emulator.addFault({ user: '*', method: 'POST', times: null, action: { kind: 'hold', apply: 'before' } })
  await using service = await start()
  await until(() => emulator.held === IN_FLIGHT, { what: 'requests to be held' })
  const firstAt = performance.now()
  service.signal('SIGTERM')
  await service.waitFor('the shutdown to begin', ({ msg }) => msg === 'shutting down')
  await until(() => performance.now() - firstAt > 1_100, { what: 'more than a second to pass' })
  expect(service.hasExited).toBe(false)
  service.signal('SIGTERM')
  const secondAt = performance.now()
  expect(await service.exited).toEqual({ code: 128 + 15, signal: null })
  expect(performance.now() - secondAt).toBeLessThan(1_000)
  expect(service.log().at(-1)).toMatchObject({ msg: 'second signal, exiting at once', level: 'warn' })

  emulator.clearFaults()
  await using next = await start()
  await expectConverged({ database, emulator, config: next.config })
})

test('two signals within a second are one: it still finishes what is in hand', async () => {
  await using world = await createWorld()
  const { database, emulator, start } = world
  emulator.addFault({ user: '*', method: 'POST', times: null, action: { kind: 'hold', apply: 'before' } })
  await using service = await start()
  await until(() => emulator.held === IN_FLIGHT, { what: 'requests to be held' })
  service.signal('SIGTERM')
  await service.waitFor('the shutdown to begin', ({ msg }) => msg === 'shutting down')
  service.signal('SIGTERM')
  emulator.clearFaults()
  emulator.releaseHolds()
  expect(await service.exited).toEqual({ code: 0, signal: null })
  expect(emulator.stats().calls.POST).toEqual({ 201: IN_FLIGHT })
  expect(await leftInHand(database)).toEqual([])
})

test('past its deadline it exits with 1 and says what was open', async () => {
  await using world = await createWorld()
  const { emulator, start } = world
  emulator.addFault({ user: '*', method: 'POST', times: null, action: { kind: 'hold', apply: 'before' } })
  await using service = await start({ shutdown_timeout: '500ms' })
  await until(() => emulator.held === IN_FLIGHT, { what: 'requests to be held' })
  expect(await service.stop()).toEqual({ code: 1, signal: null })
  expect(service.log().at(-1)).toMatchObject({
    level: 'error',
    stillOpen: [expect.stringMatching(/^\d+ users in hand$/)],
  })
})

test('SIGTERM at any moment of the start: exit 0 at once, and the next start goes on', async () => {
  const random = seededRandom(testSeed())
  await using world = await createWorld()
  const { database, emulator, start } = world
  for (let time = 0; time < 10; time += 1) {
    await using service = await start()
    await service.waitFor('the service to start', ({ msg }) => msg.startsWith('listening'))
    await delay(random() * 250) // no wait for a condition: the moment is the point
    const stoppedAt = performance.now()
    expect(await service.stop()).toEqual({ code: 0, signal: null })
    expect(performance.now() - stoppedAt).toBeLessThan(10_000)
  }
  await using last = await start()
  await expectConverged({ database, emulator, config: last.config })
  expect(emulator.stats().calls.POST).toEqual({ 201: USERS })
})

interface World extends AsyncDisposable {
  readonly database: TestDatabase
  readonly emulator: Emulator
  start(config?: { readonly shutdown_timeout: string }): Promise<Service>
}

async function createWorld({ latencyMs = 0 } = {}): Promise<World> {
  await using closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  await createUsersTable(database)
  await insertUsers(database, USERS)
  const emulator = closing.use(await startEmulator({ latencyMs }))
  const service = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  const kept = closing.move()
  return {
    database,
    emulator,
    start: (config) => startService({ ...service, ...(config && { config }) }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** Users whose last attempt was not recorded. */
async function leftInHand(database: TestDatabase): Promise<unknown> {
  return await database.query(
    "SELECT distinct_id FROM suprsync.profile WHERE claimed_by IS NOT NULL OR sending <> '[]'",
  )
}
