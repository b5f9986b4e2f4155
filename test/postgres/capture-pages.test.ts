// Pages beside the stream (DESIGN §6): whichever of the two is stored later, the newer state of the row stays. And the
// backfill made of them: waits for what it could not see, resumes where it was, ends equal to the table.

import { expect, test } from 'vitest'
import { ALL_BUCKETS } from '../../src/core/buckets.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { CaptureHarness } from '../support/capture-harness.ts'
import type { CaptureSession } from '../support/capture-session.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { makeSender } from '../support/sender.ts'
import { until } from '../support/wait.ts'

interface World {
  readonly database: TestDatabase
  readonly harness: CaptureHarness
  readonly session: CaptureSession
}

async function world(run: (world: World) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  const create = "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'old'), (2, 'other')"
  await using harness = await CaptureHarness.create(database, { create, profile: { name: 'name' } })
  await using session = await harness.start({ paging: true })
  await run({ database, harness, session })
}

const names = (pairs: { readonly [id: string]: string }): JsonObject =>
  Object.fromEntries(Object.entries(pairs).map(([id, name]) => [id, { name }]))

/** Until everything that was changed so far went through capture: a row of its own is told last. */
async function streamed({ database, harness }: World): Promise<void> {
  await database.query("INSERT INTO users VALUES (99, 'end')")
  await until(async () => (await harness.rows()).get('99')?.part, { what: 'the stream to be stored' })
  await database.query('DELETE FROM users WHERE id = 99')
  await until(async () => (await harness.rows()).get('99')?.part === null, { what: 'the stream to be stored' })
}

test('an update: the page read before and stored after it', () =>
  world(async (it) => {
    const page = await it.harness.pages.page(null, 10)
    await it.database.query("UPDATE users SET name = 'new' WHERE id = 1")
    await streamed(it)
    await it.session.storePage(page)
    expect(await it.harness.desired()).toEqual(names({ 1: 'new', 2: 'other' }))
  }))

test('an update: the page that saw it stored before it is streamed, with all that came before', () =>
  world(async (it) => {
    it.session.stream.hold()
    await it.database.query("UPDATE users SET name = 'middle' WHERE id = 1")
    await it.database.query("UPDATE users SET name = 'new' WHERE id = 1")
    await it.session.storePage(await it.harness.pages.page(null, 10))
    expect(await it.harness.desired()).toEqual(names({ 1: 'new', 2: 'other' }))
    await until(() => it.session.stream.heldTransactions === 2, { what: 'both updates' })
    it.session.stream.releaseFirst(3) // begin, update, commit
    await until(() => it.harness.counts.get('older') === 1, { what: 'the first update to be refused' })
    expect(await it.harness.desired()).toEqual(names({ 1: 'new', 2: 'other' }))
    it.session.stream.release()
    await streamed(it)
    expect(await it.harness.desired()).toEqual(names({ 1: 'new', 2: 'other' }))
  }))

test('an update after the page, stored before it is streamed: the update counts', () =>
  world(async (it) => {
    it.session.stream.hold()
    const page = await it.harness.pages.page(null, 10)
    await it.database.query("UPDATE users SET name = 'new' WHERE id = 1")
    await it.session.storePage(page)
    expect(await it.harness.desired()).toEqual(names({ 1: 'old', 2: 'other' }))
    it.session.stream.release()
    await it.harness.untilDesired(names({ 1: 'new', 2: 'other' }))
  }))

test('a delete: the page read before and stored after it, of a row that state did not know', () =>
  world(async (it) => {
    const page = await it.harness.pages.page(null, 10)
    await it.database.query('DELETE FROM users WHERE id = 1')
    await streamed(it)
    await it.session.storePage(page)
    expect(await it.harness.desired()).toEqual(names({ 2: 'other' }))
    expect((await it.harness.rows()).get('1')).toMatchObject({ part: null })
    expect((await it.harness.users()).has('1')).toBe(false)
  }))

