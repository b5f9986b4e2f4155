// P5, P7: while SuprSend is down the application's WAL is let go and nothing piles up: the backlog is one row a user, never
// one a change. Afterwards each user costs one call.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const USERS = 5_000
const CHANGES_EACH = 10
/**
 * A heap that leaves no room for a backlog: unbounded, V8 grows by garbage alone and its size says nothing. 50,000 changes
 * kept in memory would take more than the growth that is allowed.
 */
const SMALL_HEAP = { NODE_OPTIONS: '--max-old-space-size=80 --max-semi-space-size=8' }
const MOST_GROWTH_BYTES = 32 << 20

test('SuprSend down while 50,000 changes of 5,000 users arrive', async () => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, USERS)
  await using emulator = await startEmulator()
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
    env: SMALL_HEAP,
  })
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config, timeoutMs: 40_000 })

  await emulator.pause()
  const rssBefore = await service.rssBytes()
  const confirmedBefore = await confirmedLsn(database)
  let rssMost = rssBefore
  await changeEverybody(database)
  const [position] = await database.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
  await database.query("UPDATE users SET name = 'last', version = nextval('user_version') WHERE id = $1", [USERS])
  await until(
    async () => {
      rssMost = Math.max(rssMost, await service.rssBytes())
      const [row] = await database.query<{ passed: boolean }>(
        'SELECT confirmed_flush_lsn >= $2::pg_lsn AS passed FROM pg_replication_slots WHERE slot_name = $1',
        [database.slot, position?.lsn],
      )
      return row?.passed
    },
    { what: 'the slot to pass every change', timeoutMs: 30_000, pollMs: 100 },
  )
  expect(await confirmedLsn(database)).not.toBe(confirmedBefore)
  expect(rssMost - rssBefore).toBeLessThan(MOST_GROWTH_BYTES)
  await until(async () => (await service.metrics()).get('suprsync_profiles_pending') === USERS, {
    what: 'every user to be pending, once',
  })
  expect((await service.metrics()).get('suprsync_host_state{state="unreachable"}')).toBe(1)

  const before = emulator.stats().requests
  await emulator.resume()
  await expectConverged({ database, emulator, config: service.config, timeoutMs: 40_000 })
  const calls = emulator.stats().requests - before
  expect(calls).toBeGreaterThanOrEqual(USERS)
  expect(calls).toBeLessThanOrEqual(USERS + 200)
  expectNeverBack(
    emulator,
    Array.from({ length: USERS }, (_, index) => String(index + 1)),
  )
})

/** In transactions of five rows, as fast as the server can. */
async function changeEverybody(database: TestDatabase): Promise<void> {
  await database.query(`
    DO $$ BEGIN
      FOR round IN 1..${CHANGES_EACH} LOOP
        FOR user_id IN 1..${USERS} LOOP
          UPDATE users SET name = 'Round ' || round, version = nextval('user_version') WHERE id = user_id;
          IF user_id % 5 = 0 THEN COMMIT; END IF;
        END LOOP;
      END LOOP;
    END $$`)
}

async function confirmedLsn(database: TestDatabase): Promise<unknown> {
  const [row] = await database.query(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [database.slot],
  )
  return row?.lsn
}
