// P1 to P3, P10: the service is killed (kill -9) again and again under a mixed load, at random moments and at each place
// where something has just become true and is not yet told. Every time it goes on by itself; in the end SuprSend equals the
// table, and no user was ever seen to go back. In both readings of POST and of a PATCH on a missing user, with the state beside the
// table and in another database.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { FailPoint } from '../../src/core/fail-points.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { testSeed } from '../support/seed.ts'
import { startService } from '../support/service.ts'
import { createUsersTable, insertUsers, seededRandom, startWorkload } from '../support/workload.ts'

/** With the most hits until the kill; each happens at least so often in a second of the load. */
const POINTS: readonly (readonly [FailPoint, number])[] = [
  ['after_decode', 60],
  ['in_state_transaction', 20],
  ['before_confirm', 20],
  ['after_answer', 120],
]
const RANDOM_KILLS = 3

const READINGS = (['append', 'replace'] as const).flatMap((postReading) =>
  (['create', 'not_found'] as const).flatMap((patchMissing) =>
    (['upsert', 'edit'] as const).map((firstContact) => ({
      ...{ postReading, patchMissing, firstContact },
      state: patchMissing === 'create' ? 'beside the table' : 'elsewhere',
    })),
  ),
)

// The first and the last: each setting once.
test.each(drawn(READINGS, 7))(
  'killed seven times: POST $postReading, PATCH on a missing user $patchMissing, first contact $firstContact, state $state',
  async ({ firstContact, state: place, ...reading }) => {
    const random = seededRandom(testSeed())
    await using database = await createTestDatabase()
    await using other = await createTestDatabase()
    const state = place === 'elsewhere' ? other : database
    await createUsersTable(database)
    await insertUsers(database, 60)
    // The answer's way back leaves time for a kill between what SuprSend did and what we know.
    await using emulator = await startEmulator({ ...reading, latencyMs: 10 })
    // With `edit` and a PATCH that creates, nobody is ever POSTed.
    const config = { suprsend: { first_contact: firstContact }, state: { url: state.url } }
    const service = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot, config }
    await using load = startWorkload({ database, seed: Math.floor(random() * 1e9) })

    const upTo = (most: number) => 1 + Math.floor(random() * most)
    const kills = [
      ...POINTS.map(
        ([point, most]) =>
          () =>
            killedAt(`${point}:${upTo(most)}`),
      ),
      ...Array.from({ length: RANDOM_KILLS }, () => () => killedAfter(random() * 1_500)),
    ]
    for (const kill of shuffled(kills, random)) await kill()

    async function killedAt(failPoint: `${FailPoint}:${number}`): Promise<void> {
      await using doomed = await startService({ ...service, failPoint })
      expect(await doomed.exited, failPoint).toEqual({ code: null, signal: 'SIGKILL' })
    }
    async function killedAfter(ms: number): Promise<void> {
      await using doomed = await startService(service)
      await doomed.waitFor('the service to start', () => true)
      await delay(ms) // no wait for a condition: the moment is the point
      await doomed.kill9()
    }

    await using last = await startService(service)
    await load.stop()
    await last.waitStreaming()
    await expectConverged({ database, emulator, config: last.config, state })
    expectNeverBack(emulator, load.ids)
    expectWorkWasSeen(emulator, load.transactions)
    await expectNothingFailed(state)
  },
)

function expectWorkWasSeen(emulator: Emulator, transactions: number): void {
  const { calls, concurrencyViolations } = emulator.stats()
  expect(concurrencyViolations).toEqual({ count: 0, users: [] })
  expect(transactions).toBeGreaterThan(500)
  expect(Object.keys(calls)).toEqual(expect.arrayContaining(['PATCH', 'DELETE']))
}

async function expectNothingFailed(database: TestDatabase): Promise<void> {
  expect(await database.query('SELECT distinct_id, failure FROM suprsync.profile WHERE failure IS NOT NULL')).toEqual(
    [],
  )
}

function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
