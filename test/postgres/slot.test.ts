// Making, describing and dropping the slot: never waiting for ever on the application, never leaving a slot behind.
import { expect, test } from 'vitest'
import { connectionConfig, openClient } from '../../src/postgres/connection.ts'
import { logRunningTransactions } from '../../src/postgres/running-transactions.ts'
import { createSlot, describeSlot, dropSlot } from '../../src/postgres/slot.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'

async function create(database: TestDatabase, timeoutMs = 10_000): Promise<bigint> {
  const client = await openClient(connectionConfig(database.url))
  try {
    return await createSlot(client, { name: database.slot, timeoutMs })
  } finally {
    await client.end()
  }
}

test('a created slot is described as it is, and dropped once', async () => {
  await using database = await createTestDatabase()
  expect(await describeSlot(database.pool, database.slot)).toBeNull()
  const lsn = await create(database)
  const slot = await describeSlot(database.pool, database.slot)
  expect(slot).toMatchObject({
    name: database.slot,
    plugin: 'pgoutput',
    database: database.name,
    slotType: 'logical',
    temporary: false,
    active: false,
    activePid: null,
    confirmedFlushLsn: lsn,
    walStatus: 'reserved',
    invalidationReason: null,
  })
  expect(slot?.restartLsn).toBeLessThanOrEqual(lsn)
  const [version] = await database.query<{ n: number }>("SELECT current_setting('server_version_num')::int AS n")
  expect(slot?.failover).toBe((version?.n ?? 0) >= 170_000)
  await expect(create(database)).rejects.toMatchObject({ code: '42710' })
  const { signal } = new AbortController()
  expect(await dropSlot(database.pool, { name: database.slot, signal })).toBe(true)
  expect(await dropSlot(database.pool, { name: database.slot, signal })).toBe(false)
})

test('an open transaction of the application blocks us for the time-out only; it is named, and no slot is left', async () => {
  await using database = await createTestDatabase()
  await database.query('CREATE TABLE t (id int)')
  const app = await database.pool.connect()
  try {
    const { rows } = await app.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    await app.query('BEGIN; INSERT INTO t VALUES (1)')
    const startedAt = performance.now()
    await expect(create(database, 300)).rejects.toMatchObject({
      code: 'slot_creation_blocked',
      details: { blocking_pid: rows[0]?.pid, prepared_transaction: null, transaction_age_s: expect.any(Number) },
    })
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    expect(await describeSlot(database.pool, database.slot)).toBeNull()
    await app.query('COMMIT')
    expect(await create(database)).toBeGreaterThan(0n)
  } finally {
    app.release()
  }
})

test('whoever may replicate can have running transactions noted: no slot stays, and an open one is not waited for', async () => {
  await using database = await createTestDatabase()
  const connection = connectionConfig(database.urlAs(await database.createRole('REPLICATION')))
  await logRunningTransactions(connection, database.slot)
  await database.query('CREATE TABLE t (id int)')
  const app = await database.pool.connect()
  try {
    await app.query('BEGIN; INSERT INTO t VALUES (1)')
    const startedAt = performance.now()
    await logRunningTransactions(connection, database.slot)
    expect(performance.now() - startedAt).toBeLessThan(4_000)
    await until(async () => (await describeSlot(database.pool, database.slot)) === null, { what: 'no slot to be left' })
    await app.query('COMMIT')
  } finally {
    app.release()
  }
})

test('a prepared transaction that blocks is named', async () => {
  await using cluster = await startCluster({ settings: { max_prepared_transactions: '2' } })
  await using database = await createTestDatabase(cluster.url())
  const app = await database.pool.connect()
  await app.query("BEGIN; CREATE TABLE t (id int); PREPARE TRANSACTION 'left over'")
  app.release()
  try {
    await expect(create(database, 300)).rejects.toMatchObject({
      code: 'slot_creation_blocked',
      message: /prepared transaction left over/,
      details: { prepared_transaction: 'left over' },
    })
  } finally {
    await database.query("ROLLBACK PREPARED 'left over'")
  }
})

test('a creator that dies while it waits leaves no slot, although the blocker ends later', async () => {
  await using database = await createTestDatabase()
  await database.query('CREATE TABLE t (id int)')
  const app = await database.pool.connect()
  try {
    await app.query('BEGIN; INSERT INTO t VALUES (1)')
    const client = await openClient(connectionConfig(database.url))
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const pid = rows[0]?.pid ?? 0
    const creation = createSlot(client, { name: database.slot, timeoutMs: 60_000 }).catch((error: unknown) => error)
    await until(async () => (await describeSlot(database.pool, database.slot))?.activePid === pid, {
      what: 'the creation to wait',
    })
    Reflect.get(Reflect.get(client, 'connection'), 'stream').destroy() // as kill -9 would
    expect(await creation).toBeInstanceOf(Error)
    await until(async () => (await describeSlot(database.pool, database.slot)) === null, {
      what: 'the server to notice and give up',
    })
    await app.query('COMMIT')
  } finally {
    app.release()
  }
})

test('a slot in use is dropped only when asked to end its walsender', async () => {
  await using database = await createTestDatabase()
  await create(database)
  await database.query('CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t')
  const walsender = await openClient(connectionConfig(database.url, { replication: true }))
  const streaming = walsender
    .query(`START_REPLICATION SLOT ${database.slot} LOGICAL 0/0 (proto_version '1', publication_names 'pub')`)
    .catch((error: unknown) => error)
  await until(async () => (await describeSlot(database.pool, database.slot))?.active, { what: 'the slot to be active' })
  const { signal } = new AbortController()
  await expect(dropSlot(database.pool, { name: database.slot, signal })).rejects.toMatchObject({ code: '55006' })
  const pid = (await describeSlot(database.pool, database.slot))?.activePid ?? 0
  const another = dropSlot(database.pool, { name: database.slot, endPid: pid + 1, signal })
  await expect(another).rejects.toMatchObject({ code: '55006' })
  expect(await dropSlot(database.pool, { name: database.slot, endPid: pid, signal })).toBe(true)
  expect(await streaming).toBeInstanceOf(Error)
  expect(await describeSlot(database.pool, database.slot)).toBeNull()
})

test('a slot that outlived its WAL says so', async () => {
  await using cluster = await startCluster({
    settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB' },
  })
  await using database = await createTestDatabase(cluster.url())
  await create(database)
  expect((await describeSlot(database.pool, database.slot))?.safeWalSizeBytes).toBeGreaterThan(0n)
  await until(
    async () => {
      await database.query('SELECT pg_logical_emit_message(false, $1, repeat($2, 4000000))', ['fill', 'x'])
      await database.query('SELECT pg_switch_wal(); CHECKPOINT')
      return (await describeSlot(database.pool, database.slot))?.walStatus === 'lost'
    },
    { what: 'the slot to be invalidated', timeoutMs: 30_000 },
  )
  const slot = await describeSlot(database.pool, database.slot)
  // The reason came in two steps.
  const reasons: Readonly<Record<number, string | null>> = { 14: null, 15: null, 16: 'conflicting' }
  const expected = cluster.major in reasons ? reasons[cluster.major] : 'wal_removed'
  expect(slot?.invalidationReason).toBe(expected)
})
