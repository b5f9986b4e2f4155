// P5: a busy table that nobody mapped does not keep the application's WAL, however idle the users table is.
import { expect, test } from 'vitest'
import { CaptureHarness } from '../support/capture-harness.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase } from '../support/database.ts'
import { ALL } from '../support/drawn.ts'
import { until } from '../support/wait.ts'

const SEGMENT = 16 << 20

test('checkpoint and slot follow a busy table beside an idle one, and its WAL goes when it rests', async () => {
  await using cluster = await startCluster({ settings: { autovacuum: 'off' } })
  await using database = await createTestDatabase(cluster.url())
  await using harness = await CaptureHarness.create(database, {
    create: 'CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE events (id int, text text)',
    profile: { name: 'name' },
  })
  await using session = await harness.start()
  const slot = async () => {
    const [row] = await database.query<{ retained: string; behind: string }>(
      `SELECT pg_current_wal_lsn() - restart_lsn AS retained, pg_current_wal_lsn() - confirmed_flush_lsn AS behind
       FROM pg_replication_slots WHERE slot_name = $1`,
      [database.slot],
    )
    return { retained: Number(row?.retained), behind: Number(row?.behind) }
  }
  const before = await harness.checkpoint()
  for (let at = 0; at < 4; at += 1)
    await database.query("INSERT INTO events SELECT n, repeat('x', 1000) FROM generate_series(1, 12000) n")
  expect((await slot()).retained).toBeGreaterThan(2 * SEGMENT)
  await until(async () => (await slot()).behind < SEGMENT, {
    what: 'the slot to follow',
    timeoutMs: 20_000,
    pollMs: 100,
  })
  expect(await harness.checkpoint()).not.toEqual(before)
  if (!ALL) return // half a minute more
  // The server's next list of running transactions, which it would write by itself within 15 s.
  await database.query('CHECKPOINT')
  await until(async () => (await slot()).retained < SEGMENT, { what: 'the WAL to go', timeoutMs: 50_000, pollMs: 100 })
  expect(session.stream.confirmed.length).toBeLessThanOrEqual(4)
})
