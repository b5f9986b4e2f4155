// The demo's database as an operator would prepare one: the application's table belongs to its owner, and suprsync gets a
// role that may replicate, read that table and keep its own schema, and nothing else. docs/postgres.md explains each line.
import pg from 'pg'
import { SCHEMA } from './application.ts'
import type { Cluster } from './embedded-postgres.ts'

const DATABASE = 'app'
const ROLE = 'suprsync'

const LEAST_PRIVILEGE = `
CREATE ROLE ${ROLE} LOGIN REPLICATION;
GRANT SELECT ON public.users TO ${ROLE};
CREATE SCHEMA suprsync AUTHORIZATION ${ROLE};
CREATE PUBLICATION suprsync FOR TABLE ONLY public.users WITH (publish = 'insert, update, delete, truncate');`

export interface DemoDatabase extends AsyncDisposable {
  /** As the application. */
  readonly pool: pg.Pool
  readonly ownerUrl: string
  /** As suprsync. */
  readonly serviceUrl: string
}

export async function createDatabase(cluster: Cluster): Promise<DemoDatabase> {
  const server = new pg.Client({ connectionString: cluster.url(), ssl: false })
  await server.connect()
  try {
    await server.query(`CREATE DATABASE ${DATABASE}`)
  } finally {
    await server.end()
  }
  const ownerUrl = cluster.url(DATABASE)
  const pool = new pg.Pool({ connectionString: ownerUrl, ssl: false, max: 2 })
  pool.on('error', () => undefined) // The server is ended before the pool when everything ends at once.
  try {
    await pool.query(SCHEMA)
    await pool.query(LEAST_PRIVILEGE)
  } catch (error) {
    await pool.end()
    throw error
  }
  return {
    pool,
    ownerUrl,
    serviceUrl: cluster.url(DATABASE, ROLE),
    [Symbol.asyncDispose]: () => pool.end(),
  }
}
