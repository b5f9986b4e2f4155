// Which child row names which user, by their texts, against the server's own `=` over the same values: for every pair of types
// that is accepted both say the same, and every pair that is refused is accepted once the SQL that is printed was run.
import { expect, test } from 'vitest'
import { checkDatabases } from '../../src/commands/preflight.ts'
import { loadConfig } from '../../src/config/load.ts'
import { compileUserKey } from '../../src/core/user-key.ts'
import { rawTypes } from '../../src/postgres/connection.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { describe as described } from '../support/followed-table.ts'

const PREPARE = `
  SET client_min_messages TO warning;
  CREATE EXTENSION citext;
  CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE TYPE mood AS ENUM ('ok', 'sad');
  CREATE DOMAIN cents AS numeric(12, 2);
  CREATE DOMAIN more_cents AS cents;
  CREATE DOMAIN short AS char(4)`

/** Values that are equal to one another, or nearly, in the spellings that the type takes. */
const NUMBERS = ['7', '7.0', '7.00', '70', '7.5', '0', '-0', '-7']
const WHOLE = ['7', '70', '0', '-7']
const TEXTS = ['ada', 'Ada', 'ada ', ' ada', '7']
const VALUES: Readonly<Record<string, readonly string[]>> = {
  ...{ smallint: WHOLE, integer: WHOLE, bigint: WHOLE, oid: ['7', '70'] },
  ...{ numeric: NUMBERS, 'numeric(10,2)': NUMBERS, 'numeric(8,0)': NUMBERS, more_cents: NUMBERS },
  ...{ real: NUMBERS, 'double precision': NUMBERS },
  ...{ text: TEXTS, 'varchar(20)': TEXTS, 'char(5)': TEXTS, 'char(10)': TEXTS, short: TEXTS, citext: TEXTS },
  ...{ 'text COLLATE ci': TEXTS, 'text COLLATE "C"': TEXTS, name: TEXTS },
  uuid: ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11'],
  ...{ boolean: ['t', 'yes', 'f'], mood: ['ok', 'sad'] },
  date: ['2024-01-02', '2024-01-03', 'infinity'],
  timestamp: ['2024-01-02', '2024-01-02 00:00:00.000', '2024-01-02 00:00:00.5', '2024-01-02 00:00:00.500'],
  'timestamp(3)': ['2024-01-02', '2024-01-02 00:00:00.5'],
  timestamptz: ['2024-01-02 00:00:00+00', '2024-01-02 01:00:00+01', '2024-01-02 00:00:00.50+00'],
  time: ['12:00', '12:00:00.0'],
  timetz: ['12:00+00', '13:00+01'],
  interval: ['1 day', '24 hours', '86400 seconds'],
  jsonb: ['1', '1.0', '{"a":1,"b":2}', '{"b":2,"a":1}'],
  inet: ['10.0.0.1', '10.0.0.1/32', '10.0.0.1/8'],
  ...{ 'bit(3)': ['101', '100'], 'bit varying(4)': ['101', '1010'] },
  'integer[]': ['{1,2}', '[1:2]={1,2}', '[2:3]={1,2}'],
  'numeric[]': ['{1,2}', '{1.0,2}'],
  int4range: ['[1,3)', '[1,2]', '(0,2]'],
  numrange: ['[1,3)', '[1.0,3)'],
}

/** Families whose members PostgreSQL compares with one another, so that an application may join them. */
const FAMILIES = [
  [
    'smallint',
    'integer',
    'bigint',
    'numeric',
    'numeric(10,2)',
    'numeric(8,0)',
    'more_cents',
    'real',
    'double precision',
  ],
  ['text', 'varchar(20)', 'char(5)', 'char(10)', 'short', 'citext', 'text COLLATE ci', 'text COLLATE "C"', 'name'],
  ['date', 'timestamp', 'timestamp(3)', 'timestamptz'],
]
const PAIRS = [
  ...FAMILIES.flatMap((family) => family.flatMap((key) => family.map((user) => [key, user] as const))),
  ...Object.keys(VALUES)
    .filter((type) => !FAMILIES.some((family) => family.includes(type)))
    .map((type) => [type, type] as const),
]