test('a delete: the page stored before it is streamed', () =>
  world(async (it) => {
    it.session.stream.hold()
    const page = await it.harness.pages.page(null, 10)
    await it.database.query('DELETE FROM users WHERE id = 1')
    await it.session.storePage(page)
    it.session.stream.release()
    await it.harness.untilDesired(names({ 2: 'other' }))
  }))

test('deleted and there again: neither the page before nor the one between wins', () =>
  world(async (it) => {
    const before = await it.harness.pages.page(null, 10)
    await it.database.query('DELETE FROM users WHERE id = 1')
    const between = await it.harness.pages.page(null, 10)
    await it.database.query("INSERT INTO users VALUES (1, 'again')")
    const after = await it.harness.pages.page(null, 10)
    await it.session.storePage(after)
    await it.session.storePage(before)
    await streamed(it)
    await it.session.storePage(between)
    await it.session.storePage(before)
    expect(await it.harness.desired()).toEqual(names({ 1: 'again', 2: 'other' }))
  }))

test('a transaction that was under way when the page was read, with a lower id than those it saw', () =>
  world(async (it) => {
    const application = await it.database.pool.connect()
    try {
      await application.query("BEGIN; UPDATE users SET name = 'new' WHERE id = 1")
      await it.database.query("UPDATE users SET name = 'seen' WHERE id = 2")
      const page = await it.harness.pages.page(null, 10)
      expect(page.rows).toEqual([
        ['1', 'old'],
        ['2', 'seen'],
      ])
      await application.query('COMMIT')
      await streamed(it)
      await it.session.storePage(page)
      expect(await it.harness.desired()).toEqual(names({ 1: 'new', 2: 'seen' }))
    } finally {
      application.release()
    }
  }))

test('the same page again writes no user, only that the rows were seen', () =>
  world(async (it) => {
    await it.session.storePage(await it.harness.pages.page(null, 10))
    const [users, rows] = [await it.harness.users(), await it.harness.rows()]
    await it.database.query('CREATE TABLE moves_the_snapshot ()')
    await it.session.storePage(await it.harness.pages.page(null, 10))
    expect(await it.harness.users()).toEqual(users)
    expect((await it.harness.rows()).get('1')?.readSnapshot).not.toBe(rows.get('1')?.readSnapshot)
  }))

test('a backfill waits for the transactions older than the slot, whose commits the stream may not bring', async () => {
  await using database = await createTestDatabase()
  const create = "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'old')"
  await using harness = await CaptureHarness.create(database, { create, profile: { name: 'name' } })
  const application = await database.pool.connect()
  try {
    await application.query("BEGIN; UPDATE users SET name = 'new'")
    // As if it had begun before the slot was made.
    await database.query('UPDATE suprsync.checkpoint SET start_xid = pg_current_xact_id()')
    await using session = await harness.start({ paging: true })
    const backfill = session.backfill()
    await until(() => harness.logged.some(({ message }) => message.includes('waits for transactions')), {
      what: 'the wait',
    })
    expect(await harness.desired()).toEqual({})
    await application.query('COMMIT')
    expect(await backfill).toBe(true)
    await harness.untilDesired({ 1: { name: 'new' } })
  } finally {
    application.release()
  }
})

