// The database lets the running service in no more: the role may not log in, has no connection left, or its host has no name. Said
// with its code, tried less and less often, never with a second stream; and everything is made good once it is mended.
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const FAILING_DNS = new URL('../support/failing-dns.ts', import.meta.url).href

interface Access {
  readonly lose: string | ((file: string) => Promise<void>)
  readonly mend: string | ((file: string) => Promise<void>)
  readonly code: string
}

test.each<[string, Access]>([
  ['the role may not log in', { lose: 'ALTER ROLE $ NOLOGIN', mend: 'ALTER ROLE $ LOGIN', code: '28000' }],
  [
    'the role has no connection left',
    { lose: 'ALTER ROLE $ CONNECTION LIMIT 0', mend: 'ALTER ROLE $ CONNECTION LIMIT -1', code: '53300' },
  ],
  ['the host has no name', { lose: (file) => writeFile(file, ''), mend: (file) => rm(file), code: 'ENOTFOUND' }],
])('%s', async (_, { lose, mend, code }) => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 20)
  const role = await database.createRole('REPLICATION')
  await database.query(
    `GRANT SELECT ON users TO ${role}; GRANT CREATE ON DATABASE ${database.name} TO ${role}; ALTER TABLE users OWNER TO ${role}`,
  )
  await using emulator = await startEmulator()
  const file = join(tmpdir(), `suprsync-no-dns-${database.name}`)
  const url = new URL(database.urlAs(role))
  url.hostname = 'db.test'
  await using service = await startService({
    ...{ databaseUrl: url.href, emulatorUrl: emulator.url, slot: database.slot },
    env: { NODE_OPTIONS: `--import ${FAILING_DNS}`, FAILING_DNS: file },
  })
  await service.waitStreaming()
  const converged = () => expectConverged({ database, emulator, config: service.config, timeoutMs: 40_000 })
  await converged()
  const act = (how: Access['lose']) => (typeof how === 'string' ? database.query(how.replace('$', role)) : how(file))
  await act(lose)
  await database.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`)
  const attempts = () => failures(service, code)
  await until(() => attempts().length >= 5, { what: `attempts that end with ${code}`, timeoutMs: 30_000 })
  expect((await service.readiness()).status).toBe(503)
  const delays = attempts().map(({ delayMs }) => Number(delayMs))
  expect(Math.max(...delays)).toBeGreaterThan(4 * Math.min(...delays))
  await database.query("UPDATE users SET name = 'meanwhile' WHERE id <= 5; DELETE FROM users WHERE id = 6")
  await act(mend)
  await converged()
  expect(await streams(database)).toBe(1)
  expect((await service.readiness()).status).toBe(200)
  expect(service.hasExited).toBe(false)
  await service.stop()
  await database.query(`REASSIGN OWNED BY ${role} TO CURRENT_USER; DROP OWNED BY ${role}`)
})

test('the state is dropped while it runs: said, with what begins anew', async () => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 5)
  await using emulator = await startEmulator()
  const given = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  {
    await using service = await startService(given)
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    await database.query(
      "DROP SCHEMA suprsync CASCADE; UPDATE users SET name = 'later', version = nextval('user_version')",
    )
    await until(async () => (await service.readiness()).codes.includes('state_missing'), { what: 'state_missing' })
    await service.stop()
  }
  await until(() => database.query('SELECT pg_drop_replication_slot($1)', [database.slot]), { what: 'the slot to go' })
  await using service = await startService(given)
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config })
})

test('the role may read the table no more: said with the code and the SQL of the preflight', async () => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 20)
  const role = await database.createRole('REPLICATION')
  await database.query(`GRANT SELECT ON users TO ${role}; GRANT CREATE ON DATABASE ${database.name} TO ${role};
    CREATE PUBLICATION suprsync FOR TABLE ONLY users`)
  await using emulator = await startEmulator()
  await using service = await startService({
    ...{ databaseUrl: database.urlAs(role), emulatorUrl: emulator.url, slot: database.slot },
  })
  await service.waitStreaming()
  const converged = () => expectConverged({ database, emulator, config: service.config, timeoutMs: 40_000 })
  await converged()
  for (const [lose, mend, code] of [
    [
      'ALTER TABLE users ENABLE ROW LEVEL SECURITY',
      'ALTER TABLE users DISABLE ROW LEVEL SECURITY',
      'row_security_hides_rows',
    ],
    [`REVOKE SELECT ON users FROM ${role}`, `GRANT SELECT ON users TO ${role}`, 'role_cannot_read'],
  ] as const) {
    await database.query(lose)
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}' AND application_name = 'suprsync'`,
    )
    await until(async () => (await service.readiness()).codes.includes(code), { what: code, timeoutMs: 20_000 })
    await database.query("UPDATE users SET name = 'meanwhile', version = nextval('user_version') WHERE id <= 5")
    await database.query(mend)
    await converged()
  }
})

/** Of the lock of capture, which comes first: without it nothing of capture is tried. Delivery counts its own. */
function failures(service: Service, code: string) {
  return service.log().filter(({ what, err }) => what === 'ownership' && JSON.stringify(err ?? null).includes(code))
}

async function streams(database: TestDatabase): Promise<number> {
  const rows = await database.query(
    'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IN (SELECT pid FROM pg_stat_replication)',
    [database.slot],
  )
  return rows.length
}
