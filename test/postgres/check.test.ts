// Each finding of the preflight, provoked on a real server; and where SQL is printed to mend it, that SQL is run and the
// finding is gone.
import { once } from 'node:events'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Finding } from '../../src/core/finding.ts'
import { isSupported } from '../../src/core/values.ts'
import { checkSource, checkState, type WantedSource } from '../../src/postgres/check.ts'
import { connectionConfig, openClient } from '../../src/postgres/connection.ts'
import type { WantedTable } from '../../src/postgres/table-findings.ts'
import { type Cluster, startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startDroppingProxy } from '../support/dropping-proxy.ts'
import { majorOf } from '../support/server-version.ts'

const USERS = 'CREATE TABLE users (id int PRIMARY KEY, email text, phone text)'

type Overrides = Partial<WantedTable & Omit<WantedSource, 'tables'>>

function wanted(database: TestDatabase, overrides: Overrides = {}): WantedSource {
  const { table, columns, distinctId = 'id', ...more } = overrides
  const users = {
    table: table ?? { schema: 'public', name: 'users' },
    columns: columns ?? ['email', 'phone'],
    distinctId,
    supports: isSupported,
  }
  return { tables: [users], slot: database.slot, publication: 'suprsync', create: true, ...more }
}

async function check(
  database: TestDatabase,
  overrides: Overrides = {},
  url = database.url,
): Promise<readonly Finding[]> {
  const findings = await checkSource(connectionConfig(url), wanted(database, overrides))
  // The shared server has no limit, which is a finding of its own test.
  return findings.filter(({ code }) => code !== 'no_wal_limit')
}

const codes = (findings: readonly Finding[]) => findings.map(({ code }) => code)

/** Expects exactly this finding, runs its SQL as the superuser, and expects that nothing is left. */
async function expectMended(
  database: TestDatabase,
  code: string,
  run: () => Promise<readonly Finding[]>,
): Promise<Finding> {
  const findings = await run()
  expect(codes(findings)).toEqual([code])
  const [finding] = findings
  if (!finding?.sql) throw new Error(`${code} has no SQL`)
  for (const statement of finding.sql.split('\n')) await database.query(statement)
  expect(await run()).toEqual([])
  return finding
}

