// Rows and the users they are: several changes in one batch, exchanged values, keys and ids that move, ids of any spelling,
// TRUNCATE. Real server, real state; what is desired in the end is what the rows say.
import { expect, describe as group, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { CaptureHarness, type HarnessOptions } from '../support/capture-harness.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'

const USERS: HarnessOptions = {
  create: 'CREATE TABLE users (id int PRIMARY KEY, email text, phone text, note text)',
  profile: { $email: 'email', $sms: 'phone' },
}
const user = (email: string, phone?: string): JsonObject => ({ $email: [email], ...(phone && { $sms: [phone] }) })

async function withHarness(
  options: HarnessOptions,
  run: (database: TestDatabase, harness: CaptureHarness) => Promise<void>,
): Promise<void> {
  await using database = await createTestDatabase()
  await using harness = await CaptureHarness.create(database, options)
  await run(database, harness)
}

group('in one batch', () => {
  test('A, B, A writes the version although nothing differs; A, A writes nothing', () =>
    withHarness(USERS, async (database, harness) => {
      await using session = await harness.start()
      await database.query("INSERT INTO users VALUES (1, 'a@x.io')")
      await harness.untilDesired({ 1: user('a@x.io') })
      const before = (await harness.rows()).get('1')
      await session.inOneBatch(database, ["UPDATE users SET note = '1'", "UPDATE users SET note = '2'"])
      await until(() => (harness.counts.get('unmapped_noop') ?? 0) > 0, { what: 'the unmapped changes' })
      expect((await harness.rows()).get('1')).toEqual(before)
      await session.inOneBatch(database, ["UPDATE users SET email = 'b@x.io'", "UPDATE users SET email = 'a@x.io'"])
      await until(async () => (await harness.rows()).get('1')?.changeXid !== before?.changeXid, { what: 'the version' })
      expect(await harness.desired()).toEqual({ 1: user('a@x.io') })
    }))

  test('a page that saw the B of A, B, A brings nothing back', () =>
    withHarness(USERS, async (database, harness) => {
      await using session = await harness.start({ paging: true })
      await database.query("INSERT INTO users VALUES (1, 'a@x.io')")
      await harness.untilDesired({ 1: user('a@x.io') })
      session.stream.hold()
      await database.query("UPDATE users SET email = 'b@x.io'")
      const page = await harness.pages.page(null, 10)
      expect(page.rows).toEqual([['1', 'b@x.io', null]])
      const before = (await harness.rows()).get('1')?.changeXid
      await session.inOneBatch(database, ["UPDATE users SET email = 'a@x.io'"])
      await until(async () => (await harness.rows()).get('1')?.changeXid !== before, { what: 'the version' })
      await session.storePage(page)
      expect(await harness.desired()).toEqual({ 1: user('a@x.io') })
    }))

  test('inserted and deleted, deleted and inserted', () =>
    withHarness(USERS, async (database, harness) => {
      await using session = await harness.start()
      await database.query("INSERT INTO users VALUES (2, 'b@x.io'), (9, 'z@x.io')")
      await harness.untilDesired({ 2: user('b@x.io'), 9: user('z@x.io') })
      await session.inOneBatch(database, [
        "INSERT INTO users VALUES (1, 'a@x.io')",
        'DELETE FROM users WHERE id < 3',
        "INSERT INTO users VALUES (2, 'c@x.io')",
      ])
      await harness.untilDesired({ 2: user('c@x.io'), 9: user('z@x.io') })
      // The one that came and went is remembered as gone, and never was a user.
      expect((await harness.rows()).get('1')).toMatchObject({ part: null })
      expect([...(await harness.users()).keys()]).toEqual(['2', '9'])
    }))
})

test('two users swap their phones in one transaction', () =>
  withHarness(
    { ...USERS, create: `${USERS.create}; ALTER TABLE users ADD UNIQUE (phone) DEFERRABLE` },
    async (database, harness) => {
      await using _session = await harness.start()
      await database.query("INSERT INTO users VALUES (1, 'a', '+1'), (2, 'b', '+2')")
      await harness.untilDesired({ 1: user('a', '+1'), 2: user('b', '+2') })
      await database.query("UPDATE users SET phone = CASE id WHEN 1 THEN '+2' ELSE '+1' END")
      await harness.untilDesired({ 1: user('a', '+2'), 2: user('b', '+1') })
      for (const { claimable } of (await harness.users()).values()) expect(claimable).toBe(true)
    },
  ))

test('an e-mail set to NULL is absent; a rolled-back change never was', () =>
  withHarness(USERS, async (database, harness) => {
    await using _session = await harness.start()
    await database.query("INSERT INTO users VALUES (1, 'a@x.io', '+1'), (2, 'b@x.io', '+2')")
    await database.query("BEGIN; UPDATE users SET email = 'wrong'; SAVEPOINT s; DELETE FROM users; ROLLBACK")
    await database.query('UPDATE users SET email = NULL WHERE id = 1')
    await harness.untilDesired({ 1: { $sms: ['+1'] }, 2: user('b@x.io', '+2') })
  }))

test('a row that must not be a user, when it comes, when it becomes one and when it ceases to be one', () =>
  withHarness({ ...USERS, when: 'note != "off"' }, async (database, harness) => {
    await using _session = await harness.start()
    await database.query("INSERT INTO users VALUES (1, 'a', NULL, 'off'), (2, 'b', NULL, 'on')")
    await harness.untilDesired({ 2: user('b') })
    expect((await harness.rows()).get('1')).toMatchObject({ part: null, distinctId: '1' })
    await database.query("UPDATE users SET note = CASE note WHEN 'on' THEN 'off' ELSE 'on' END")
    await harness.untilDesired({ 1: user('a') })
    expect((await harness.users()).get('2')).toMatchObject({ desired: null })
  }))

group('keys and ids that move', () => {
  const ACCOUNTS: HarnessOptions = {
    create: 'CREATE TABLE users (id int PRIMARY KEY, account text NOT NULL, email text)',
    distinctId: 'account',
    profile: { $email: 'email' },
  }
  const insert = "INSERT INTO users VALUES (1, 'u', 'a'), (2, 'v', 'b')"

  async function started(database: TestDatabase, harness: CaptureHarness) {
    const session = await harness.start()
    await database.query(insert)
    await harness.untilDesired({ u: user('a'), v: user('b') })
    return session
  }

  test('a new primary key is the same user', () =>
    withHarness(ACCOUNTS, async (database, harness) => {
      await using _session = await started(database, harness)
      await database.query("UPDATE users SET id = 7, email = 'c' WHERE id = 1")
      await harness.untilDesired({ u: user('c'), v: user('b') })
      const rows = await harness.rows()
      expect(rows.get('1')).toMatchObject({ part: null })
      expect(rows.get('7')).toMatchObject({ distinctId: 'u', duplicate: false })
    }))

  test('a new distinct_id: the old user goes, the new one comes', () =>
    withHarness(ACCOUNTS, async (database, harness) => {
      await using _session = await started(database, harness)
      await database.query("UPDATE users SET account = 'w' WHERE id = 1")
      await harness.untilDesired({ v: user('b'), w: user('a') })
      expect((await harness.users()).get('u')).toMatchObject({ desired: null })
    }))

  test('two rows exchange their ids, in one transaction and in three', () =>
    withHarness(ACCOUNTS, async (database, harness) => {
      await using session = await started(database, harness)
      await database.query("UPDATE users SET account = CASE account WHEN 'u' THEN 'v' ELSE 'u' END")
      await harness.untilDesired({ u: user('b'), v: user('a') })
      const steps = [
        "UPDATE users SET account = 'tmp' WHERE id = 1",
        "UPDATE users SET account = 'v' WHERE id = 2",
        "UPDATE users SET account = 'u' WHERE id = 1",
      ]
      await session.inOneBatch(database, steps)
      await harness.untilDesired({ u: user('a'), v: user('b') })
      for (const step of [
        "UPDATE users SET account = 'tmp' WHERE id = 1",
        "UPDATE users SET account = 'u' WHERE id = 2",
        "UPDATE users SET account = 'v' WHERE id = 1",
      ])
        await database.query(step)
      await harness.untilDesired({ u: user('b'), v: user('a') })
      expect([...(await harness.rows()).values()].map((it) => it.duplicate)).toEqual([false, false])
    }))

  test.for([
    ['after the delete', ['DELETE FROM users WHERE id = 1', "UPDATE users SET account = 'u' WHERE id = 2"]],
    ['before the delete', ["UPDATE users SET account = 'u' WHERE id = 2", 'DELETE FROM users WHERE id = 1']],
  ] as const)('a row takes over the id of one that goes, %s', ([, steps]) =>
    withHarness(ACCOUNTS, async (database, harness) => {
      await using session = await started(database, harness)
      for (const step of steps) await database.query(step)
      await harness.untilDesired({ u: user('b') })
      await database.query("INSERT INTO users VALUES (3, 'w', 'c'), (4, 'x', 'd')")
      await session.inOneBatch(
        database,
        steps.map((step) => step.replace('id = 1', 'id = 3').replace("'u'", "'w'").replace('id = 2', 'id = 4')),
      )
      await harness.untilDesired({ u: user('b'), w: user('d') })
      expect((await harness.users()).get('v')?.desired).toBeNull()
    }),
  )

  test('of two rows with one id the lower key speaks, until it is gone, has another id, or another one is lower', () =>
    withHarness(ACCOUNTS, async (database, harness) => {
      await using _session = await harness.start()
      await database.query("INSERT INTO users VALUES (10, 'u', 'ten')")
      await harness.untilDesired({ u: user('ten') })
      const duplicates = async () =>
        [...(await harness.rows()).values()].filter((it) => it.duplicate).map((it) => it.key)
      await database.query("INSERT INTO users VALUES (9, 'u', 'nine')")
      await harness.untilDesired({ u: user('nine') })
      expect(await duplicates()).toEqual(['10'])
      await database.query(
        "UPDATE users SET email = 'changed' WHERE id = 10; INSERT INTO users VALUES (11, 'u', 'eleven'), (12, 'other', 'o')",
      )
      await harness.untilDesired({ other: user('o'), u: user('nine') })
      expect(await duplicates()).toEqual(['10', '11'])
      await database.query("UPDATE users SET account = 'w' WHERE id = 9")
      await harness.untilDesired({ other: user('o'), u: user('changed'), w: user('nine') })
      expect(await duplicates()).toEqual(['11'])
      await database.query('DELETE FROM users WHERE id = 10')
      await harness.untilDesired({ other: user('o'), u: user('eleven'), w: user('nine') })
      expect(await duplicates()).toEqual([])
    }))
})

test('ids of any spelling: beyond 2^53, slashes, per cent, blanks, quotes, emoji; keys of several columns', () =>
  withHarness(
    {
      create: 'CREATE TABLE "App Users" (tenant text, "Number" int8, "E-Mail" text, PRIMARY KEY ("Number", tenant))',
      table: { name: 'App Users' },
      distinctId: 'Number',
      profile: { $email: 'E-Mail' },
    },
    async (database, harness) => {
      await using _session = await harness.start()
      await database.query(
        `INSERT INTO "App Users" VALUES ('a/b %', 9007199254740993, 'a'), (E'🙂 "q", \\\\', 9223372036854775807, 'b'), ('', -1, 'c')`,
      )
      await harness.untilDesired({
        '-1': user('c'),
        '9007199254740993': user('a'),
        '9223372036854775807': user('b'),
      })
      expect([...(await harness.rows()).keys()].toSorted()).toEqual(
        [
          ['9007199254740993', 'a/b %'],
          ['9223372036854775807', '🙂 "q", \\'],
          ['-1', ''],
        ]
          .map((it) => JSON.stringify(it))
          .toSorted(),
      )
      await database.query(
        `UPDATE "App Users" SET tenant = tenant || '!' WHERE "Number" > 0; DELETE FROM "App Users" WHERE tenant = ''`,
      )
      await harness.untilDesired({ '9007199254740993': user('a'), '9223372036854775807': user('b') })
    },
  ))

group('TRUNCATE', () => {
  test('in slices, and pages that were read before it, with rows that state never heard of', () =>
    withHarness(
      { ...USERS, create: `${USERS.create}; INSERT INTO users SELECT n, 'old' FROM generate_series(9001, 9010) n` },
      async (database, harness) => {
        await using session = await harness.start({ paging: true })
        await database.query("INSERT INTO users SELECT n, 'e' || n FROM generate_series(1, 4500) n")
        await until(async () => (await harness.rows()).size === 4_500, { what: 'the rows' })
        const page = await harness.pages.page(null, 10_000)
        expect(page.rows).toHaveLength(4_510)
        await session.inOneBatch(database, ['TRUNCATE users', "INSERT INTO users VALUES (1, 'again'), (5000, 'new')"])
        const left = { 1: user('again'), 5000: user('new') }
        await harness.untilDesired(left)
        await session.storePage(page)
        expect(await harness.desired()).toEqual(left)
        expect([...(await harness.rows()).values()].filter((it) => it.part !== null)).toHaveLength(2)
        await session.storePage(await harness.pages.page(null, 10_000))
        expect(await harness.desired()).toEqual(left)
      },
    ))

  test('then the same rows again', () =>
    withHarness(USERS, async (database, harness) => {
      await using _session = await harness.start()
      for (let round = 0; round < 2; round += 1) {
        await database.query("INSERT INTO users VALUES (1, 'a'), (2, 'b')")
        await harness.untilDesired({ 1: user('a'), 2: user('b') })
        await database.query('TRUNCATE users')
        await harness.untilDesired({})
      }
    }))

  test('within a transaction, among changes before and after it', () =>
    withHarness(USERS, async (database, harness) => {
      await using _session = await harness.start()
      await database.query("INSERT INTO users VALUES (1, 'a'), (2, 'b')")
      await database.query(
        "BEGIN; INSERT INTO users VALUES (3, 'c'); UPDATE users SET email = 'x'; TRUNCATE users; INSERT INTO users VALUES (2, 'z'), (4, 'd'); COMMIT",
      )
      await harness.untilDesired({ 2: user('z'), 4: user('d') })
      await database.query('TRUNCATE users')
      await harness.untilDesired({})
    }))

  test('received again after a crash: what came after it stays', () =>
    withHarness(USERS, async (database, harness) => {
      {
        await using _session = await harness.start()
        await database.query("INSERT INTO users VALUES (1, 'a'), (2, 'b')")
        await harness.untilDesired({ 1: user('a'), 2: user('b') })
        await database.query("BEGIN; TRUNCATE users; INSERT INTO users VALUES (2, 'z'); COMMIT")
        await harness.untilDesired({ 2: user('z') })
      }
      // As if the commit of its last slice had never happened.
      const { lsn } = await harness.checkpoint()
      await database.query(
        'UPDATE suprsync.checkpoint SET lsn = (SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1)',
        [database.slot],
      )
      await using _session = await harness.start()
      await database.query("INSERT INTO users VALUES (3, 'c')")
      await harness.untilDesired({ 2: user('z'), 3: user('c') })
      expect((await harness.checkpoint()).lsn > lsn).toBe(true)
    }))
})
