// Batch after batch that hold the same rows, one being committed while the next is read ahead: stored in order, taken over and
// stopped in the middle. Real server, real state; what is desired in the end is what the rows say.
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { takeOver } from '../../src/state/ownership.ts'
import { CaptureHarness } from '../support/capture-harness.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'

/** More than a batch takes: each statement below is spread over two, beside its neighbours' rows. */
const ROWS = 1_500
const EDITS = [
  "UPDATE users SET email = 'b' || id || '@x.io'",
  "UPDATE users SET email = 'a' || id || '@x.io'",
  'DELETE FROM users WHERE id % 3 = 0',
  `INSERT INTO users SELECT n, 'c' || n || '@x.io' FROM generate_series(1, ${ROWS}) n WHERE n % 6 = 0`,
  "UPDATE users SET email = 'd' || id || '@x.io' WHERE id % 2 = 0",
  "UPDATE users SET email = 'a' || id || '@x.io' WHERE id % 4 = 0",
]

async function withUsers(run: (database: TestDatabase, harness: CaptureHarness) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await using harness = await CaptureHarness.create(database, {
    create: 'CREATE TABLE users (id int PRIMARY KEY, email text)',
    profile: { $email: 'email' },
  })
  {
    await using _first = await harness.start()
    await database.query(`INSERT INTO users SELECT n, 'a' || n || '@x.io' FROM generate_series(1, ${ROWS}) n`)
    await harness.untilDesired(await expected(database))
  }
  await run(database, harness)
  await using _last = await harness.start()
  await harness.untilDesired(await expected(database))
}

async function expected(database: TestDatabase): Promise<JsonObject> {
  const rows = await database.query<{ id: number; email: string }>('SELECT id, email FROM users')
  return Object.fromEntries(rows.map(({ id, email }) => [String(id), { $email: [email] }]))
}

test('stored in order', () =>
  withUsers(async (database, harness) => {
    await using session = await harness.start()
    for (let round = 0; round < 3; round += 1) await session.inOneBatch(database, EDITS)
    await harness.untilDesired(await expected(database))
    const confirmed = session.stream.confirmed
    expect(confirmed).toEqual(confirmed.toSorted((a, b) => Number(a - b)))
  }))

test('stopped in the middle', () =>
  withUsers(async (database, harness) => {
    for (let round = 0; round < 3; round += 1) {
      await using session = await harness.start()
      await session.inOneBatch(database, EDITS)
      await new Promise(setImmediate) // the first batches are on their way
    }
  }))

test('taken over in the middle: nothing of what was read ahead is committed', () =>
  withUsers(async (database, harness) => {
    await using session = await harness.start()
    const before = await storedVersions(database)
    await session.inOneBatch(database, EDITS)
    await until(async () => (await storedVersions(database)) !== before, { what: 'the first commit', pollMs: 1 })
    await takeOver(harness.state)
    const stored = await storedVersions(database)
    await database.query('DELETE FROM users WHERE id = 1') // should it have been through with the others
    await expect(session.ended).rejects.toMatchObject({ code: 'capture_taken_over' })
    expect(await storedVersions(database)).toBe(stored)
  }))

async function storedVersions(database: TestDatabase): Promise<string | undefined> {
  const [row] = await database.query<{ versions: string }>(
    `SELECT md5(string_agg(xmin::text || key, ',' ORDER BY key)) AS versions FROM suprsync.source_row`,
  )
  return row?.versions
}
