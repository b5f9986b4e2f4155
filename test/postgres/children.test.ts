// Rows of child tables: inserted, changed, moved to another user, deleted, truncated; before, with and after their user. What a
// user should be depends only on the rows there are, whatever came first, stream or page.
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { CaptureHarness, type HarnessOptions } from '../support/capture-harness.ts'
import type { CaptureSession } from '../support/capture-session.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { testSeed } from '../support/seed.ts'
import { until } from '../support/wait.ts'
import { seededRandom } from '../support/workload.ts'

const CREATE = `
  CREATE TABLE users (id int PRIMARY KEY, code text NOT NULL, email text);
  CREATE TABLE devices (id int PRIMARY KEY, user_id int, token text, revoked_at timestamptz);
  CREATE TABLE emails (user_id int, address text, PRIMARY KEY (user_id, address))`

const OPTIONS: HarnessOptions = {
  create: CREATE,
  profile: { $email: 'email' },
  children: [
    { table: 'devices', user: ['user_id'], when: 'revoked_at == null', profile: { $androidpush: 'token' } },
    { table: 'emails', user: ['user_id'], profile: { $email: 'address' } },
  ],
}

interface World {
  readonly database: TestDatabase
  readonly harness: CaptureHarness
  readonly session: CaptureSession
}

async function world(run: (world: World) => Promise<void>, options: Partial<HarnessOptions> = {}): Promise<void> {
  await using database = await createTestDatabase()
  await using harness = await CaptureHarness.create(database, { ...OPTIONS, ...options })
  await using session = await harness.start({ paging: true })
  await run({ database, harness, session })
}

