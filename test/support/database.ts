// A database of its own for each test, on the run's shared server. Disposing of it ends its walsenders, drops its slots
// and then the database, so that tests never meet one another's WAL or objects.
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import type {} from './global-setup.ts'
import { until } from './wait.ts'

export type ResultRow = Record<string, unknown>

export interface TestDatabase extends AsyncDisposable {
  /** As the superuser. */
  readonly url: string
  readonly name: string
  /** A slot name that no other test uses. */
  readonly slot: string
  /** As the superuser, autocommit; at most 5 connections. */
  readonly pool: pg.Pool
  /** Rows of one statement on the pool. */
  query<Row extends ResultRow = ResultRow>(sql: string, params?: readonly unknown[]): Promise<readonly Row[]>
  /** The same database as another role; the password only matters where the server asks for one. */
  urlAs(user: string, password?: string): string
  /** Makes a login role (dropped with the database), `attributes` as in CREATE ROLE, and returns its name. */
  createRole(attributes?: string): Promise<string>
}

/** `serverUrl`: a superuser's URL of another server than the run's shared one. */
export async function createTestDatabase(serverUrl: string = inject('postgresUrl')): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  const password = 'test'
  await onServer(serverUrl, (client) => client.query(`CREATE DATABASE ${name}`))
  const url = withUrl(serverUrl, (it) => {
    it.pathname = `/${name}`
  })
  const pool = new pg.Pool({ connectionString: url, max: 5 })
  pool.on('error', () => undefined) // An idle connection ended by a test that stops the server.
  pool.on('connect', (client) => client.on('error', () => undefined)) // And one in use: its next statement tells.
  const roles: string[] = []
  return {
    url,
    name,
    slot: name,
    pool,
    query: async <Row extends ResultRow>(sql: string, params: readonly unknown[] = []) =>
      (await pool.query<Row>(sql, [...params])).rows,
    urlAs: (user, secret = password) =>
      withUrl(url, (it) => {
        it.username = encodeURIComponent(user)
        it.password = encodeURIComponent(secret)
      }),
    createRole: async (attributes = '') => {
      const role = `${name}_${roles.length}`
      await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD '${password}' ${attributes}`)
      roles.push(role)
      return role
    },
    [Symbol.asyncDispose]: async () => {
      await pool.end()
      await onServer(serverUrl, (client) => drop(client, name, roles))
    },
  }
}

async function drop(client: pg.Client, name: string, roles: readonly string[]): Promise<void> {
  // A slot cannot be dropped while its walsender lives, and a client that reconnects may bring it back: until gone.
  await until(
    async () => {
      await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name])
      await client.query(
        'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1 AND NOT active',
        [name],
      )
      const left = await client.query('SELECT 1 FROM pg_replication_slots WHERE database = $1', [name])
      return left.rowCount === 0
    },
    { what: `the slots of ${name} to be dropped`, timeoutMs: 15_000 },
  )
  await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  for (const role of roles) await client.query(`DROP ROLE ${role}`)
}

async function onServer(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

function withUrl(url: string, change: (url: URL) => void): string {
  const changed = new URL(url)
  change(changed)
  return changed.href
}