describe('the table', () => {
  test('a plain table with all that is needed passes', async () => {
    await using database = await createTestDatabase()
    await database.query(USERS)
    expect(await check(database)).toEqual([])
  })

  test('table_missing and column_missing name what was probably meant', async () => {
    await using database = await createTestDatabase()
    await database.query(USERS)
    const [table] = await check(database, { table: { schema: 'public', name: 'user' } })
    expect(table).toMatchObject({ code: 'table_missing', level: 'error', message: /did you mean public\.users\?/ })
    const columns = await check(database, { columns: ['emial', 'phone'], distinctId: 'idd' })
    expect(columns).toMatchObject([{ code: 'column_missing', message: /"emial"; did you mean "email"\?/ }])
  })

  test('column_type_unsupported and column_generated, for read columns only', async () => {
    await using database = await createTestDatabase()
    await database.query(`
      CREATE TYPE pair AS (a int, b int);
      CREATE TABLE users (id int PRIMARY KEY, raw bytea, pair pair, raws bytea[], other bytea, email text,
        lower_email text GENERATED ALWAYS AS (lower(email)) STORED)`)
    const findings = await check(database, { columns: ['raw', 'pair', 'raws', 'lower_email'] })
    expect(codes(findings)).toEqual([
      'column_type_unsupported',
      'column_type_unsupported',
      'column_type_unsupported',
      'column_generated',
    ])
    expect(findings[0]?.message).toContain('"raw" has the type bytea')
  })

  test('primary_key_missing, with the key that could be', async () => {
    await using database = await createTestDatabase()
    await database.query('CREATE TABLE users (id int NOT NULL UNIQUE, email text, phone text)')
    await expectMended(database, 'primary_key_missing', () => check(database))
  })

  test('primary_key_missing without a candidate proposes nothing', async () => {
    await using database = await createTestDatabase()
    await database.query('CREATE TABLE users (id int NOT NULL, email text, phone text)')
    const findings = await check(database)
    expect(codes(findings)).toEqual(['primary_key_missing', 'distinct_id_not_unique'])
    expect(findings[0]).not.toHaveProperty('sql')
  })

  test('replica_identity_nothing would break the application, as with a deferrable key', async () => {
    await using database = await createTestDatabase()
    await database.query(`${USERS}; ALTER TABLE users REPLICA IDENTITY NOTHING`)
    await expectMended(database, 'replica_identity_nothing', () => check(database))

    await database.query(`
      CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE, email text UNIQUE NOT NULL, phone text);
      INSERT INTO deferred VALUES (1, 'a');
      CREATE PUBLICATION app FOR TABLE deferred`)
    await expect(database.query("UPDATE deferred SET phone = ''")).rejects.toThrow(/replica identity/)
    const table = { schema: 'public', name: 'deferred' }
    await expectMended(database, 'replica_identity_nothing', () => check(database, { table, distinctId: 'email' }))
    await database.query("UPDATE deferred SET phone = ''")
  })

  test('replica_identity_lacks_key', async () => {
    await using database = await createTestDatabase()
    await database.query(`
      CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL UNIQUE, phone text);
      ALTER TABLE users REPLICA IDENTITY USING INDEX users_email_key`)
    await expectMended(database, 'replica_identity_lacks_key', () => check(database))
  })

  test('REPLICA IDENTITY FULL and an index that covers the key pass', async () => {
    await using database = await createTestDatabase()
    await database.query(`
      CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, phone text);
      CREATE UNIQUE INDEX wide ON users (email, id);
      ALTER TABLE users REPLICA IDENTITY USING INDEX wide`)
    expect(await check(database)).toEqual([])
    await database.query('ALTER TABLE users REPLICA IDENTITY FULL')
    expect(await check(database)).toEqual([])
  })

  test('table_kind_unsupported: view, materialized view, foreign table, partition, parent of others', async () => {
    await using database = await createTestDatabase()
    await database.query(`
      ${USERS};
      CREATE VIEW seen AS SELECT * FROM users;
      CREATE MATERIALIZED VIEW kept AS SELECT * FROM users;
      CREATE TABLE parts (id int PRIMARY KEY, email text, phone text) PARTITION BY RANGE (id);
      CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10);
      CREATE TABLE parent (id int PRIMARY KEY, email text, phone text);
      CREATE TABLE child () INHERITS (parent);
      CREATE FOREIGN DATA WRAPPER far; CREATE SERVER there FOREIGN DATA WRAPPER far;
      CREATE FOREIGN TABLE abroad (id int, email text, phone text) SERVER there`)
    for (const [name, pattern] of [
      ['seen', /is a view/],
      ['kept', /is a materialized view/],
      ['abroad', /is a foreign table/],
      ['part', /name the partitioned table/],
      ['parent', /inherit/],
    ] as const) {
      const findings = await check(database, { table: { schema: 'public', name } })
      expect(findings).toMatchObject([{ code: 'table_kind_unsupported', level: 'error', message: pattern }])
    }
    expect(await check(database, { table: { schema: 'public', name: 'parts' } })).toEqual([])
  })

  test('table_unlogged, also of one partition alone', async () => {
    await using database = await createTestDatabase()
    await database.query(USERS.replace('TABLE', 'UNLOGGED TABLE'))
    await expectMended(database, 'table_unlogged', () => check(database))
    await database.query(`
      CREATE TABLE parts (id int PRIMARY KEY, email text, phone text) PARTITION BY RANGE (id);
      CREATE TABLE part_a PARTITION OF parts FOR VALUES FROM (0) TO (10);
      CREATE UNLOGGED TABLE part_b PARTITION OF parts FOR VALUES FROM (10) TO (20)`)
    const table = { schema: 'public', name: 'parts' }
    const finding = await expectMended(database, 'table_unlogged', () => check(database, { table }))
    expect(finding.message).toContain('"part_b"')
  })

  test('distinct_id_nullable is an error, distinct_id_not_unique a warning', async () => {
    await using database = await createTestDatabase()
    await database.query('CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE, phone text NOT NULL)')
    const nullable = await expectMended(database, 'distinct_id_nullable', () =>
      check(database, { distinctId: 'email' }),
    )
    expect(nullable.level).toBe('error')
    const shared = await expectMended(database, 'distinct_id_not_unique', () =>
      check(database, { distinctId: 'phone' }),
    )
    expect(shared.level).toBe('warning')
  })

  test('names that need quoting are quoted in what is printed', async () => {
    await using database = await createTestDatabase()
    await database.query('CREATE TABLE "App ""Users""" ("User Id" int PRIMARY KEY, email text, phone text UNIQUE)')
    const table = { schema: 'public', name: 'App "Users"' }
    await expectMended(database, 'distinct_id_nullable', () => check(database, { table, distinctId: 'phone' }))
    expect(await check(database, { table, distinctId: 'User Id' })).toEqual([])
  })
})