describe('a child row', () => {
  test('adds to its user, changes, moves and goes, each alone', () =>
    world(async ({ database, harness }) => {
      const { query } = bound(database)
      await query("INSERT INTO users VALUES (1, 'a', 'a@x.io'), (2, 'b', 'b@x.io')")
      await query("INSERT INTO devices VALUES (10, 1, 't10'), (11, 1, 't11')")
      await harness.untilDesired(users({ 1: ['a@x.io', 't10', 't11'], 2: ['b@x.io'] }))
      await query("UPDATE devices SET token = 't10b' WHERE id = 10")
      await harness.untilDesired(users({ 1: ['a@x.io', 't10b', 't11'], 2: ['b@x.io'] }))
      await query('UPDATE devices SET user_id = 2 WHERE id = 10')
      await harness.untilDesired(users({ 1: ['a@x.io', 't11'], 2: ['b@x.io', 't10b'] }))
      await query('UPDATE devices SET revoked_at = now() WHERE id = 11')
      await harness.untilDesired(users({ 1: ['a@x.io'], 2: ['b@x.io', 't10b'] }))
      await query('UPDATE devices SET revoked_at = NULL, user_id = NULL WHERE id = 11')
      await query('DELETE FROM devices WHERE id = 10')
      await harness.untilDesired(users({ 1: ['a@x.io'], 2: ['b@x.io'] }))
      await query('UPDATE devices SET user_id = 1')
      await query("UPDATE users SET email = 'c@x.io' WHERE id = 1")
      await harness.untilDesired(users({ 1: ['c@x.io', 't11'], 2: ['b@x.io'] }))
      await query('TRUNCATE devices')
      await harness.untilDesired(users({ 1: ['c@x.io'], 2: ['b@x.io'] }))
    }))

  test('may come before its user, with it in one transaction, and stay when the user goes and comes back', () =>
    world(async ({ database, harness, session }) => {
      const { query } = bound(database)
      await query("INSERT INTO devices VALUES (10, 1, 't10')")
      await query("INSERT INTO devices VALUES (20, 2, 't20'); INSERT INTO users VALUES (2, 'b', NULL)")
      await harness.untilDesired(users({ 2: ['', 't20'] }))
      await query("INSERT INTO users VALUES (1, 'a', 'a@x.io')")
      await harness.untilDesired(users({ 1: ['a@x.io', 't10'], 2: ['', 't20'] }))
      await query('DELETE FROM users WHERE id = 1')
      await harness.untilDesired(users({ 2: ['', 't20'] }))
      await session.inOneBatch(database, [
        "INSERT INTO users VALUES (1, 'a', 'again@x.io')",
        "UPDATE devices SET token = 't10b' WHERE id = 10",
      ])
      await harness.untilDesired(users({ 1: ['again@x.io', 't10b'], 2: ['', 't20'] }))
    }))

  test('the same token twice counts once, and stays until both rows are gone', () =>
    world(async ({ database, harness }) => {
      const { query } = bound(database)
      await query("INSERT INTO users VALUES (1, 'a', 'a@x.io')")
      await query("INSERT INTO devices VALUES (10, 1, 'same'), (11, 1, 'same')")
      await query("INSERT INTO emails VALUES (1, 'a@x.io'), (1, 'second@x.io')")
      const both = { $email: ['a@x.io', 'second@x.io'], $androidpush: ['same'] }
      await harness.untilDesired({ 1: both })
      await query('DELETE FROM devices WHERE id = 10')
      await query("INSERT INTO users VALUES (9, 'z', NULL)") // told after it
      await harness.untilDesired({ 1: both, 9: {} })
      await query('DELETE FROM devices')
      await harness.untilDesired({ 1: { $email: both.$email }, 9: {} })
    }))

  test('belongs to the row that speaks for the user: with it goes over to the next one', () =>
    world(
      async ({ database, harness }) => {
        const { query } = bound(database)
        await query("INSERT INTO users VALUES (1, 'same', 'a@x.io'), (2, 'same', 'b@x.io')")
        await query("INSERT INTO devices VALUES (10, 1, 't10'), (20, 2, 't20')")
        await harness.untilDesired({ same: { $email: ['a@x.io'], $androidpush: ['t10'] } })
        await query('DELETE FROM users WHERE id = 1')
        await harness.untilDesired({ same: { $email: ['b@x.io'], $androidpush: ['t20'] } })
        await query("UPDATE users SET code = 'other'")
        await harness.untilDesired({ other: { $email: ['b@x.io'], $androidpush: ['t20'] } })
      },
      { distinctId: 'code' },
    ))

  test('names a user with a composite key', () =>
    world(
      async ({ database, harness }) => {
        const { query } = bound(database)
        await query("INSERT INTO users VALUES ('a', 1, 'u1'), ('b', 1, 'u2')")
        await query("INSERT INTO devices VALUES (10, 'b', 1, 't10'), (11, NULL, 1, 'nobody')")
        await harness.untilDesired({ u1: {}, u2: { $androidpush: ['t10'] } })
      },
      {
        create: `CREATE TABLE users (tenant text, id int, code text NOT NULL, PRIMARY KEY (tenant, id));
          CREATE TABLE devices (id int PRIMARY KEY, tenant text, user_id int, token text)`,
        distinctId: 'code',
        profile: {},
        children: [{ table: 'devices', user: ['tenant', 'user_id'], profile: { $androidpush: 'token' } }],
      },
    ))

  test('of a page older than its change does not come back; TRUNCATE counts over a page that did not see it', () =>
    world(async ({ database, harness, session }) => {
      const { query } = bound(database)
      await query("INSERT INTO users VALUES (1, 'a', 'a@x.io')")
      await query("INSERT INTO devices VALUES (10, 1, 'old'), (11, 1, 'gone')")
      const before = await harness.pagesOf(1).page(null, 10)
      await query("UPDATE devices SET token = 'new' WHERE id = 10")
      await query('DELETE FROM devices WHERE id = 11')
      await harness.untilDesired(users({ 1: ['a@x.io', 'new'] }))
      await session.storePage(before, { at: 1 })
      expect(await harness.desired()).toEqual(users({ 1: ['a@x.io', 'new'] }))
      const untruncated = await harness.pagesOf(1).page(null, 10)
      await query('TRUNCATE devices, users')
      await query("INSERT INTO users VALUES (1, 'a', 'b@x.io')")
      await harness.untilDesired(users({ 1: ['b@x.io'] }))
      await session.storePage(untruncated, { at: 1 })
      expect(await harness.desired()).toEqual(users({ 1: ['b@x.io'] }))
    }))
})

test('a huge transaction, stored in slices: users whose child came in it wait for its end', () =>
  world(async ({ database, harness, session }) => {
    const { query } = bound(database)
    session.stream.hold()
    await query(`INSERT INTO devices SELECT n, n % 50, 't' || n FROM generate_series(1, 4000) n;
      INSERT INTO users VALUES (1, 'a', 'a@x.io')`)
    await until(() => session.stream.heldTransactions === 1, { what: 'the transaction' })
    // The user comes with a page, the end of its devices' transaction is not there yet.
    session.stream.releaseFirst(3_500)
    await until(async () => (await harness.rows()).has('3000'), { what: 'the slices' })
    await session.storePage(await harness.pages.page(null, 10))
    const user = async () => (await harness.users()).get('1')
    expect(await user()).toMatchObject({ claimable: false, desired: { channels: { $email: ['a@x.io'] } } })
    session.stream.release()
    await until(async () => (await user())?.claimable, { what: 'the end of the transaction' })
    expect((await user())?.desired?.channels.$androidpush).toHaveLength(80)
  }))

