// P10 where nothing works: SIGTERM while SuprSend or the state is away, refuses, or answers without end. The process ends within
// its deadline, and whatever was in hand is sent by the next one.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase } from '../support/database.ts'
import { type Network, startNetwork } from '../support/network.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const USERS = 100
const SHUTDOWN_MS = 2_000

interface Trouble {
  readonly name: string
  readonly emulator: Emulator
  readonly suprsend: Network
  readonly state: Network
  readonly service: Service
}

const TROUBLES: readonly {
  readonly name: string
  readonly begin: (at: Trouble) => void
  /** The service has met it. */
  readonly met: (at: Trouble) => Promise<unknown>
  /** Nothing is waited for, so that it ends in order and at once. */
  readonly inOrder: boolean
}[] = [
  {
    name: 'SuprSend is unreachable',
    begin: ({ suprsend }) => {
      suprsend.become('refused')
      suprsend.cut()
    },
    met: async ({ service }) =>
      await until(async () => (await service.metrics()).get('suprsync_host_state{state="unreachable"}') === 1, {
        what: 'the host to count as unreachable',
      }),
    inOrder: true,
  },
  {
    name: 'SuprSend asks to come back in an hour',
    begin: ({ emulator }) =>
      emulator.addFault({ user: '*', times: null, action: { kind: 'status', status: 429, retryAfter: 3_600 } }),
    met: async ({ emulator }) =>
      await until(() => Object.values(emulator.stats().calls).some((calls) => calls['429']), { what: 'a 429' }),
    inOrder: true,
  },
  {
    name: 'the state cannot be reached',
    begin: ({ state }) => {
      state.become('refused')
      state.cut()
    },
    met: async ({ service }) => await service.waitFor('the state to be missed', ({ level }) => level === 'warn'),
    inOrder: false,
  },
  {
    name: 'the state does not answer any more',
    begin: ({ state }) => state.become('stalled'),
    met: async () => undefined,
    inOrder: false,
  },
]

test.each(TROUBLES)('SIGTERM while $name: ended within the deadline', async ({ name, begin, met, inOrder }) => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, USERS)
  await using elsewhere = await createTestDatabase()
  await using emulator = await startEmulator()
  await using suprsend = await startNetwork(emulator.url)
  await using state = await startNetwork(elsewhere.url)
  const given = { databaseUrl: database.url, slot: database.slot }
  const config = { state: { url: state.url }, shutdown_timeout: `${SHUTDOWN_MS}ms` }
  {
    await using service = await startService({ ...given, emulatorUrl: suprsend.url, config })
    await service.waitStreaming()
    await expectConverged({ database, emulator, state: elsewhere, config: service.config })
    const at = { name, emulator, suprsend, state, service }
    begin(at)
    await database.query("UPDATE users SET name = 'changed', version = nextval('user_version')")
    await met(at)
    const stoppedAt = performance.now()
    const { code } = await service.stop()
    expect(performance.now() - stoppedAt).toBeLessThan(SHUTDOWN_MS + 1_000)
    if (inOrder) {
      expect(code).toBe(0)
      expect(performance.now() - stoppedAt).toBeLessThan(SHUTDOWN_MS)
    }
  }
  suprsend.become('none')
  state.become('none')
  emulator.clearFaults()
  await using next = await startService({
    ...given,
    emulatorUrl: emulator.url,
    config: { state: { url: elsewhere.url } },
  })
  await next.waitStreaming()
  await expectConverged({ database, emulator, state: elsewhere, config: next.config })
  expect(emulator.stats().concurrencyViolations.count).toBe(0)
})

test('SIGTERM while a body trickles in: ended within the deadline', async () => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 5)
  let dripping = 0
  const server = createServer((request, response) => {
    if (request.method === 'POST') dripping += 1
    response.writeHead(201, { 'content-type': 'application/json' })
    const drip = setInterval(() => response.write(' '), 50)
    response.on('close', () => clearInterval(drip))
  }).listen(0, '127.0.0.1')
  try {
    await until(() => server.listening, { what: 'the server to listen' })
    const { port } = server.address() as AddressInfo
    await using service = await startService({
      ...{ databaseUrl: database.url, slot: database.slot, emulatorUrl: `http://127.0.0.1:${port}` },
      config: { shutdown_timeout: '1s' },
    })
    await until(() => dripping === 5, { what: 'answers to trickle', timeoutMs: 20_000 })
    const stoppedAt = performance.now()
    await service.stop()
    expect(performance.now() - stoppedAt).toBeLessThan(2_000)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
