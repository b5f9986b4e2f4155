// P5, P9: what changes nothing costs no write, an idle service writes nothing at all, and a busy table that nobody mapped
// does not keep the application's WAL.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { connectionConfig } from '../../src/postgres/connection.ts'
import { openStateDatabase } from '../../src/state/database.ts'
import { Tidy } from '../../src/state/tidy.ts'
import { CaptureHarness } from '../support/capture-harness.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

/** Every row of our tables with its version: an insert, an update and a delete each make it another text. */
async function stateVersions(database: TestDatabase): Promise<string> {
  const tables = await database.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'suprsync' ORDER BY 1",
  )
  const rows = await Promise.all(
    tables.map(({ name }) =>
      database.query(`SELECT xmin::text, ctid::text, t::text AS row FROM suprsync.${name} t ORDER BY ctid`),
    ),
  )
  return JSON.stringify(rows)
}

test('unmapped changes, changes of other tables and rolled-back ones write nothing', async () => {
  await using database = await createTestDatabase()
  await using harness = await CaptureHarness.create(database, {
    create: 'CREATE TABLE users (id int PRIMARY KEY, name text, seen int DEFAULT 0); CREATE TABLE events (id int)',
    profile: { name: 'name' },
  })
  {
    await using _session = await harness.start()
    await database.query("INSERT INTO users SELECT n, 'n' || n FROM generate_series(1, 100) n")
    await until(async () => (await harness.users()).size === 100, { what: 'the users' })
  }
  // A new session: it knows no row but from state.
  await using session = await harness.start()
  const before = await stateVersions(database)
  const noop = () => harness.counts.get('unmapped_noop') ?? 0
  // One of which the first half arrives long before the rest.
  session.stream.hold()
  await database.query('UPDATE users SET seen = seen + 1')
  await until(() => session.stream.heldTransactions === 1, { what: 'the transaction' })
  session.stream.releaseFirst(51)
  await until(() => noop() === 50, { what: 'its first half' })
  session.stream.release()
  await until(() => noop() === 100, { what: 'its second half' })
  await database.query(
    "BEGIN; UPDATE users SET name = 'no'; ROLLBACK; INSERT INTO events SELECT generate_series(1, 100)",
  )
  for (let round = 2; round <= 4; round += 1) {
    await database.query('UPDATE users SET seen = seen + 1, name = name')
    await until(() => noop() === round * 100, { what: 'the changes to be seen' })
  }
  expect(await stateVersions(database)).toBe(before)
  expect(session.stream.confirmed).toEqual([])
})

test('an idle service writes nothing', async () => {
  await using cluster = await startCluster({ settings: { autovacuum: 'off' } })
  await using database = await createTestDatabase(cluster.url())
  await createUsersTable(database)
  await insertUsers(database, 20)
  await using emulator = await startEmulator()
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
  })
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config })
  // What it last says of itself is that nothing is accepted any more.
  await until(
    async () =>
      (
        await database.query(
          'SELECT FROM suprsync.sender WHERE report @> \'{"buckets": 64, "inHand": 0, "acceptedPerSecond": 0}\'',
        )
      ).length === 1,
    { what: 'the sender to be idle', timeoutMs: 20_000 },
  )
  const xid = async () =>
    (await database.query<{ xid: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid'))[0]?.xid
  const before = { xid: await xid(), versions: await stateVersions(database), requests: emulator.stats().requests }
  const replied = new Set<string>()
  await until(
    async () => {
      const rows = await database.query<{ at: string }>('SELECT reply_time::text AS at FROM pg_stat_replication')
      for (const { at } of rows) replied.add(at)
      return replied.size > 6 // one every two seconds: longer than the least time between two writes of an idle checkpoint
    },
    { what: 'status messages', pollMs: 100, timeoutMs: 30_000 },
  )
  await using state = openStateDatabase({
    connection: connectionConfig(database.url),
    schema: 'suprsync',
    onIdleError: () => undefined,
  })
  const tidy = new Tidy(state, database.pool)
  for (let run = 0; run < 2; run += 1) await tidy.run()
  expect({ xid: await xid(), versions: await stateVersions(database), requests: emulator.stats().requests }).toEqual(
    before,
  )
})
