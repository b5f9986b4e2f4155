// What `check` has against child tables, each provoked on a real server; where SQL is printed to mend it, that SQL is run and
// the finding is gone.
import { expect, test } from 'vitest'
import { checkDatabases } from '../../src/commands/preflight.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Finding } from '../../src/core/finding.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const USERS = 'CREATE TABLE users (id bigint PRIMARY KEY, email text)'
const DEVICES = 'CREATE TABLE devices (id bigint PRIMARY KEY, user_id bigint, phone text)'

async function check(database: TestDatabase, children: readonly JsonObject[]): Promise<readonly Finding[]> {
  const file = JSON.stringify({
    version: 1,
    source: { url: database.url, table: 'users', slot: database.slot },
    suprsend: { api_key: 'key' },
    user: { distinct_id: 'id' },
    profile: { $email: 'email' },
    children,
  })
  const config = await loadConfig({ path: 'test.json', env: {}, readFile: async () => file })
  return (await checkDatabases(config)).filter(({ level }) => level === 'error')
}

const devices = { table: 'devices', user: 'user_id', profile: { $sms: 'phone' } }

async function world(create: string, run: (database: TestDatabase) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await database.query(`${USERS}; ${create}`)
  await run(database)
}

async function mend(database: TestDatabase, findings: readonly Finding[]): Promise<void> {
  for (const { sql } of findings) for (const line of sql?.split('\n') ?? []) await database.query(line)
}

test('nothing against one that fits', () =>
  world(DEVICES, async (database) => {
    expect(await check(database, [devices])).toEqual([])
  }))

test.each([
  [
    'a delete names no row: no replica identity',
    `${DEVICES}; ALTER TABLE devices REPLICA IDENTITY NOTHING`,
    'replica_identity_nothing',
  ],
  [
    'a delete names no row that state knows: an identity without the primary key',
    `${DEVICES}; ALTER TABLE devices ALTER user_id SET NOT NULL; CREATE UNIQUE INDEX i ON devices (user_id); ALTER TABLE devices REPLICA IDENTITY USING INDEX i`,
    'replica_identity_lacks_key',
  ],
  ['unlogged', DEVICES.replace('CREATE', 'CREATE UNLOGGED'), 'table_unlogged'],
  [
    'not in the publication that is there',
    `${DEVICES}; CREATE PUBLICATION suprsync FOR TABLE users`,
    'publication_mismatch',
  ],
])('%s: refused, and the SQL that is printed mends it', (_, create, code) =>
  world(create, async (database) => {
    const findings = await check(database, [devices])
    expect(findings.map((finding) => finding.code)).toEqual([code])
    expect(findings[0]?.message).toContain('devices')
    await mend(database, findings)
    expect(await check(database, [devices])).toEqual([])
  }),
)

test.each([
  ['no primary key', 'CREATE TABLE devices (user_id bigint, phone text)', devices, 'primary_key_missing'],
  ['no such table', '', devices, 'table_missing'],
  ['no such column', DEVICES, { ...devices, user: 'usr_id' }, 'column_missing'],
  ['another type than the key', DEVICES.replace('user_id bigint', 'user_id text'), devices, 'user_key_mismatch'],
  ['more columns than the key', DEVICES, { ...devices, user: ['user_id', 'id'] }, 'user_key_mismatch'],
  ['a `when` that does not fit', DEVICES, { ...devices, when: 'phone + 1 == 2 && nope' }, 'column_missing'],
])('%s: refused', (_, create, child, code) =>
  world(create || 'SELECT 1', async (database) => {
    expect((await check(database, [child])).map((finding) => finding.code)).toEqual([code])
  }),
)

test('the foreign key to the users table says which column was meant', () =>
  world('CREATE TABLE devices (id uuid PRIMARY KEY, user_id bigint REFERENCES users, phone text)', async (database) => {
    const [finding, ...more] = await check(database, [{ ...devices, user: 'id' }])
    expect(more).toEqual([])
    expect(finding).toMatchObject({ code: 'user_key_mismatch', level: 'error' })
    expect(finding?.message).toMatch(/a foreign key refers to the users table by user_id\.$/)
    expect(finding).not.toHaveProperty('sql')
  }))

test('the publication that is printed for its owner has every table', () =>
  world(DEVICES, async (database) => {
    const role = `reader_${database.name}`
    await database.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'reader'`)
    try {
      await database.query(`GRANT SELECT ON users, devices TO ${role}; CREATE SCHEMA suprsync AUTHORIZATION ${role}`)
      const url = new URL(database.url)
      url.username = role
      url.password = 'reader'
      const findings = await check({ ...database, url: url.href, slot: database.slot } as TestDatabase, [devices])
      expect(findings.map((finding) => finding.code)).toEqual(['publication_not_creatable'])
      await mend(database, findings)
      expect(await database.query('SELECT tablename FROM pg_publication_tables ORDER BY 1')).toEqual([
        { tablename: 'devices' },
        { tablename: 'users' },
      ])
    } finally {
      await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  }))
