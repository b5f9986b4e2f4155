// Making the publication: once, whoever is quicker; without what breaks the application; and never altering one that exists.
import { expect, test } from 'vitest'
import { connectionConfig, openClient } from '../../src/postgres/connection.ts'
import { describePublication, ensurePublication, publicationProblems } from '../../src/postgres/publication.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { majorOf } from '../support/server-version.ts'
import { until } from '../support/wait.ts'

const users = { name: { schema: 'public', name: 'Users' }, partitioned: false }

async function withUsers(): Promise<TestDatabase> {
  const database = await createTestDatabase()
  await database.query('CREATE TABLE "Users" (id int PRIMARY KEY, email text)')
  return database
}

async function ensure(database: TestDatabase, name: string, create = true, table = users): Promise<string> {
  const client = await openClient(connectionConfig(database.url))
  try {
    return await ensurePublication(client, { name, tables: [table], create, lockTimeoutMs: 100 })
  } finally {
    await client.end()
  }
}

test('created once, then found; two at the same time end well', async () => {
  await using database = await withUsers()
  const both = await Promise.all([ensure(database, 'My "pub"'), ensure(database, 'My "pub"')])
  expect(both.toSorted()).toContain('created')
  expect(await ensure(database, 'My "pub"', false)).toBe('exists')
  const rows = await database.query('SELECT pubname, pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication')
  expect(rows).toEqual([{ pubname: 'My "pub"', pubinsert: true, pubupdate: true, pubdelete: true, pubtruncate: true }])
  const relations = await database.query<{ rel: object }>('SELECT to_jsonb(r) AS rel FROM pg_publication_rel r')
  expect(relations).toHaveLength(1)
  // Column lists and row filters exist since 15.
  for (const { rel } of relations)
    expect({ prattrs: null, prqual: null, ...rel }).toMatchObject({ prattrs: null, prqual: null })
})

test('missing and not to be made: says so and makes nothing', async () => {
  await using database = await withUsers()
  await expect(ensure(database, 'pub', false)).rejects.toMatchObject({ code: 'publication_missing' })
  expect(await database.query('SELECT 1 FROM pg_publication')).toEqual([])
})

test('a lock on the table delays us for the time-out only, and nothing is left', async () => {
  await using database = await withUsers()
  const holder = await database.pool.connect()
  try {
    await holder.query('BEGIN; LOCK TABLE "Users" IN SHARE UPDATE EXCLUSIVE MODE')
    await expect(ensure(database, 'pub')).rejects.toMatchObject({ code: '55P03' })
    await holder.query('ROLLBACK')
    expect(await ensure(database, 'pub')).toBe('created')
  } finally {
    holder.release()
  }
})

test.for([
  ['lacks', 'FOR TABLE other', /does not contain/, 14],
  ['partial', `FOR TABLE "Users" WITH (publish = 'insert, update')`, /does not publish delete, truncate/, 14],
  ['listed', 'FOR TABLE "Users" (id, email)', /column list/, 15],
  ['filtered', 'FOR TABLE "Users" WHERE (id > 0)', /row filter/, 15],
] as const)(
  '%s: refused with what is wrong, and mended by the SQL that we print',
  async ([name, definition, pattern, since], { skip }) => {
    await using database = await withUsers()
    skip((await majorOf(database)) < since)
    await database.query(`CREATE TABLE other (id int PRIMARY KEY); CREATE PUBLICATION ${name} ${definition}`)
    await expect(ensure(database, name)).rejects.toMatchObject({ code: 'publication_mismatch', message: pattern })
    const facts = await describePublication(database.pool, name, users.name)
    if (!facts) throw new Error(`no publication ${name}`)
    for (const { sql } of publicationProblems(name, facts, users)) await database.query(sql)
    expect(await ensure(database, name)).toBe('exists')
  },
)

test.for([
  ['FOR ALL TABLES', 14],
  ['FOR TABLES IN SCHEMA public', 15],
] as const)('%s fits', async ([definition, since], { skip }) => {
  await using database = await withUsers()
  skip((await majorOf(database)) < since)
  await database.query(`CREATE PUBLICATION wide ${definition}`)
  expect(await ensure(database, 'wide', false)).toBe('exists')
})

test('a partitioned table is published under its own name, and one that is not is refused', async () => {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE PUBLICATION leaves FOR TABLE parts`)
  const table = { name: { schema: 'public', name: 'parts' }, partitioned: true }
  expect(await ensure(database, 'root', true, table)).toBe('created')
  expect(await database.query("SELECT tablename FROM pg_publication_tables WHERE pubname = 'root'")).toEqual([
    { tablename: 'parts' },
  ])
  await expect(ensure(database, 'leaves', true, table)).rejects.toMatchObject({ message: /partitions/ })
  const facts = await describePublication(database.pool, 'leaves', table.name)
  if (!facts) throw new Error('no publication')
  for (const { sql } of publicationProblems('leaves', facts, table)) await database.query(sql)
  expect(await ensure(database, 'leaves', false, table)).toBe('exists')
})

test('a table that inherits is left out', async () => {
  await using database = await withUsers()
  await database.query('CREATE TABLE child () INHERITS ("Users")')
  await ensure(database, 'pub')
  expect(await database.query("SELECT tablename FROM pg_publication_tables WHERE pubname = 'pub'")).toEqual([
    { tablename: 'Users' },
  ])
})

test('a process that was quicker by an uncommitted transaction is waited for', async () => {
  await using database = await withUsers()
  const first = await database.pool.connect()
  try {
    await first.query('BEGIN; CREATE PUBLICATION pub FOR TABLE ONLY "Users"')
    const client = await openClient(connectionConfig(database.url))
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const second = ensurePublication(client, { name: 'pub', tables: [users], create: true })
    await until(
      async () => {
        const waiting = await database.query('SELECT 1 FROM pg_locks WHERE pid = $1 AND NOT granted', [rows[0]?.pid])
        return waiting.length > 0
      },
      { what: 'the second creation to wait for the first' },
    )
    await first.query('COMMIT')
    expect(await second).toBe('exists')
    await client.end()
  } finally {
    first.release()
  }
})
