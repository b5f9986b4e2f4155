// The table as the catalogue describes it, on a real server: every kind of column type, keys in key order, names that
// need quoting, and what is missing.
import { expect, test } from 'vitest'
import type { ColumnType, Table } from '../../src/core/row.ts'
import { describeTable, readTableFacts, resolveType } from '../../src/postgres/catalogue.ts'
import { connectionConfig, openClient, rawTypes } from '../../src/postgres/connection.ts'
import { identifySystem } from '../../src/postgres/system.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

async function describeOk(database: TestDatabase, name: string, wanted: readonly string[]): Promise<Table> {
  const description = await describeTable(database.pool, { schema: 'public', name }, wanted)
  if (description.kind !== 'ok') throw new Error(`missing: ${JSON.stringify(description.missing)}`)
  return description.table
}

function typeOf(table: Table, column: string): ColumnType | undefined {
  return table.columns.find(({ name }) => name === column)?.type
}

test('types: base, domain of a domain, enum, arrays of each, range, composite', async () => {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE TYPE mood AS ENUM ('ok');
    CREATE TYPE "Pair" AS (a int, b text);
    CREATE DOMAIN short AS varchar(20);
    CREATE DOMAIN shorter AS short CHECK (length(value) < 5);
    CREATE DOMAIN tags AS text[];
    CREATE TABLE t (
      id bigint PRIMARY KEY, short shorter NOT NULL, mood mood, moods mood[], shorts shorter[], tags tags, pair "Pair",
      pairs "Pair"[], boxes box[], span int4range, spans int4multirange, name varchar(10), price numeric(10,2), sys name,
      point point, codes int2vector
    )`)
  const table = await describeOk(database, 't', ['short'])
  expect(typeOf(table, 'id')).toMatchObject({ kind: 'base', oid: 20, baseOid: 20, name: 'bigint', element: null })
  const short = typeOf(table, 'short')
  expect(short).toMatchObject({ kind: 'base', baseOid: 1043, name: 'shorter' })
  expect(short?.oid).not.toBe(1043)
  expect(table.columns.find(({ name }) => name === 'short')?.notNull).toBe(true)
  expect(typeOf(table, 'mood')).toMatchObject({ kind: 'enum', name: 'mood' })
  expect(typeOf(table, 'moods')).toMatchObject({ kind: 'array', delimiter: ',', element: { kind: 'enum' } })
  expect(typeOf(table, 'shorts')).toMatchObject({ kind: 'array', element: { kind: 'base', baseOid: 1043 } })
  expect(typeOf(table, 'tags')).toMatchObject({ kind: 'array', baseOid: 1009, element: { baseOid: 25 } })
  expect(typeOf(table, 'pair')).toMatchObject({ kind: 'composite', name: '"Pair"' })
  expect(typeOf(table, 'pairs')).toMatchObject({ kind: 'array', element: { kind: 'composite' } })
  expect(typeOf(table, 'boxes')).toMatchObject({ kind: 'array', delimiter: ';', element: { baseOid: 603 } })
  expect(typeOf(table, 'span')).toMatchObject({ kind: 'range' })
  expect(typeOf(table, 'spans')).toMatchObject({ kind: 'range' })
  expect(typeOf(table, 'name')).toMatchObject({ name: 'character varying(10)', baseOid: 1043 })
  expect(typeOf(table, 'price')).toMatchObject({ name: 'numeric(10,2)', baseOid: 1700 })
  // These have a `typelem` too, but no text form with braces.
  for (const column of ['sys', 'point', 'codes'])
    expect(typeOf(table, column)).toMatchObject({ kind: 'base', element: null })
})

test('the key in key order comes first, names are exact, dropped columns are gone', async () => {
  await using database = await createTestDatabase()
  const name = 'App "Users".Ünïcode'
  await database.query(`
    CREATE TABLE "App ""Users"".Ünïcode" ("E-Mail" text, gone int, "tenant.Id" int, id int, "Ω" text,
      PRIMARY KEY (id, "tenant.Id") INCLUDE ("E-Mail"));
    ALTER TABLE "App ""Users"".Ünïcode" DROP COLUMN gone`)
  const table = await describeOk(database, name, ['Ω', 'id', 'E-Mail', 'Ω'])
  expect(table.key).toEqual(['id', 'tenant.Id'])
  expect(table.wanted.map((column) => column.name)).toEqual(['id', 'tenant.Id', 'Ω', 'E-Mail'])
  expect(table.columns.map((column) => column.name)).toEqual(['E-Mail', 'tenant.Id', 'id', 'Ω'])
  expect(table.name).toBe(name)
})

test('what is missing is named with what was probably meant', async () => {
  await using database = await createTestDatabase()
  await database.query('CREATE TABLE users (id int PRIMARY KEY, email text, phone text)')
  expect(await describeTable(database.pool, { schema: 'public', name: 'user' }, [])).toEqual({
    kind: 'missing',
    missing: [{ what: 'table', name: 'public.user', nearest: 'public.users' }],
  })
  expect(await describeTable(database.pool, { schema: 'public', name: 'users' }, ['emial', 'phone', 'zzz'])).toEqual({
    kind: 'missing',
    missing: [
      { what: 'column', name: 'emial', nearest: 'email' },
      { what: 'column', name: 'zzz', nearest: null },
    ],
  })
})

test('replica identity, unique columns, generated columns and the leaves of a partitioned table', async () => {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE TABLE p (id int, region text NOT NULL, email text, lower_email text GENERATED ALWAYS AS (lower(email)) STORED,
      PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE p_eu PARTITION OF p FOR VALUES IN ('eu') PARTITION BY RANGE (id);
    CREATE TABLE p_eu_1 PARTITION OF p_eu FOR VALUES FROM (0) TO (10);
    CREATE TABLE p_us PARTITION OF p FOR VALUES IN ('us');
    ALTER TABLE p_us REPLICA IDENTITY FULL;
    CREATE TABLE u (id int PRIMARY KEY DEFERRABLE, a text UNIQUE, b text, c text UNIQUE DEFERRABLE, d text);
    CREATE UNIQUE INDEX ON u (b) WHERE b <> '';
    CREATE UNIQUE INDEX ON u (lower(d))`)
  const partitioned = await readTableFacts(database.pool, { schema: 'public', name: 'p' })
  expect(partitioned).toMatchObject({
    kind: 'partitioned',
    hasChildren: false,
    isPartition: false,
    key: ['id', 'region'],
  })
  expect(partitioned?.generatedColumns).toEqual(['lower_email'])
  expect(
    partitioned?.storages.map(({ name, identity, identityColumns }) => [name.name, identity, identityColumns.length]),
  ).toEqual([
    ['p_eu_1', 'default', 2],
    ['p_us', 'full', 4],
  ])
  const unique = await readTableFacts(database.pool, { schema: 'public', name: 'u' })
  expect(unique?.uniqueColumns).toEqual(['a'])
  expect(unique?.storages[0]).toMatchObject({ deferrableKey: true, identityColumns: [] })
})

