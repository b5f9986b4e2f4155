// How the real `suprsync run` and `suprsync check` begin: what is waited for, what ends the start and with which code, and
// what SuprSend's trouble does not stop.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { type Cluster, startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { BIN, type Run, runCommand } from '../support/installation.ts'
import { oldestNode } from '../support/old-node.ts'
import { expectConverged } from '../support/oracle.ts'
import { type LogLine, type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const USERS = 5
let directory: string
let emulator: Emulator
/** Trusts everybody but the two roles of its first lines. */
let cluster: Cluster

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'suprsync-start-'))
  emulator = await startEmulator()
  cluster = await startCluster()
  const rules = join(cluster.dataDir, 'pg_hba.conf')
  const asked = 'host all asked_for_a_password 127.0.0.1/32 scram-sha-256\nhost all turned_away 127.0.0.1/32 reject\n'
  await writeFile(rules, asked + (await readFile(rules, 'utf8')))
  await using database = await createTestDatabase(cluster.url())
  await database.query("CREATE ROLE asked_for_a_password LOGIN SUPERUSER PASSWORD 'right'")
  await database.query('CREATE ROLE turned_away LOGIN SUPERUSER')
  await database.query('SELECT pg_reload_conf()')
})
afterAll(async () => {
  await cluster[Symbol.asyncDispose]()
  await emulator.destroy()
  await rm(directory, { recursive: true, force: true })
})

test('a server that is down is waited for: alive, not ready, and streaming once it is there', async () => {
  await using own = await startCluster()
  await using database = await createUsers(own)
  await own.stop('fast')
  await using service = await start(database)
  const url = await addressOf(service)
  await service.waitFor('the wait', ({ code, cause }) => code === 'server_unreachable' && cause === 'refused')
  expect((await fetch(`${url}/livez`)).status).toBe(200)
  const ready = await fetch(`${url}/readyz`)
  expect(ready.status).toBe(503)
  expect(await ready.json()).toMatchObject({ ready: false, reasons: [{ code: 'server_unreachable' }] })
  expect(service.log().filter(({ level }) => level === 'error')).toEqual([])

  await own.start()
  await service.waitStreaming()
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  await expectConverged({ database, emulator, config: service.config })
  expect((await service.stop()).code).toBe(0)
  emulator.reset()
})

