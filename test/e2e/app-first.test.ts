// P5 while everything is read, and past a gap: no transaction of ours grows old, no statement of the application waits for one,
// whatever the application does to its tables meanwhile; and a lock of the application's keeps us waiting, never the application.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { OurTransactions } from '../support/our-transactions.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, startWorkload } from '../support/workload.ts'

const USERS = 20_000
/** A page takes some 100 ms; a loaded machine stretches that. */
const MOMENT_MS = 2_000

async function reshape(database: TestDatabase): Promise<void> {
  for (const statement of [
    'ALTER TABLE users ADD extra int DEFAULT 1',
    'ALTER TABLE users DROP extra',
    'ALTER TABLE users ADD CONSTRAINT positive CHECK (id > 0) NOT VALID',
    'ALTER TABLE users VALIDATE CONSTRAINT positive',
    'CREATE INDEX ON users (email)',
    'VACUUM ANALYZE users',
  ]) {
    await database.query(statement)
  }
}

test('while all rows are read, and again past a gap, under load and DDL', async () => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, USERS)
  await using emulator = await startEmulator()
  await using ours = await OurTransactions.watch(database)
  await using workload = startWorkload({ database, seed: 7 })
  const options = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  const reading = async (what: string) =>
    await until(
      async () =>
        (await database.query('SELECT FROM suprsync.backfill WHERE finished_at IS NULL AND rows_read > 0')).length > 0,
      { what, timeoutMs: 30_000 },
    )
  {
    await using service = await startService({ ...options, config: { backfill: { max_rows_per_second: 4_000 } } })
    await reading('the first reading')
    await reshape(database)

    // The application locks its table: our page waits behind it, and goes on afterwards.
    const client = await database.pool.connect()
    try {
      await client.query('BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE')
      const waiting = `SELECT FROM pg_stat_activity WHERE application_name = 'suprsync pages' AND wait_event_type = 'Lock' AND datname = current_database()`
      await until(async () => (await client.query(waiting)).rowCount, { what: 'our page to wait' })
      await client.query('COMMIT')
    } finally {
      client.release()
    }
    await service.kill9()
  }
  await database.query(`
    SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${database.slot}' AND active`)
  await until(
    async () => {
      await database.query(`SELECT pg_drop_replication_slot('${database.slot}')`)
      return true
    },
    { what: 'the slot to go' },
  )
  {
    // The slot is made while a transaction of the application is open: making it waits for that one, and nobody for us.
    const open = await database.pool.connect()
    await using service = await startService(options)
    try {
      await open.query("BEGIN; UPDATE users SET name = 'open' WHERE id = 1")
      const making = `SELECT FROM pg_stat_activity WHERE application_name = 'suprsync setup' AND wait_event_type = 'Lock' AND datname = current_database()`
      await until(async () => (await open.query(making)).rowCount, { what: 'the slot to be made', timeoutMs: 20_000 })
    } finally {
      await open.query('COMMIT')
      open.release()
    }
    await reading('the reading past the gap')
    await workload.stop()
    await until(
      async () => (await database.query('SELECT FROM suprsync.backfill WHERE finished_at IS NULL')).length === 0,
      { what: 'the readings', timeoutMs: 60_000 },
    )
    await expectConverged({ database, emulator, config: service.config, timeoutMs: 60_000 })
  }
  expect(ours.seen).toBeGreaterThan(10)
  expect(ours.oldestMs).toBeLessThan(MOMENT_MS)
  expect(ours.longestWaitMs).toBeLessThan(MOMENT_MS)
})