describe('the role', () => {
  async function asRole(attributes = 'REPLICATION'): Promise<{ database: TestDatabase; role: string; url: string }> {
    const database = await createTestDatabase()
    await database.query(`${USERS}; CREATE PUBLICATION suprsync FOR TABLE users`)
    const role = await database.createRole(attributes)
    return { database, role, url: database.urlAs(role) }
  }

  test('least privilege passes: REPLICATION, SELECT on the columns read, a publication made by the owner', async () => {
    const { database, role, url } = await asRole()
    await using _ = database
    await database.query(`GRANT SELECT (id, email, phone) ON users TO ${role}`)
    expect(await check(database, {}, url)).toEqual([])
  })

  test('role_cannot_replicate', async () => {
    const { database, role, url } = await asRole('')
    await using _ = database
    await database.query(`GRANT SELECT ON users TO ${role}`)
    await expectMended(database, 'role_cannot_replicate', () => check(database, {}, url))
  })

  test('role_cannot_read: schema and table', async () => {
    const { database, url } = await asRole()
    await using _ = database
    await database.query('REVOKE ALL ON SCHEMA public FROM PUBLIC')
    const finding = await expectMended(database, 'role_cannot_read', () => check(database, {}, url))
    expect(finding.sql).toMatch(/GRANT USAGE ON SCHEMA "public" .*\nGRANT SELECT ON "public"\."users"/)
  })

  test('row_security_hides_rows, but not from the owner', async () => {
    const { database, role, url } = await asRole()
    await using _ = database
    await database.query(`GRANT SELECT ON users TO ${role}; ALTER TABLE users ENABLE ROW LEVEL SECURITY`)
    await expectMended(database, 'row_security_hides_rows', () => check(database, {}, url))
    await database.query(`ALTER ROLE ${role} NOBYPASSRLS; ALTER TABLE users OWNER TO ${role}`)
    expect(await check(database, {}, url)).toEqual([])
    await database.query('ALTER TABLE users FORCE ROW LEVEL SECURITY')
    expect(codes(await check(database, {}, url))).toEqual(['row_security_hides_rows'])
  })

  test('publication_not_creatable: the SQL is for the owner; create_denied: for the owner of the database', async () => {
    const { database, role, url } = await asRole()
    await using _ = database
    await database.query(`GRANT SELECT ON users TO ${role}; DROP PUBLICATION suprsync`)
    await expectMended(database, 'publication_not_creatable', () => check(database, {}, url))
    await database.query(`ALTER TABLE users OWNER TO ${role}; DROP PUBLICATION suprsync`)
    const finding = await expectMended(database, 'create_denied', () => check(database, {}, url))
    expect(finding.sql).toContain('GRANT CREATE ON DATABASE')
    await database.query(`REVOKE CREATE ON DATABASE ${database.name} FROM ${role}`)
  })

  test('state_schema_not_creatable: absent, there but closed, usable', async () => {
    const { database, role, url } = await asRole('')
    await using _ = database
    const state = () => checkState(connectionConfig(url), { schema: 'my state' })
    await expectMended(database, 'state_schema_not_creatable', state)
    await database.query('DROP SCHEMA "my state"; CREATE SCHEMA "my state"')
    await expectMended(database, 'state_schema_not_creatable', state)
    await database.query(`DROP SCHEMA "my state"; GRANT CREATE ON DATABASE ${database.name} TO ${role}`)
    expect(await state()).toEqual([])
    await database.query(`REVOKE CREATE ON DATABASE ${database.name} FROM ${role}`)
  })
})

