// What rows look like on the replication stream: values as the server's own text, equal to those of pages; identities,
// unchanged TOAST, and tables that changed their shape between the WAL and now.

import pg from 'pg'
import { expect, describe as group, test } from 'vitest'
import { parseLsn } from '../../src/core/lsn.ts'
import { REREAD, UNCHANGED } from '../../src/core/row.ts'
import type { RowEvent } from '../../src/core/stream-event.ts'
import { connectionConfig } from '../../src/postgres/connection.ts'
import { PageReader } from '../../src/postgres/pages.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { describe, type FollowedName, Follower, publish } from '../support/followed-table.ts'

/** Text that does not compress, so that it is stored out of line. */
const LARGE = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n)"

interface Scene {
  readonly create: string
  readonly changes: string
  /** After the changes are in the WAL, before anybody reads them. */
  readonly later?: string
  readonly table?: FollowedName
  readonly columns?: readonly string[]
}

/** What the changes look like on the stream, in order, and which columns were told to be reshaped. */
async function streamed(database: TestDatabase, { create, changes, later, table, columns }: Scene) {
  const startLsn = await publish(database, create, table && [table])
  await database.query(changes)
  if (later) await database.query(later)
  const described = await describe(database, table, columns)
  await using follower = await Follower.open(database, described, { startLsn })
  await database.query('CREATE TABLE the_end (id int)')
  const [end] = await database.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
  const endLsn = parseLsn(end?.lsn ?? '')
  await follower.until(
    'everything',
    () => follower.events.some((it) => it.kind === 'keepalive' && it.lsn >= endLsn),
    20_000,
  )
  return {
    changes: follower.changes,
    reshaped: follower.events.flatMap((event) => (event.kind === 'reshaped' ? event.columns : [])),
    table: described,
  }
}

const rowOf = (change: RowEvent | undefined) =>
  change?.kind === 'insert' || change?.kind === 'update' ? change.row : null

test('every value arrives as the text that PostgreSQL prints, the same as from a page', async () => {
  await using database = await createTestDatabase()
  const create = `
    CREATE TYPE mood AS ENUM ('sad', 'very happy');
    CREATE DOMAIN address AS text CHECK (value LIKE '%@%');
    CREATE TABLE users (id int8 PRIMARY KEY, doc jsonb, at timestamptz, local timestamp, day date, never timestamptz, moods mood[],
      price numeric, ratio float8, small float4, yes boolean, raw bytea, span interval, tags text[], mail address, code char(5),
      empty text, nothing text, who uuid, address inet, bits bit(3), "time" time)`
  const changes = `
    INSERT INTO users VALUES (9223372036854775807, '{"n": 12345678901234567890.10, "a": [1e2]}',
      '2024-02-29 23:59:59.123456+05:30', '2024-02-29 00:00:00.000001', '2024-02-29', 'infinity', '{sad,"very happy"}',
      'NaN', 0.1::float8 + 0.2::float8, 0.1, true, '\\x00ff', '1 year 2 mons -3 days 04:05:06.7', '{"a,b",NULL,"\\"é"}', 'a@b.io', 'ab',
      '', NULL, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '10.1.2.3/32', B'101', '23:59:59.5')`
  const { changes: events, table, reshaped } = await streamed(database, { create, changes })
  expect(reshaped).toEqual([]) // a domain's column is described as what it is
  const row = rowOf(events[0])
  expect(Object.fromEntries(table.wanted.map((column, index) => [column.name, row?.[index]]))).toEqual({
    id: '9223372036854775807',
    doc: '{"a": [100], "n": 12345678901234567890.10}',
    at: '2024-02-29 18:29:59.123456+00',
    local: '2024-02-29 00:00:00.000001',
    day: '2024-02-29',
    never: 'infinity',
    moods: '{sad,"very happy"}',
    price: 'NaN',
    ratio: '0.30000000000000004',
    small: '0.1',
    yes: 't',
    raw: '\\x00ff',
    span: 'P1Y2M-3DT4H5M6.7S',
    tags: '{"a,b",NULL,"\\"é"}',
    mail: 'a@b.io',
    code: 'ab   ',
    empty: '',
    nothing: null,
    who: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    address: '10.1.2.3',
    bits: '101',
    time: '23:59:59.5',
  })
  const pool = new pg.Pool(connectionConfig(database.url))
  try {
    const pages = new PageReader(pool, table)
    expect((await pages.page(null, 10)).rows).toEqual([row])
    expect((await pages.rows([['9223372036854775807'], ['1']])).rows).toEqual([row])
  } finally {
    await pool.end()
  }
})

