// The server ends our sessions again and again under load, as an administrator, a failing network or a restart does: each
// kind of them (state, sender, capture, pages, walsender) is opened anew, and nothing is lost, sent twice at a time or forgotten.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { testSeed } from '../support/seed.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, seededRandom, startWorkload } from '../support/workload.ts'

const TIMES = 25

test.each(drawn(['suprsync sender', 'suprsync state', 'suprsync capture', 'suprsync'] as const, 3))(
  'sessions named %s',
  async (name) => {
    const seed = testSeed()
    const random = seededRandom(seed)
    await using database = await createTestDatabase()
    await createUsersTable(database)
    await insertUsers(database, 100)
    await using emulator = await startEmulator({ latencyMs: 5 })
    await using service = await startService({
      databaseUrl: database.url,
      emulatorUrl: emulator.url,
      slot: database.slot,
    })
    await service.waitStreaming()
    await using load = startWorkload({ database, seed })
    for (let time = 0; time < TIMES; time += 1) {
      await until(async () => (await endSessions(database, name)) > 0, { what: `a session named ${name}` })
      await delay(random() * 150) // no wait for a condition: the moment is the point
    }
    await load.stop()
    await expectConverged({ database, emulator, config: service.config })
    expectNeverBack(emulator, load.ids)
    expect(emulator.stats().concurrencyViolations).toEqual({ count: 0, users: [] })
    expect(await service.stop(), 'nobody is left in hand').toEqual({ code: 0, signal: null })
  },
)

async function endSessions(database: TestDatabase, name: string): Promise<number> {
  const ended = await database.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = $1`,
    [name],
  )
  return ended.length
}