test('state_encoding: a state that cannot hold every character', async () => {
  await using database = await createTestDatabase()
  const { name } = database
  const made = `"${name}_latin"`
  await database.query(`CREATE DATABASE ${made} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
  try {
    const connection = connectionConfig(database.url.replace(name, `${name}_latin`))
    const [apart, ...more] = await checkState(connection, { schema: 's' })
    expect(apart).toMatchObject({ code: 'state_encoding', level: 'error', message: expect.stringContaining('LATIN1') })
    expect(apart?.sql).toContain("ENCODING 'UTF8'")
    expect(more).toEqual([])
    expect(await checkState(connection, { schema: 's', beside: true })).toMatchObject([
      { code: 'state_encoding', level: 'warning' },
    ])
  } finally {
    await database.query(`DROP DATABASE ${made}`)
  }
  expect(await checkState(connectionConfig(database.url), { schema: 's' })).toEqual([])
})

describe('publication and slot', () => {
  test('publication_missing when we are not to make it', async () => {
    await using database = await createTestDatabase()
    await database.query(USERS)
    await expectMended(database, 'publication_missing', () => check(database, { create: false }))
  })

  test('publication_mismatch: not the table, a column list, a row filter, not all operations', async () => {
    await using database = await createTestDatabase()
    await database.query(`${USERS}; CREATE TABLE other (id int PRIMARY KEY)`)
    const since15 = ['FOR TABLE users (id, email)', 'FOR TABLE users WHERE (id > 5)']
    for (const definition of [
      'FOR TABLE other',
      "FOR TABLE users WITH (publish = 'insert, delete')",
      ...((await majorOf(database)) >= 15 ? since15 : []),
    ]) {
      await database.query(`CREATE PUBLICATION suprsync ${definition}`)
      await expectMended(database, 'publication_mismatch', () => check(database))
      await database.query('DROP PUBLICATION suprsync')
    }
  })

  test('slot_foreign: other plugin, physical, other database', async () => {
    await using database = await createTestDatabase()
    await using elsewhere = await createTestDatabase()
    await database.query(USERS)
    await elsewhere.query(USERS)
    await database.query(`SELECT pg_create_logical_replication_slot('${database.slot}', 'pgoutput')`)
    expect(await check(database)).toEqual([])
    const [other] = await check(elsewhere, { slot: database.slot })
    expect(other).toMatchObject({ code: 'slot_foreign', message: /database/ })

    const physical = `${database.slot}_physical`
    await database.query(`SELECT pg_create_physical_replication_slot('${physical}')`)
    try {
      expect(await check(database, { slot: physical })).toMatchObject([{ code: 'slot_foreign', message: /physical/ }])
    } finally {
      await database.query(`SELECT pg_drop_replication_slot('${physical}')`)
    }
  })
})

describe('the connection', () => {
  async function causeAt(url: string): Promise<Finding | undefined> {
    const config = { ...connectionConfig(url, { connectTimeoutMs: 500 }) }
    const [finding, ...more] = await checkState(config, { schema: 'suprsync' })
    expect(more).toEqual([])
    return finding
  }

  test('refused, unknown role, unknown database, no TLS', async () => {
    await using cluster = await startCluster()
    const unreachable = { code: 'server_unreachable', level: 'error' }
    const withMode = (mode: string) => causeAt(`${cluster.url()}?sslmode=${mode}`)
    expect(await causeAt(cluster.url('postgres', 'nobody'))).toMatchObject({ ...unreachable, cause: 'role' })
    expect(await causeAt(cluster.url('no_such'))).toMatchObject({ ...unreachable, cause: 'database' })
    expect(await withMode('require')).toMatchObject({ ...unreachable, cause: 'tls' })
    expect(await withMode('verify-ca')).toMatchObject({ ...unreachable, cause: 'tls' })
    expect(await withMode('disable')).toBeUndefined()
    await cluster.stop()
    expect(await causeAt(cluster.url())).toMatchObject({ ...unreachable, cause: 'refused' })
  })

  test('pooler_in_the_way: the replication parameter is dropped on the way', async () => {
    await using cluster = await startCluster({ settings: { max_slot_wal_keep_size: '1GB' } })
    await using database = await createTestDatabase(cluster.url())
    await database.query(USERS)
    await using proxy = await startDroppingProxy(database.url)
    expect(await check(database, {}, proxy.url)).toMatchObject([{ code: 'pooler_in_the_way', level: 'error' }])
  })

  test('a server that says nothing is given up in time', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    const port = typeof address === 'object' && address ? address.port : 0
    expect(await causeAt(`postgres://u:p@127.0.0.1:${port}/d`)).toMatchObject({ cause: 'timeout' })
    silent.close()
  })

  test('the wrong password, and never the password itself', async () => {
    await using cluster = await startCluster({ password: 'right' })
    const url = cluster.url().replace('right', 'wrong-canary')
    const finding = await causeAt(url)
    expect(finding).toMatchObject({ code: 'server_unreachable', cause: 'password' })
    expect(JSON.stringify(finding)).not.toContain('wrong-canary')
    expect(await causeAt(cluster.url().replace(':right', ''))).toMatchObject({ cause: 'password' })
    expect(await causeAt(cluster.url())).toBeUndefined()
  })
})