test('a backfill while the rows change, ended and resumed: equal to the table', async () => {
  await using database = await createTestDatabase()
  const create = `CREATE TABLE users (id int PRIMARY KEY, name text);
    INSERT INTO users SELECT n, 'n' || n FROM generate_series(1, 6500) n`
  await using harness = await CaptureHarness.create(database, { create, profile: { name: 'name' } })
  await using session = await harness.start({ paging: true })
  const progress = () =>
    database.query<{ read: number; done: boolean }>(
      'SELECT rows_read::int AS read, finished_at IS NOT NULL AS done FROM suprsync.backfill',
    )
  const stop = new AbortController()
  const changes = (async () => {
    for (let at = 0; !stop.signal.aborted; at += 1) {
      const id = (at * 37) % 6_500
      await database.query('UPDATE users SET name = $1 WHERE id = $2', [`changed ${at}`, id])
      if (at % 5 === 0) await database.query('DELETE FROM users WHERE id = $1', [id + 1])
      if (at % 7 === 0)
        await database.query('INSERT INTO users VALUES ($1, $2) ON CONFLICT DO NOTHING', [id + 1, `new ${at}`])
    }
  })()
  try {
    const first = new AbortController()
    const ended = session.backfill(first.signal)
    await until(async () => ((await progress())[0]?.read ?? 0) >= 1_000, { what: 'a page', pollMs: 1 })
    first.abort()
    expect(await ended).toBe(false)
    const [{ read, done } = { read: 0, done: true }] = await progress()
    expect(done).toBe(false)
    expect(await session.backfill()).toBe(true)
    const [after] = await progress()
    expect(after?.done).toBe(true)
    // Resumed, not begun again: some rows came and went meanwhile.
    expect(after?.read).toBeGreaterThan(read)
    expect(after?.read).toBeLessThan(6_700)
  } finally {
    stop.abort()
    await changes
  }
  const rows = await database.query<{ id: number; name: string }>('SELECT id, name FROM users')
  await harness.untilDesired(names(Object.fromEntries(rows.map(({ id, name }) => [id, name]))), 20_000)
})

test('slices of a transaction are not claimable before its commit is stored, and are stored again after a crash', async () => {
  await using database = await createTestDatabase()
  await using harness = await CaptureHarness.create(database, {
    create: 'CREATE TABLE users (id int PRIMARY KEY, name text)',
    profile: { name: 'name' },
  })
  const sender = await makeSender(harness.state)
  const claim = async () =>
    (await sender.claim({ buckets: ALL_BUCKETS, limit: 100, lane: 0, token: crypto.randomUUID() })).claims
  {
    await using session = await harness.start({ held: true })
    await database.query("INSERT INTO users SELECT n, 'n' || n FROM generate_series(1, 10) n")
    await until(() => session.stream.heldTransactions === 1, { what: 'the transaction' })
    session.stream.releaseFirst(6) // begin and five rows
    await until(async () => (await harness.users()).size === 5, { what: 'the slice' })
    expect(await claim()).toEqual([])
  }
  await using session = await harness.start({ held: true })
  expect(await claim()).toEqual([])
  await until(() => session.stream.heldTransactions === 1, { what: 'the transaction again' })
  session.stream.releaseFirst(11) // all but the commit
  await until(async () => (await harness.users()).size === 10, { what: 'the slices' })
  expect(await claim()).toEqual([])
  session.stream.release()
  await until(async () => [...(await harness.users()).values()].every((it) => it.claimable), { what: 'the commit' })
  expect(await claim()).toHaveLength(10)
})

test('a row whose key changes while pages are read is in none of them; its user is not taken for gone', async () => {
  await using database = await createTestDatabase()
  const create = `CREATE TABLE users (id int PRIMARY KEY, code text NOT NULL, name text);
    INSERT INTO users SELECT n, 'u' || n, 'name' FROM generate_series(1, 60) n`
  await using harness = await CaptureHarness.create(database, { create, profile: { name: 'name' }, distinctId: 'code' })
  {
    await using first = await harness.start({ paging: true })
    await first.backfill()
  }
  await database.query(`
    INSERT INTO suprsync.backfill (era, source, reason, sweep) VALUES (1, 'public.users', 'test', true);
    INSERT INTO users VALUES (61, 'u61', 'late')`)
  await using session = await harness.start({ paging: true, held: true })
  const reading = Promise.withResolvers<void>()
  harness.onReadLsn = reading.resolve
  harness.pages.beforePage = async (cursor) => {
    // The first page showed the lowest keys, the second will show the rest: it moves from one to the other.
    if (cursor !== null) await database.query("UPDATE users SET id = 0 WHERE code = 'u55'")
  }
  const backfilled = session.backfill()
  await reading.promise
  expect(Object.keys(await harness.desired())).toHaveLength(61)
  session.stream.release()
  expect(await backfilled).toBe(true)
  expect(Object.keys(await harness.desired())).toHaveLength(61)
  expect((await harness.rows()).get('0')?.distinctId).toBe('u55')
  expect((await harness.rows()).get('55')?.part).toBeNull()
})
