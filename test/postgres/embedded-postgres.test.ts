import { fork } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import pg from 'pg'
import { expect, test } from 'vitest'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'

async function scalar(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url, query_timeout: 5_000 })
  await client.connect()
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' })
    return rows[0]?.[0]
  } finally {
    await client.end()
  }
}

const gone = (path: string) =>
  access(path).then(
    () => false,
    () => true,
  )

test('the cluster keeps its data over stop, kill -9 and start, on the same port, and removes it when disposed', async () => {
  let dataDir = ''
  {
    await using cluster = await startCluster({ settings: { work_mem: '5MB' } })
    dataDir = cluster.dataDir
    await scalar(cluster.url(), 'CREATE TABLE t AS SELECT 1 AS n')
    expect(await scalar(cluster.url(), 'SHOW wal_level')).toBe('logical')
    expect(await scalar(cluster.url(), 'SHOW work_mem')).toBe('5MB')
    const { elapsedMs } = await cluster.stop('fast')
    expect(elapsedMs).toBeLessThan(5_000)
    expect(cluster.pid).toBeNull()
    await cluster.start()
    await cluster.kill9()
    await cluster.start({ wal_level: 'replica' })
    expect(await scalar(cluster.url(), 'SELECT n FROM t')).toBe(1)
    expect(await scalar(cluster.url(), 'SHOW wal_level')).toBe('replica')
  }
  expect(await gone(dataDir)).toBe(true)
})

test('a cluster with a password refuses a wrong one', async () => {
  await using cluster = await startCluster({ password: 'right horse' })
  expect(await scalar(cluster.url(), 'SELECT 1')).toBe(1)
  const wrong = new URL(cluster.url())
  wrong.password = 'wrong'
  await expect(scalar(wrong.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' })
})

test('a server that cannot start says why', async () => {
  await expect(startCluster({ settings: { wal_level: 'nonsense' } })).rejects.toThrow(/wal_level/)
})

test('kill -9 of the owner ends the server and removes its data', async () => {
  const owner = fork(new URL('../support/cluster-owner.ts', import.meta.url), { execArgv: [], stdio: 'ignore' })
  owner.ref()
  const [owned] = (await once(owner, 'message')) as [{ pid: number; dataDir: string }]
  owner.kill('SIGKILL')
  await until(() => gone(owned.dataDir), { what: 'the data directory to be removed' })
  expect(() => process.kill(owned.pid, 0)).toThrow(/ESRCH/)
})

test('a test database is dropped with its slots, active or not', async () => {
  let name = ''
  {
    await using database = await createTestDatabase()
    name = database.name
    await database.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [database.slot])
    expect(await database.query('SELECT slot_name FROM pg_replication_slots WHERE database = $1', [name])).toHaveLength(
      1,
    )
  }
  await using other = await createTestDatabase()
  expect(await other.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1', [name])).toEqual([])
  expect(await other.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])).toEqual([])
})
