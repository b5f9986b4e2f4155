// Values that the stream does not carry (unchanged TOAST, a reshaped column): from the batch, from the cache, or by reading
// the row again, and never as NULL, whatever else happens to the row meanwhile.

import pg from 'pg'
import { expect, test } from 'vitest'
import { CaptureHarness } from '../support/capture-harness.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'

const USERS = {
  create:
    'CREATE TABLE users (id int PRIMARY KEY, bio text, name text, seen int DEFAULT 0); ALTER TABLE users ALTER bio SET STORAGE EXTERNAL',
  profile: { bio: 'bio', name: 'name' },
}
/** Longer than what stays in the row. */
const large = (letter: string) => letter.repeat(4_000)
const insert = (id: number, letter: string, name: string) =>
  `INSERT INTO users (id, bio, name) VALUES (${id}, repeat('${letter}', 4000), '${name}')`

/** Changes that told nothing new: seen by a reading before, or the same as what is stored. */
const skipped = ({ counts }: CaptureHarness) => (counts.get('older') ?? 0) + (counts.get('unmapped_noop') ?? 0)

async function scene() {
  const database = await createTestDatabase()
  return { database, harness: await CaptureHarness.create(database, USERS) }
}

test('from an earlier change in the same batch, and from the cache', async () => {
  const { database, harness } = await scene()
  await using _database = database
  await using _harness = harness
  await using session = await harness.start()
  await session.inOneBatch(database, [insert(1, 'a', 'A'), "UPDATE users SET name = 'B'"])
  await harness.untilDesired({ 1: { bio: large('a'), name: 'B' } })
  await database.query("UPDATE users SET name = 'C'")
  await harness.untilDesired({ 1: { bio: large('a'), name: 'C' } })
  expect(harness.pages.rereads).toBe(0)
})

test('by reading the row again after a restart; an unmapped change then writes nothing', async () => {
  const { database, harness } = await scene()
  await using _database = database
  await using _harness = harness
  {
    await using _session = await harness.start()
    await database.query(insert(1, 'a', 'A'))
    await harness.untilDesired({ 1: { bio: large('a'), name: 'A' } })
  }
  await using _session = await harness.start()
  await database.query("UPDATE users SET name = 'B'")
  await harness.untilDesired({ 1: { bio: large('a'), name: 'B' } })
  expect(harness.pages.rereads).toBe(1)
  const [row, checkpoint] = [(await harness.rows()).get('1'), await harness.checkpoint()]
  expect(row?.readSnapshot).not.toBeNull()
  await database.query('UPDATE users SET seen = 1')
  await until(() => harness.counts.get('unmapped_noop') === 1, { what: 'the unmapped change' })
  expect(await harness.checkpoint()).toEqual(checkpoint)
  expect((await harness.rows()).get('1')).toEqual(row)
})

test('a row that is gone when it is read again: a tombstone, then and after its delete', async () => {
  const { database, harness } = await scene()
  await using _database = database
  await using _harness = harness
  await database.query(`${insert(1, 'a', 'A')}; ${insert(2, 'b', 'B')}`)
  await using session = await harness.start({ held: true })
  // Not in one batch with its delete: that would need no reading.
  await until(() => session.stream.heldTransactions === 1, { what: 'the inserts' })
  session.stream.release()
  await harness.untilDesired({ 1: { bio: large('a'), name: 'A' }, 2: { bio: large('b'), name: 'B' } })
  await session[Symbol.asyncDispose]()

  await using again = await harness.start()
  harness.pages.beforeReread = async () => {
    harness.pages.beforeReread = async () => undefined
    await database.query('DELETE FROM users WHERE id = 1')
  }
  await again.inOneBatch(database, [
    'UPDATE users SET seen = seen + 1 WHERE id = 1',
    "UPDATE users SET name = 'B2' WHERE id = 2",
  ])
  await harness.untilDesired({ 2: { bio: large('b'), name: 'B2' } })
  await until(() => skipped(harness) > 0, {
    what: 'the delete to be known already',
  })
  expect((await harness.rows()).get('1')).toMatchObject({ part: null, distinctId: '1' })
})

