// The networks to the application's database and to the state's, which is on another server, each broken in every way under load: cut, refused,
// standing still, and losing one direction without a word. Each time the service goes on by itself, and nothing is lost, goes back or is
// under way twice; the source is never streamed from twice (P1, P2, P3).
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { ALL } from '../support/drawn.ts'
import { type Fault, type Network, startNetwork } from '../support/network.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { testSeed } from '../support/seed.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, seededRandom, startWorkload } from '../support/workload.ts'

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly service: Service
  readonly source: Network
  readonly stateNetwork: Network
  readonly state: TestDatabase
}

async function world(run: (world: World) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await using state = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 80)
  await using source = await startNetwork(database.url)
  await using stateNetwork = await startNetwork(state.url)
  await using emulator = await startEmulator({ latencyMs: 2 })
  await using service = await startService({
    databaseUrl: source.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
    config: { state: { url: stateNetwork.url } },
  })
  await service.waitStreaming()
  await run({ database, emulator, service, source, stateNetwork, state })
}

async function wellAgain({ database, emulator, service, state }: World, timeoutMs: number): Promise<void> {
  await expectConverged({ database, emulator, config: service.config, state, timeoutMs })
  expect(emulator.stats().concurrencyViolations).toEqual({ count: 0, users: [] })
}

async function streams(database: TestDatabase): Promise<number> {
  const [row] = await database.query<{ streams: number }>(
    "SELECT count(*)::int AS streams FROM pg_stat_replication WHERE application_name = 'suprsync' AND pid IN (SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1)",
    [database.slot],
  )
  return row?.streams ?? -1
}

test('cut, refused and standing still by turns, both networks, under load', () =>
  world(async (it) => {
    const { database, emulator, source, stateNetwork } = it
    const random = seededRandom(testSeed())
    await using load = startWorkload({ database, seed: 3, users: 80 })
    for (let turn = 0; turn < 24; turn += 1) {
      const network = turn % 2 === 0 ? source : stateNetwork
      const fault = (['cut', 'refused', 'stalled'] as const)[Math.floor(random() * 3)]
      if (fault === 'cut') network.cut()
      else if (fault !== undefined) network.become(fault)
      await delay(random() * 400) // no wait for a condition: the moment is the point
      network.become('none')
      await delay(random() * 200)
      expect(await streams(database)).toBeLessThanOrEqual(1)
    }
    await load.stop()
    await wellAgain(it, 45_000)
    expectNeverBack(emulator, load.ids)
  }))

const HALF_OPEN: readonly (readonly [string, 'source' | 'stateNetwork', Fault])[] = [
  ['what the source sends is lost', 'source', 'to_client'],
  ['what the state’s server sends is lost', 'stateNetwork', 'to_client'],
]

// Each waits until the kernel or a watchdog has given up the connection: 40 s.
test.runIf(ALL).each(HALF_OPEN)(
  'half open: %s',
  (_, which, fault) =>
    world(async (it) => {
      const { database, service } = it
      await wellAgain(it, 20_000)
      it[which].become(fault)
      await database.query("UPDATE users SET name = 'unseen', version = nextval('user_version') WHERE id < 40")
      await service.waitFor(
        'it to be noticed',
        ({ msg, capture }) => msg.startsWith('interrupted') || capture === 'broken',
        90_000,
      )
      it[which].become('none')
      await until(async () => (await service.readiness()).status === 200, {
        what: 'to be ready again',
        timeoutMs: 90_000,
      })
      await wellAgain(it, 90_000)
      expect(await streams(database)).toBe(1)
    }),
  200_000,
)