test('names of any spelling; other tables, rolled back and unwanted columns bring nothing', async () => {
  await using database = await createTestDatabase()
  const scene = await streamed(database, {
    create: `CREATE SCHEMA "My.Schema"; CREATE TABLE "My.Schema"."App ""Users""" ("Id" int PRIMARY KEY, secret text, "E-Mail é" text);
      CREATE TABLE users ("Id" int PRIMARY KEY)`,
    changes: `INSERT INTO "My.Schema"."App ""Users""" VALUES (1, 'hidden', 'a@x.io'); INSERT INTO users VALUES (1)`,
    later: `BEGIN; INSERT INTO "My.Schema"."App ""Users""" VALUES (2, 'x', 'y'); ROLLBACK`,
    table: { schema: 'My.Schema', name: 'App "Users"' },
    columns: ['E-Mail é'],
  })
  expect(scene.changes.map(rowOf)).toEqual([['1', 'a@x.io']])
})

group('identities', () => {
  const create = 'CREATE TABLE users (email text, a int, b text, PRIMARY KEY (b, a))'
  const changes = `INSERT INTO users VALUES ('x', 1, 'k'); UPDATE users SET email = 'y'; UPDATE users SET a = 2;
    UPDATE users SET a = 2, b = 'l', email = NULL; DELETE FROM users`
  const expected = [
    { kind: 'insert', row: ['k', '1', 'x'] },
    { kind: 'update', oldKey: null, row: ['k', '1', 'y'] },
    { kind: 'update', oldKey: ['k', '1'], row: ['k', '2', 'y'] },
    { kind: 'update', oldKey: ['k', '2'], row: ['l', '2', null] },
    { kind: 'delete', key: ['l', '2'] },
  ]

  test('the primary key, in its own order; what a key-only old tuple leaves out is never NULL', async () => {
    await using database = await createTestDatabase()
    const scene = await streamed(database, { create, changes })
    expect(scene.changes).toMatchObject(expected)
  })

  test('REPLICA IDENTITY FULL tells the same', async () => {
    await using database = await createTestDatabase()
    const scene = await streamed(database, { create: `${create}; ALTER TABLE users REPLICA IDENTITY FULL`, changes })
    expect(scene.changes).toMatchObject(expected)
  })

  test('partitioned, through its root: moving to another partition is a delete and an insert', async () => {
    await using database = await createTestDatabase()
    const { changes: events, table } = await streamed(database, {
      create: `CREATE TABLE users (id int, region text, email text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
        CREATE TABLE users_eu (email text, region text, id int, PRIMARY KEY (id, region)) ;
        ALTER TABLE users_eu ALTER region SET NOT NULL;
        ALTER TABLE users ATTACH PARTITION users_eu FOR VALUES IN ('eu');
        CREATE TABLE users_us PARTITION OF users FOR VALUES IN ('us')`,
      changes: `INSERT INTO users VALUES (1, 'eu', 'a'); UPDATE users SET email = 'b'; UPDATE users SET region = 'us'; DELETE FROM users`,
      table: { name: 'users', partitioned: true },
    })
    expect(events.map((event) => event.kind === 'truncate' || event.table)).toEqual(new Array(5).fill(table.oid))
    expect(events).toMatchObject([
      { kind: 'insert', row: ['1', 'eu', 'a'] },
      { kind: 'update', oldKey: null, row: ['1', 'eu', 'b'] },
      { kind: 'delete', key: ['1', 'eu'] },
      { kind: 'insert', row: ['1', 'us', 'b'] },
      { kind: 'delete', key: ['1', 'us'] },
    ])
  })

  test('TRUNCATE names the table once, whatever else it empties', async () => {
    await using database = await createTestDatabase()
    const scene = await streamed(database, {
      create: 'CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE other (id int REFERENCES users)',
      changes: 'INSERT INTO users VALUES (1); TRUNCATE users CASCADE; TRUNCATE other',
    })
    expect(scene.changes).toEqual([
      { kind: 'insert', table: scene.table.oid, row: ['1'] },
      { kind: 'truncate', tables: [scene.table.oid] },
    ])
  })
})