// Settings that need a server of its own; one server, restarted.
describe('the server', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster({ settings: { max_slot_wal_keep_size: '1GB' } })
  })
  afterAll(() => cluster[Symbol.asyncDispose]())

  async function all(database: TestDatabase): Promise<readonly Finding[]> {
    return checkSource(connectionConfig(database.url), wanted(database))
  }

  test('nothing is found where all is well', async () => {
    await using database = await createTestDatabase(cluster.url())
    await database.query(USERS)
    expect(await all(database)).toEqual([])
  })

  test('wal_level_not_logical', async () => {
    await cluster.restart({ wal_level: 'replica' })
    await using database = await createTestDatabase(cluster.url())
    await database.query(USERS)
    expect(await all(database)).toMatchObject([
      { code: 'wal_level_not_logical', level: 'error', sql: /^ALTER SYSTEM SET wal_level = logical/ },
    ])
  })

  test('no_wal_limit and wal_limit_small are warnings', async () => {
    for (const [limit, code] of [
      ['-1', 'no_wal_limit'],
      ['255MB', 'wal_limit_small'],
    ] as const) {
      await cluster.restart({ max_slot_wal_keep_size: limit })
      await using database = await createTestDatabase(cluster.url())
      await database.query(USERS)
      expect(await all(database)).toMatchObject([{ code, level: 'warning' }])
    }
  })

  test('no_free_slot and no_free_sender, but not for what we already have', async () => {
    await cluster.restart({ max_replication_slots: '1', max_wal_senders: '1' })
    await using database = await createTestDatabase(cluster.url())
    await database.query(`${USERS}; CREATE PUBLICATION suprsync FOR TABLE users`)
    await database.query("SELECT pg_create_logical_replication_slot('other', 'pgoutput')")
    expect(await all(database)).toMatchObject([{ code: 'no_free_slot', sql: /max_replication_slots = 11/ }])
    await database.query("SELECT pg_drop_replication_slot('other')")
    await database.query(`SELECT pg_create_logical_replication_slot('${database.slot}', 'pgoutput')`)
    expect(await all(database)).toEqual([])
    const walsender = await openClient(connectionConfig(database.url, { replication: true }))
    expect(await all(database)).toMatchObject([{ code: 'no_free_sender', sql: /max_wal_senders = 11/ }])
    await walsender.end()
  })

  test('server_is_standby, for the source and for the state', async () => {
    await using database = await createTestDatabase(cluster.url())
    await database.query(USERS)
    await cluster.stop()
    const signal = join(cluster.dataDir, 'standby.signal')
    await writeFile(signal, '')
    await chmod(signal, 0o666) // The server runs as another user than a test in a container.
    await cluster.start()
    expect(codes(await all(database))).toEqual(['server_is_standby'])
    expect(codes(await checkState(connectionConfig(database.url), { schema: 's' }))).toEqual(['server_is_standby'])
    await cluster.stop()
    await rm(signal)
    await cluster.start()
  })

  test('slot_lost', async () => {
    await cluster.restart({ max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB' })
    await using database = await createTestDatabase(cluster.url())
    await database.query(USERS)
    await database.query(`SELECT pg_create_logical_replication_slot('${database.slot}', 'pgoutput')`)
    for (let segment = 0; segment < 4; segment += 1) {
      await database.query("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000)); SELECT pg_switch_wal()")
    }
    await database.query('CHECKPOINT')
    await expectMended(database, 'slot_lost', async () =>
      (await all(database)).filter(({ code }) => code !== 'wal_limit_small'),
    )
  })
})