test('random histories of users and children, with pages stored late: in the end every user is as the tables say', () =>
  world(async (it) => {
    const { database, harness, session } = it
    const random = seededRandom(testSeed())
    const { query } = bound(database)
    const any = (most: number) => 1 + Math.floor(random() * most)
    const statements = [
      () =>
        `INSERT INTO users VALUES (${any(6)}, 'c', 'u${any(99)}@x.io') ON CONFLICT (id) DO UPDATE SET email = excluded.email`,
      () => `DELETE FROM users WHERE id = ${any(6)}`,
      () =>
        `INSERT INTO devices VALUES (${any(12)}, ${any(6)}, 't${any(9)}') ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, token = excluded.token`,
      () => `UPDATE devices SET user_id = ${any(6)} WHERE id = ${any(12)}`,
      () =>
        `UPDATE devices SET id = id + 100, token = 'moved' WHERE id = ${any(12)} AND NOT EXISTS (SELECT FROM devices d WHERE d.id = devices.id + 100)`,
      () => `UPDATE devices SET revoked_at = CASE WHEN revoked_at IS NULL THEN now() END WHERE id = ${any(12)}`,
      () => `DELETE FROM devices WHERE id = ${any(12)}`,
      () => `INSERT INTO emails VALUES (${any(6)}, 'e${any(5)}@x.io') ON CONFLICT DO NOTHING`,
      () => `UPDATE emails SET user_id = ${any(6)} WHERE user_id = ${any(6)} AND address = 'e${any(5)}@x.io'
        AND NOT EXISTS (SELECT FROM emails e WHERE e.address = emails.address AND e.user_id <> emails.user_id)`,
      () => `DELETE FROM emails WHERE user_id = ${any(6)}`,
      () => (random() < 0.1 ? 'TRUNCATE devices' : 'SELECT 1'),
    ]
    const pick = () => statements[Math.floor(random() * statements.length)]?.() ?? ''
    const pages: (() => Promise<void>)[] = []
    for (let step = 0; step < 250; step += 1) {
      if (step % 20 === 0) session.stream.hold()
      if (step % 20 === 13) session.stream.release()
      await query(random() < 0.3 ? `${pick()}; ${pick()}` : pick())
      if (step % 7 === 0) {
        const at = Math.floor(random() * 3)
        const page = await harness.pagesOf(at).page(null, 100)
        pages.push(() => session.storePage(page, { at }))
      }
      if (random() < 0.15) await pages.splice(Math.floor(random() * pages.length), 1)[0]?.()
    }
    session.stream.release()
    for (const store of pages) await store()
    await query("INSERT INTO users VALUES (99, 'end', 'end@x.io')")
    await until(async () => (await harness.users()).get('99')?.desired, { what: 'the end of the stream' })
    expect(sets(await harness.desired())).toEqual(await assembled(database))
  }))

/** From the tables themselves, by SQL. */
async function assembled(database: TestDatabase): Promise<JsonObject> {
  const rows = await database.query<{ id: string; emails: string[]; tokens: string[] }>(`
    SELECT u.id::text, ARRAY(SELECT DISTINCT x FROM (SELECT u.email AS x UNION SELECT e.address FROM emails e WHERE e.user_id = u.id) s WHERE x IS NOT NULL ORDER BY x) AS emails,
      ARRAY(SELECT DISTINCT d.token FROM devices d WHERE d.user_id = u.id AND d.revoked_at IS NULL ORDER BY 1) AS tokens
    FROM users u`)
  return Object.fromEntries(
    rows.map(({ id, emails, tokens }) => [
      id,
      { ...(emails.length > 0 && { $email: emails }), ...(tokens.length > 0 && { $androidpush: tokens }) },
    ]),
  )
}

function sets(desired: { readonly [id: string]: object }): object {
  return Object.fromEntries(
    Object.entries(desired).map(([id, user]) => [
      id,
      Object.fromEntries(Object.entries(user).map(([key, values]) => [key, [...values].sort()])),
    ]),
  )
}

/** `[email, ...tokens]` of each user. */
function users(of: { readonly [id: string]: readonly string[] }): JsonObject {
  return Object.fromEntries(
    Object.entries(of).map(([id, [email = '', ...tokens]]) => [
      id,
      { ...(email !== '' && { $email: [email] }), ...(tokens.length > 0 && { $androidpush: tokens }) },
    ]),
  )
}

function bound(database: TestDatabase) {
  return { query: (text: string) => database.query(text) }
}