test('a server that ends the session of the check is asked again', async () => {
  await using database = await createUsers(cluster)
  await using catalogue = await lockedCatalogue(database)
  await using service = await start(database)
  const waits = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'suprsync' AND wait_event_type = 'Lock'`
  await until(async () => (await database.query(waits)).length > 0, { what: 'the check to wait for the catalogue' })
  await service.waitFor('the wait', ({ code, cause }) => code === 'server_unreachable' && cause === 'starting')
  await catalogue[Symbol.asyncDispose]()
  await service.waitStreaming()
  expect(await service.stop()).toEqual({ code: 0, signal: null })
})

test('stopped while it waits: exit 0, and nothing is called an error', async () => {
  await using own = await startCluster()
  await using database = await createUsers(own)
  await own.stop('fast')
  await using service = await start(database)
  await service.waitFor('the wait', ({ code }) => code === 'server_unreachable')
  expect(await service.stop()).toEqual({ code: 0, signal: null })
  expect(service.log().filter(({ level }) => level === 'error')).toEqual([])
  await own.start() // For the database to be dropped.
})

test('wal_level = replica: exit 3 with the code, and check has the SQL', async () => {
  await using own = await startCluster({ settings: { wal_level: 'replica' } })
  await using database = await createUsers(own)
  await using service = await start(database)
  await expectRefused(service, 'wal_level_not_logical')
  const check = await checkAs(service)
  expect(check.code).toBe(3)
  expect(check.stdout).toContain('wal_level_not_logical')
  expect(check.stdout).toContain('ALTER SYSTEM SET wal_level = logical')
})

test.each([
  {
    role: 'without REPLICATION',
    attributes: '',
    grant: 'SELECT',
    code: 'role_cannot_replicate',
    sql: 'WITH REPLICATION',
  },
  { role: 'without SELECT', attributes: 'REPLICATION', grant: 'INSERT', code: 'role_cannot_read', sql: 'GRANT SELECT' },
])('a role $role: exit 3 with $code, and nothing was made', async ({ attributes, grant, code, sql }) => {
  await using database = await createUsers(cluster)
  const role = await database.createRole(attributes)
  await database.query(`GRANT ${grant} ON users TO ${role}`)
  await database.query(`CREATE SCHEMA suprsync AUTHORIZATION ${role}`)
  await database.query(
    "CREATE PUBLICATION suprsync FOR TABLE users WITH (publish = 'insert, update, delete, truncate')",
  )
  await using service = await start(database, database.urlAs(role))
  await expectRefused(service, code)
  const check = await checkAs(service)
  expect(check.code).toBe(3)
  expect(check.stdout).toContain(sql)
  expect(await database.query('SELECT FROM pg_replication_slots WHERE database = current_database()')).toEqual([])
  await database.query(`DROP OWNED BY ${role}`)
})

test.each([
  { what: 'a wrong password', cause: 'password', user: 'asked_for_a_password' },
  { what: 'an unknown role', cause: 'role', user: 'nobody_of_that_name' },
  { what: 'a line of pg_hba.conf', cause: 'host_based', user: 'turned_away' },
  { what: 'an unknown database', cause: 'database', database: 'no_such_database' },
])('$what is configuration: exit 3 at the start, no wait', async ({ cause, user, database: name }) => {
  await using database = await createUsers(cluster)
  const url = new URL(database.urlAs(user ?? 'postgres', 'wrong'))
  if (name !== undefined) url.pathname = `/${name}`
  await using service = await start(database, url.href)
  const { code, level } = await service.waitFor('the finding', (line) => line.cause === cause)
  expect({ code, level }).toEqual({ code: 'server_unreachable', level: 'error' })
  expect((await service.exited).code).toBe(3)
})

test('check on a port where nothing listens: exit 3 with server_unreachable', async () => {
  await using database = await createUsers(cluster)
  const url = new URL(database.url)
  await using gone = await startCluster()
  url.port = String(gone.port)
  await gone.stop('fast')
  const file = await writeConfig('dead-port.json', { source: { url: url.href, table: 'public.users' } })
  const check = await runCommand(['check', '--json', '--config', file])
  expect(check.code).toBe(3)
  expect(JSON.parse(check.stdout)).toMatchObject({
    ok: false,
    findings: [{ code: 'server_unreachable', level: 'error', cause: 'refused' }],
  })
})

test.each([
  { what: 'no file', text: null, says: '1:1 this file does not exist' },
  { what: 'no YAML', text: 'version: 1\nsource: {url: "x\n', says: '3:1 Missing closing "quote' },
  {
    what: 'an unknown key',
    text: 'version: 1\nsuorce: {}\n',
    says: '2:1 suorce: unknown key (did you mean "source"?)',
  },
  { what: 'a wrong value', text: 'version: 1\nlog: {level: loud}\n', says: '2:14 log.level: expected debug, info' },
  {
    what: 'a missing variable',
    text: `version: 1\nsource: {url: "\${NOT_SET_HERE}"}\n`,
    says: '2:15 source.url: the environment variable NOT_SET_HERE is not set',
  },
])('wrong configuration, $what: exit 2 with its place, from run and check alike', async ({ what, text, says }) => {
  const file = join(directory, `${what.replaceAll(' ', '-')}.yaml`)
  if (text !== null) await writeFile(file, text)
  for (const command of ['run', 'check']) {
    const { code, stdout, stderr } = await runCommand([command, '--config', file])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('suprsync: config_invalid: ')
    expect(stderr).toContain(`\n${file}:${says}`)
  }
})

test('a fail point that is none: exit 2, for a test that never fails would prove nothing', async () => {
  await using database = await createUsers(cluster)
  const { url: databaseUrl, slot } = database
  const env = { SUPRSYNC_FAIL_POINT: 'before_confrim:1' }
  await using service = await startService({ databaseUrl, emulatorUrl: emulator.url, slot, env })
  expect((await service.exited).code).toBe(2)
})

test('a Node older than 24 is told so, and exit 2', async () => {
  const { path, args, version } = await oldestNode(directory)
  const run = await new Promise<Run>((resolve) => {
    execFile(path, [...args, BIN, 'run'], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    )
  })
  expect(run).toMatchObject({ code: 2, stdout: '' })
  expect(run.stderr).toContain('suprsync needs Node.js 24 or newer')
  expect(run.stderr).toContain(version)
})

test('SuprSend down at the start: said once, captured all the same, sent when it is back', async () => {
  await using database = await createUsers(cluster)
  await emulator.pause()
  await using service = await start(database)
  await service.waitFor('SuprSend to be missed', isError('suprsend_unreachable'))
  await service.waitStreaming()
  await until(async () => (await pending(database)) === USERS, { what: 'everybody to be captured' })
  await emulator.resume()
  await expectConverged({ database, emulator, config: service.config })
  await service.stop()
  emulator.reset()
})

test('a refused key at the start: said, captured all the same, nobody failed', async () => {
  await using database = await createUsers(cluster)
  emulator.settings({ unauthorized: true })
  await using service = await start(database)
  await service.waitFor('the key to be refused', isError('api_key_rejected'))
  await service.waitStreaming()
  await until(async () => (await pending(database)) === USERS, { what: 'everybody to be captured' })
  expect(await database.query('SELECT FROM suprsync.profile WHERE failure IS NOT NULL AND due_at IS NULL')).toEqual([])
  await service.stop()
  emulator.reset()
})

async function createUsers(server: Cluster): Promise<TestDatabase> {
  const database = await createTestDatabase(server.url())
  await createUsersTable(database)
  await insertUsers(database, USERS)
  return database
}

/** Nobody can look at publications until it is disposed of. */
async function lockedCatalogue({ pool }: TestDatabase): Promise<AsyncDisposable> {
  const client = await pool.connect()
  await client.query('BEGIN; LOCK TABLE pg_publication IN ACCESS EXCLUSIVE MODE')
  let isLocked = true
  return {
    [Symbol.asyncDispose]: async () => {
      if (!isLocked) return
      isLocked = false
      await client.query('ROLLBACK')
      client.release()
    },
  }
}

function start({ url, slot }: TestDatabase, databaseUrl = url): Promise<Service> {
  return startService({ databaseUrl, emulatorUrl: emulator.url, slot })
}

async function writeConfig(name: string, { source }: { readonly source: object }): Promise<string> {
  const file = join(directory, name)
  const suprsend = { api_key: 'test', base_url: emulator.url }
  await writeFile(
    file,
    JSON.stringify({ version: 1, source, suprsend, user: { distinct_id: 'id' }, profile: { $email: 'email' } }),
  )
  return file
}

function checkAs(service: Service): Promise<Run> {
  return runCommand(['check', '--config', service.config.file])
}

async function expectRefused(service: Service, code: string): Promise<void> {
  await service.waitFor(code, isError(code))
  expect((await service.exited).code).toBe(3)
}

function isError(code: string): (line: LogLine) => boolean {
  return (line) => line.code === code && line.level === 'error'
}

async function addressOf(service: Service): Promise<string> {
  const { url } = await service.waitFor('the service to listen', (line) => typeof line.url === 'string')
  return String(url)
}

async function pending(database: TestDatabase): Promise<number> {
  return (await database.query('SELECT FROM suprsync.profile WHERE due_at IS NOT NULL')).length
}