group('a value stored out of line', () => {
  const create = 'CREATE TABLE users (id int PRIMARY KEY, bio text, seen int)'
  const changes = `INSERT INTO users VALUES (1, ${LARGE}, 0); UPDATE users SET seen = 1; UPDATE users SET id = 2; UPDATE users SET bio = NULL`

  test('that an UPDATE does not touch is unchanged, not NULL', async () => {
    await using database = await createTestDatabase()
    const scene = await streamed(database, { create, changes })
    const [, second, third, fourth] = scene.changes.map(rowOf)
    expect(rowOf(scene.changes[0])?.[1]).toHaveLength(32 * 400)
    expect(second).toEqual(['1', UNCHANGED, '1'])
    expect(third).toEqual(['2', UNCHANGED, '1'])
    expect(fourth).toEqual(['2', null, '1'])
  })

  test('is known with REPLICA IDENTITY FULL', async () => {
    await using database = await createTestDatabase()
    const scene = await streamed(database, { create: `${create}; ALTER TABLE users REPLICA IDENTITY FULL`, changes })
    const [first, second, third] = scene.changes.map(rowOf)
    expect(second).toEqual(['1', first?.[1], '1'])
    expect(third).toEqual(['2', first?.[1], '1'])
  })

  test('in the key itself', async () => {
    await using database = await createTestDatabase()
    const scene = await streamed(database, {
      create: `CREATE TABLE users (id text PRIMARY KEY, seen int); ALTER TABLE users ALTER id SET STORAGE EXTERNAL`,
      changes: `INSERT INTO users VALUES (repeat('k', 2500), 0); UPDATE users SET seen = 1; DELETE FROM users`,
    })
    const key = 'k'.repeat(2500)
    expect(scene.changes).toMatchObject([
      { kind: 'insert', row: [key, '0'] },
      { kind: 'update', oldKey: null, row: [key, '1'] },
      { kind: 'delete', key: [key] },
    ])
  })
})

group('a table that has another shape now', () => {
  const create = 'CREATE TABLE users (id int PRIMARY KEY, email text, age int)'
  const changes = "INSERT INTO users VALUES (1, 'a', 30); UPDATE users SET age = 31; DELETE FROM users"

  test.for([
    ['a column was added', 'ALTER TABLE users ADD plan text', ['1', 'a', '30', REREAD], ['plan']],
    ['a column was renamed', 'ALTER TABLE users RENAME email TO mail', ['1', REREAD, '30'], ['mail']],
    ['a column has another type', 'ALTER TABLE users ALTER age TYPE bigint', ['1', 'a', REREAD], ['age']],
    ['a column was dropped', 'ALTER TABLE users DROP email', ['1', '30'], []],
    [
      'a column was replaced by its namesake',
      'ALTER TABLE users DROP age; ALTER TABLE users ADD age text',
      ['1', 'a', REREAD],
      ['age'],
    ],
    ['the key has another type', 'ALTER TABLE users ALTER id TYPE bigint', ['1', 'a', '30'], []],
    ['the key was renamed', 'ALTER TABLE users RENAME id TO uid', ['1', 'a', '30'], []],
  ] as const)('%s: its value is read again', async ([, later, row, columns]) => {
    await using database = await createTestDatabase()
    const scene = await streamed(database, { create, changes, later })
    expect(rowOf(scene.changes[0])).toEqual(row)
    expect(scene.changes[2]).toMatchObject({ kind: 'delete', key: ['1'] })
    expect(scene.reshaped).toEqual(columns)
  })

  test('while it is being followed: the values before and after the change of shape', async () => {
    await using database = await createTestDatabase()
    const startLsn = await publish(database, create)
    await using follower = await Follower.open(database, await describe(database), { startLsn })
    await database.query("INSERT INTO users VALUES (1, 'a', 30)")
    await database.query(
      "ALTER TABLE users RENAME email TO mail; ALTER TABLE users ADD plan text; INSERT INTO users VALUES (2, 'b', 31, 'pro')",
    )
    await follower.until('both rows', () => follower.changes.length === 2)
    expect(follower.changes.map(rowOf)).toEqual([
      ['1', 'a', '30'],
      ['2', REREAD, '31'],
    ])
    expect(follower.events.filter((event) => event.kind === 'reshaped')).toMatchObject([{ columns: ['email'] }])
  })

  test.for([
    ['another column', 'ALTER TABLE users DROP CONSTRAINT users_pkey; ALTER TABLE users ADD PRIMARY KEY (age)'],
    ['a new column', 'ALTER TABLE users DROP id; ALTER TABLE users ADD uid int PRIMARY KEY DEFAULT 7'],
    ['a new column of the old name', 'ALTER TABLE users RENAME id TO uid; ALTER TABLE users RENAME age TO id'],
    [
      'one more column',
      'ALTER TABLE users DROP CONSTRAINT users_pkey; ALTER TABLE users ADD plan int DEFAULT 1, ADD PRIMARY KEY (id, plan)',
    ],
  ])(
    'the key is %s: a change that does not tell its row ends the stream, nothing is passed over',
    async ([, later = '']) => {
      await using database = await createTestDatabase()
      const startLsn = await publish(database, create)
      await database.query("INSERT INTO users VALUES (1, 'a', 30)")
      await database.query(later)
      const table = await describe(database)
      const follow = async () => {
        await using follower = await Follower.open(database, table, { startLsn })
        await follower.until('the row', () => follower.changes.length > 0)
      }
      await expect(follow()).rejects.toMatchObject({ code: 'protocol_key_missing' })
    },
  )
})
