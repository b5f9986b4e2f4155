// P1 to P4 for users made of several tables: killed again and again while users, devices and addresses change, every user ends
// as the tables say, a removed device's token is gone from SuprSend and a moved one is with its new user only.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { FailPoint } from '../../src/core/fail-points.ts'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { CHILD_TABLES, CHILDREN, startChildLoad } from '../support/child-load.ts'
import { createTestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { testSeed } from '../support/seed.ts'
import { startService } from '../support/service.ts'
import { createUsersTable, insertUsers, seededRandom, startWorkload } from '../support/workload.ts'

test.each(drawn(['append', 'replace'] as const, 2))('killed six times under load: POST %s', async (postReading) => {
  const random = seededRandom(testSeed())
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await database.query(CHILD_TABLES)
  await insertUsers(database, 60)
  await database.query(`
    INSERT INTO user_devices SELECT n, n % 90, 'android', 'token-' || n FROM generate_series(1, 200) n;
    INSERT INTO user_emails SELECT n, 'second' || n || '@example.com' FROM generate_series(1, 70) n`)
  await using emulator = await startEmulator({ postReading, latencyMs: 10 })
  const config = { children: CHILDREN }
  const service = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot, config }
  await using load = startWorkload({ database, seed: Math.floor(random() * 1e9) })
  await using childLoad = startChildLoad({ database, seed: Math.floor(random() * 1e9), users: 120 })

  const points: readonly FailPoint[] = ['in_state_transaction', 'in_backfill', 'before_confirm', 'after_answer']
  for (const point of points) {
    await using doomed = await startService({ ...service, failPoint: `${point}:${point === 'in_backfill' ? 2 : 9}` })
    // With the backfill done nobody hits its point any more: then it is killed like this.
    const ended = await Promise.race([doomed.exited, delay(2_500)])
    if (ended === undefined) await doomed.kill9()
  }
  for (let kill = 0; kill < 2; kill += 1) {
    await using doomed = await startService(service)
    await doomed.waitFor('the service to start', () => true)
    await delay(random() * 1_500) // no wait for a condition: the moment is the point
    await doomed.kill9()
  }

  await using last = await startService(service)
  await load.stop()
  await childLoad.stop()
  await last.waitStreaming()
  await expectConverged({ database, emulator, config: last.config })
  expectNeverBack(emulator, load.ids)
  expect(childLoad.statements).toBeGreaterThan(200)
  expect(emulator.stats().concurrencyViolations).toEqual({ count: 0, users: [] })
})