test('a newer value that the reading finds is not taken back by the changes before it', async () => {
  const { database, harness } = await scene()
  await using _database = database
  await using _harness = harness
  {
    await using _first = await harness.start()
    await database.query(insert(1, 'a', 'A'))
    await harness.untilDesired({ 1: { bio: large('a'), name: 'A' } })
  }
  const seen: object[] = []
  harness.pages.beforeReread = async () => {
    harness.pages.beforeReread = async () => undefined
    await database.query("UPDATE users SET bio = 'short', name = 'C'")
    await database.query("UPDATE users SET bio = repeat('d', 4000), name = 'D'")
  }
  await using _session = await harness.start()
  await database.query("UPDATE users SET name = 'B'")
  await until(
    async () => {
      seen.push(await harness.desired())
      return skipped(harness) >= 1
    },
    { what: 'the changes that the reading saw', pollMs: 1 },
  )
  await harness.untilDesired({ 1: { bio: large('d'), name: 'D' } })
  const names = seen.map((it) => JSON.stringify(it).match(/"name":"(.)"/)?.[1])
  expect(names).toEqual(names.toSorted())
})

test('a change that others cannot see yet is waited for: its commit is streamed before', async () => {
  await using cluster = await startCluster()
  await using database = await createTestDatabase(cluster.url())
  // State of ours, and the statements of this test, do not wait for the standby that never answers.
  await using harness = await CaptureHarness.create(database, { ...USERS, stateOptions: '-c synchronous_commit=local' })
  {
    await using _first = await harness.start()
    await database.query(insert(1, 'a', 'A'))
    await harness.untilDesired({ 1: { bio: large('a'), name: 'A' } })
  }
  const stopped = await harness.start()
  await waitForStandby(database, 'nobody')
  const application = new pg.Client({ connectionString: database.url })
  await application.connect()
  const update = application.query("UPDATE users SET name = 'B'")
  try {
    // It reads again and again: the snapshot does not see the change, so what it finds (the name A) must not count.
    await until(() => harness.pages.rereads >= 3, { what: 'the row to be read again' })
    expect(await harness.desired()).toEqual({ 1: { bio: large('a'), name: 'A' } })
    await stopped[Symbol.asyncDispose]() // does not wait for the standby
  } finally {
    await waitForStandby(database, '')
    await update
    await application.end()
  }
  await using _session = await harness.start()
  await harness.untilDesired({ 1: { bio: large('a'), name: 'B' } })
})

async function waitForStandby(database: TestDatabase, name: string): Promise<void> {
  await database.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`)
  await database.query('SELECT pg_reload_conf()')
  await until(
    async () => {
      const [row] = await database.query<{ now: string }>("SELECT current_setting('synchronous_standby_names') AS now")
      return row?.now === name
    },
    { what: 'the setting' },
  )
  if (name !== '') await commitsWait(database)
}

/** The server's processes read a setting one after the other; commits wait once the checkpointer has. */
async function commitsWait(database: TestDatabase): Promise<void> {
  await until(
    async () => {
      const probe = new pg.Client({ connectionString: database.url })
      await probe.connect()
      const written = probe.query("SELECT pg_logical_emit_message(true, 'probe', '')").then(() => false)
      const waiting = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%probe%'`
      const cancelled = until(async () => (await database.query(waiting)).length > 0, {
        what: 'it to wait',
        timeoutMs: 1_000,
      })
      const waits = await Promise.race([written, cancelled.then(() => true)])
      if (waits) await written
      else await cancelled.catch(() => undefined)
      await probe.end()
      return waits
    },
    { what: 'commits to wait for the standby' },
  )
}

test('a mapped column that was added after the change: every row of that time is read again', async () => {
  await using database = await createTestDatabase()
  await using harness = await CaptureHarness.create(database, {
    create: 'CREATE TABLE users (id int PRIMARY KEY, name text, plan text)',
    profile: { name: 'name', plan: 'plan' },
  })
  await database.query('ALTER TABLE users DROP plan')
  await database.query("INSERT INTO users VALUES (1, 'A'), (2, 'B')")
  await database.query("ALTER TABLE users ADD plan text DEFAULT 'free'")
  await database.query("INSERT INTO users VALUES (3, 'C', 'pro')")
  await using _session = await harness.start()
  await harness.untilDesired({
    1: { name: 'A', plan: 'free' },
    2: { name: 'B', plan: 'free' },
    3: { name: 'C', plan: 'pro' },
  })
  expect(harness.pages.rereads).toBe(1)
})