async function makeTables(database: TestDatabase, key: string, user: string): Promise<void> {
  await database.query(`
    DROP TABLE IF EXISTS users, children;
    CREATE TABLE users (id ${key} PRIMARY KEY);
    CREATE TABLE children (nr int PRIMARY KEY, user_id ${user}, phone text)`)
  for (const value of VALUES[key] ?? []) {
    await database.query(`INSERT INTO users VALUES ($1::text::${bare(key)}) ON CONFLICT DO NOTHING`, [value])
  }
  for (const [nr, value] of (VALUES[user] ?? []).entries()) {
    await database.query(`INSERT INTO children VALUES (${nr}, $1::text::${bare(user)})`, [value])
  }
}

const bare = (type: string) => type.replace(/ COLLATE .*/, '')

async function texts(database: TestDatabase, sql: string): Promise<readonly (readonly string[])[]> {
  // As the stream prints them: one session for all would do, for these settings.
  const client = await database.pool.connect()
  try {
    await client.query("SET TimeZone = 'UTC'; SET extra_float_digits = 3; SET IntervalStyle = iso_8601")
    return (await client.query<string[]>({ text: sql, rowMode: 'array', types: rawTypes })).rows
  } finally {
    client.release()
  }
}

/** Which children have a user, by the server and by us; null: refused. */
async function joined(database: TestDatabase): Promise<{ readonly theirs: unknown; readonly ours: unknown } | null> {
  const [users, child] = [await described(database, { name: 'users' }), await described(database, { name: 'children' })]
  const key = compileUserKey({ users, child, user: ['user_id'], path: 'user' })
  if (key.kind === 'invalid') return null
  // A text that is compared with a text of another collation needs to be told which: the key's, as in a foreign key.
  const collate = users.columns[0]?.collation === 'none' ? '' : ' COLLATE "default"'
  const theirs = await texts(
    database,
    `SELECT u.id, c.nr FROM users u JOIN children c ON u.id = c.user_id${collate} ORDER BY c.nr, u.id`,
  )
  const ids = (await texts(database, 'SELECT id FROM users ORDER BY id')).flat()
  const children = await texts(database, 'SELECT nr, user_id FROM children ORDER BY nr')
  const ours = children.flatMap(([nr, text = '']) => ids.filter((id) => id === key.read([text])).map((id) => [id, nr]))
  return { theirs, ours }
}

test('a child that the server joins with a user is joined with that user, and no other is', async () => {
  await using database = await createTestDatabase()
  await database.query(PREPARE)
  const accepted: string[] = []
  for (const [key, user] of PAIRS) {
    await makeTables(database, key, user)
    const found = await joined(database)
    if (found === null) continue
    expect({ key, user, join: found.ours }).toEqual({ key, user, join: found.theirs })
    accepted.push(`${key} <- ${user}`)
  }
  expect(accepted).toContain('bigint <- numeric')
  expect(accepted).toContain('more_cents <- integer')
  expect(accepted).toContain('char(10) <- short')
  expect(accepted).toContain('uuid <- uuid')
  expect(accepted).not.toContain('citext <- citext')
}, 120_000)

test.each([
  ['numeric', 'numeric'],
  ['citext', 'citext'],
  ['text', 'citext'],
  ['citext', 'text'],
  ['double precision', 'double precision'],
  ['bigint', 'double precision'],
  ['timestamp', 'date'],
  ['text', 'char(5)'],
  ['char(5)', 'text'],
  ['text COLLATE ci', 'text COLLATE ci'],
  ['text', 'text COLLATE ci'],
  ['uuid', 'text'],
])('%s named by %s: refused, and the SQL that is printed mends it', async (key, user) => {
  await using database = await createTestDatabase()
  await database.query(PREPARE)
  await database.query(`
    CREATE TABLE users (id ${key} PRIMARY KEY);
    CREATE TABLE children (nr int PRIMARY KEY, user_id ${user}, phone text)`)
  const file = JSON.stringify({
    version: 1,
    source: { url: database.url, table: 'users', slot: database.slot },
    suprsend: { api_key: 'key' },
    user: { distinct_id: 'id' },
    children: [{ table: 'children', user: 'user_id', profile: { $sms: 'phone' } }],
  })
  const config = await loadConfig({ path: 'test.json', env: {}, readFile: async () => file })
  const errors = async () => (await checkDatabases(config)).filter(({ level }) => level === 'error')
  const found = await errors()
  expect(found.map(({ code }) => code)).toEqual(['user_key_mismatch'])
  expect(found[0]?.message).toContain('"user_id"')
  await database.query(found[0]?.sql ?? '')
  expect(await errors()).toEqual([])
})