test('one type by OID, null once it is dropped, also on a client that parses nothing', async () => {
  await using database = await createTestDatabase()
  await database.query("CREATE TYPE mood AS ENUM ('ok')")
  const [row] = await database.query<{ oid: number }>("SELECT 'mood'::regtype::oid AS oid")
  const oid = row?.oid ?? 0
  const client = await openClient({ ...connectionConfig(database.url), types: rawTypes })
  try {
    expect(await resolveType(client, oid)).toMatchObject({ kind: 'enum', oid, name: 'mood' })
    await database.query('DROP TYPE mood')
    expect(await resolveType(client, oid)).toBeNull()
  } finally {
    await client.end()
  }
})

test('values are the same text whatever the role and the URL would set', async () => {
  await using database = await createTestDatabase()
  const role = await database.createRole()
  await database.query(`ALTER ROLE ${role} SET "DateStyle" = 'German'; ALTER ROLE ${role} SET bytea_output = 'escape'`)
  const url = new URL(database.urlAs(role))
  url.searchParams.set('options', '-c TimeZone=Asia/Tokyo -c work_mem=5MB')
  const client = await openClient({ ...connectionConfig(url.href), types: rawTypes })
  try {
    const { rows } = await client.query({
      text: `SELECT '2024-01-02 03:04:05.678901+09'::timestamptz, '\\x00ff'::bytea, '1 mon -3 days'::interval, 0.1::float8 + 0.2::float8,
             true, current_setting('work_mem'), current_setting('application_name'), 12345678901234567890::numeric`,
      rowMode: 'array',
    })
    expect(rows[0]).toEqual([
      '2024-01-01 18:04:05.678901+00',
      '\\x00ff',
      'P1M-3D',
      '0.30000000000000004',
      't',
      '5MB',
      'suprsync',
      '12345678901234567890',
    ])
  } finally {
    await client.end()
  }
})

test('any role may ask which system this is; the walsender says the same', async () => {
  await using database = await createTestDatabase()
  const role = await database.createRole('REPLICATION')
  const client = await openClient(connectionConfig(database.urlAs(role)))
  const walsender = await openClient(connectionConfig(database.urlAs(role), { replication: true }))
  try {
    const { rows } = await walsender.query<{ systemid: string; timeline: string }>('IDENTIFY_SYSTEM')
    const identity = await identifySystem(client)
    expect(identity.systemIdentifier).toBe(BigInt(rows[0]?.systemid ?? 0))
    expect(identity.timeline).toBe(Number(rows[0]?.timeline))
  } finally {
    await client.end()
    await walsender.end()
  }
})
