// Names and ids as applications really have them: a schema outside the search_path, a table and columns in mixed case with
// blanks and quotes, ids that a URL has to escape, int8 beyond what a JavaScript number holds, a composite key, a
// partitioned table, REPLICA IDENTITY FULL. Insert, edit, delete of each, from the first backfill and from the stream.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { startService } from '../support/service.ts'

const IDS = [
  '9007199254740993',
  '9223372036854775807',
  'a/b',
  '50%',
  '%2F',
  'with blanks',
  'ünïcødé',
  '🦊/🐻',
  '?q=1#x',
  'a+b&c',
  'quote"\'\\',
  '...',
  'tab\tin',
]

interface Schema {
  readonly name: string
  readonly create: string
  /** As in the mapping file. */
  readonly table: string
  readonly sql: string
  readonly id: string
  readonly email: string
  readonly ids: readonly string[]
}

const quoted = { table: '"My App"."User ""Accounts"""', sql: '"My App"."User ""Accounts"""' }

const SCHEMAS: readonly Schema[] = [
  {
    name: 'text ids in a quoted table',
    create: `CREATE SCHEMA "My App"; CREATE TABLE ${quoted.sql} ("User Id" text PRIMARY KEY, "E-Mail" text, "select" int)`,
    ...quoted,
    id: 'User Id',
    email: 'E-Mail',
    ids: IDS,
  },
  {
    name: 'int8 ids and REPLICA IDENTITY FULL',
    create: 'CREATE TABLE accounts ("ID" bigint PRIMARY KEY, mail text); ALTER TABLE accounts REPLICA IDENTITY FULL',
    table: 'accounts',
    sql: 'accounts',
    id: 'ID',
    email: 'mail',
    ids: ['1', '9007199254740993', '9223372036854775807', '-9223372036854775808'],
  },
  {
    name: 'a composite key on a partitioned table',
    create: `CREATE TABLE members (tenant int, id text, mail text, PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
      CREATE TABLE members_1 PARTITION OF members FOR VALUES IN (1); CREATE TABLE members_rest PARTITION OF members DEFAULT;
      ALTER TABLE members ALTER tenant SET DEFAULT 1`,
    table: 'public.members',
    sql: 'members',
    id: 'id',
    email: 'mail',
    ids: ['x', '["1","x"]', 'a/b'],
  },
]

test.each(SCHEMAS)('$name', async (schema) => {
  await using database = await createTestDatabase()
  await database.query(schema.create)
  const known = schema.ids.slice(0, Math.ceil(schema.ids.length / 2))
  for (const id of known) await insert(database, schema, id)
  await using emulator = await startEmulator()
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
    config: {
      source: { table: schema.table },
      user: { distinct_id: schema.id },
      profile: { $email: schema.email },
    },
  })
  await service.waitStreaming()
  const converged = () => expectConverged({ database, emulator, config: service.config })
  await converged()
  for (const id of schema.ids.slice(known.length)) await insert(database, schema, id)
  await converged()
  expect([...emulator.users().keys()].sort()).toEqual([...schema.ids].sort())

  await database.query(`UPDATE ${schema.sql} SET "${schema.email}" = 'new.' || "${schema.email}"`)
  await converged()
  await database.query(`UPDATE ${schema.sql} SET "${schema.email}" = NULL`)
  await converged()
  await database.query(`DELETE FROM ${schema.sql}`)
  await converged()
  expect([...emulator.users().keys()]).toEqual([])
})

async function insert(database: TestDatabase, schema: Schema, id: string): Promise<void> {
  const number = schema.ids.indexOf(id)
  await database.query(`INSERT INTO ${schema.sql} ("${schema.id}", "${schema.email}") VALUES ($1, $2)`, [
    id,
    `user.${number}@example.com`,
  ])
}
