// The replication stream on a real server: each trap of pg-logical-replication (DESIGN §5.2), provoked.
import { expect, test } from 'vitest'
import { type Lsn, parseLsn } from '../../src/core/lsn.ts'
import { isSlotInUse } from '../../src/postgres/stream.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  confirmedLsn,
  describe,
  drained,
  Follower,
  openWhenFree,
  publish,
  type Transaction,
  terminateWalSender,
} from '../support/followed-table.ts'
import { until } from '../support/wait.ts'

const USERS = 'CREATE TABLE users (id int PRIMARY KEY, email text)'

/** How often the server heard of us, as it tells by the time of the last reply. */
async function replies(database: TestDatabase, count: number): Promise<void> {
  const times = new Set<string>()
  await until(
    async () => {
      const [row] = await database.query<{ at: string | null }>(
        `SELECT reply_time::text AS at FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
         WHERE slot_name = $1`,
        [database.slot],
      )
      if (row?.at) times.add(row.at)
      return times.size > count
    },
    { what: `${count} status messages`, timeoutMs: 20_000 },
  )
}

/** What our status messages say, which newer servers may know better than to follow. */
async function flushedLsn(database: TestDatabase): Promise<Lsn> {
  const [row] = await database.query<{ lsn: string }>(
    `SELECT flush_lsn::text AS lsn FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
     WHERE slot_name = $1`,
    [database.slot],
  )
  return parseLsn(row?.lsn ?? '')
}

test('of two transactions that commit back to back the second arrives although only the first was confirmed', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, USERS)
  const table = await describe(database)
  const pair = await adjacentCommits(database, await Follower.open(database, table, { startLsn }))
  await using after = await openWhenFree(database, table, pair.first.endLsn)
  await after.until('the second transaction', () => after.transactions.length > 0)
  expect(after.transactions[0]).toEqual(pair.second)
})

/** Clients whose commits overlap, until two commit records touch; the first is confirmed, the connection killed. */
async function adjacentCommits(
  database: TestDatabase,
  follower: Follower,
): Promise<{ readonly first: Transaction; readonly second: Transaction }> {
  await using before = follower
  const adjacent = () => {
    const at = before.transactions.findIndex((it, index) => it.endLsn === before.transactions[index + 1]?.commitLsn)
    const [first, second] = at < 0 ? [] : before.transactions.slice(at, at + 2)
    return first && second ? { first, second } : null
  }
  let id = 0
  const client = async () => {
    while (!adjacent() && id < 20_000) {
      id += 1
      await database.query(`BEGIN; INSERT INTO users VALUES (${id}, 'x'); SELECT pg_sleep(0.002); COMMIT`)
    }
  }
  const clients = Promise.all([client(), client(), client(), client()])
  await before.until('two adjacent commits', () => adjacent() !== null, 30_000)
  await clients
  const pair = adjacent()
  if (!pair) throw new Error('no adjacent commits')
  const { endLsn } = pair.first
  before.stream.confirm(endLsn)
  await until(async () => (await confirmedLsn(database)) === endLsn, { what: 'exactly the confirmed LSN' })
  before.stream.confirm((endLsn - 100n) as Lsn) // an older one does not take it back, not even as a status
  await replies(database, 1)
  expect(await flushedLsn(database)).toBe(endLsn)
  await terminateWalSender(database)
  await expect(drained(before)).resolves.toMatchObject({ code: '57P01' })
  expect(await confirmedLsn(database)).toBe(endLsn)
  return pair
}

test('what is received but not confirmed stays unconfirmed, however often the server hears of us', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, USERS)
  await using follower = await Follower.open(database, await describe(database), {
    startLsn,
    walSenderTimeoutMs: 4_200,
  })
  await database.query("INSERT INTO users VALUES (1, 'a')")
  await follower.until('the row', () => follower.changes.length === 1)
  const before = await confirmedLsn(database)
  await replies(database, 3) // every 1.4 s: the library's own timer looks every second
  expect(await confirmedLsn(database)).toBe(before)
  const end = follower.transactions[0]?.endLsn ?? (0n as Lsn)
  expect(before).toBeLessThan(end)
  follower.stream.confirm(end)
  await until(async () => (await confirmedLsn(database)) === end, { what: 'the confirmation' })
  await replies(database, 1)
  expect(await confirmedLsn(database)).toBe(end)
})

test('a keepalive stands behind all that was committed before its position', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, USERS)
  const options = { startLsn, walSenderTimeoutMs: 150, maxBufferedBytes: 4096 }
  await using follower = await Follower.open(database, await describe(database), options)
  const inserts = (async () => {
    for (let at = 0; at < 300; at += 1) await database.query(`INSERT INTO users VALUES (${at}, repeat('x', 500))`)
  })()
  await follower.until('all rows', () => follower.changes.length === 300, 20_000)
  await inserts
  const end = follower.transactions.at(-1)?.endLsn ?? (0n as Lsn)
  const isBehind = () => follower.events.some((event) => event.kind === 'keepalive' && event.lsn >= end)
  await follower.until('a keepalive behind it all', isBehind)
  let settled = 0n
  for (const event of follower.events) {
    if (event.kind === 'keepalive' && event.lsn > settled) settled = event.lsn
    if (event.kind === 'begin') expect(event.commitLsn).toBeGreaterThanOrEqual(settled)
  }
})

test('a consumer that takes nothing for longer than wal_sender_timeout stays connected, in bounded memory', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, USERS)
  const options = { startLsn, walSenderTimeoutMs: 600, maxBufferedBytes: 256 << 10 }
  await using follower = await Follower.open(database, await describe(database), options)
  const pid = await walSenderPid(database)
  await database.query('INSERT INTO users SELECT n, repeat(md5(n::text), 32) FROM generate_series(1, 40000) n')
  await replies(database, 10) // every 200 ms: more than three time-outs
  expect(await walSenderPid(database)).toBe(pid)
  await follower.take()
  let received = 0
  for (const event of follower.events)
    if (event.kind === 'insert') for (const value of event.row) received += typeof value === 'string' ? value.length : 0
  // What the buffer holds and what one read of the socket adds, of 40 MB.
  expect(received).toBeGreaterThan(100 << 10)
  expect(received).toBeLessThan(512 << 10)
  await follower.until('all rows', () => follower.changes.length === 40_000, 30_000)
  expect(follower.transactions).toHaveLength(1)
})

async function walSenderPid(database: TestDatabase): Promise<number> {
  const [row] = await database.query<{ pid: number }>(
    'SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1 AND active',
    [database.slot],
  )
  if (!row) throw new Error('nobody streams from the slot')
  return row.pid
}

test('a connection that breaks within a transaction: the next one brings it again from its start', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, USERS)
  const table = await describe(database)
  await using first = await Follower.open(database, table, { startLsn, maxBufferedBytes: 64 << 10 })
  await database.query("INSERT INTO users VALUES (0, 'before')")
  await database.query("INSERT INTO users SELECT n, repeat('x', 200) FROM generate_series(1, 50000) n")
  await first.until('half a transaction', () => first.transactions.length === 1 && (first.openChanges ?? 0) > 1_000)
  const confirmed = first.transactions[0]?.endLsn ?? startLsn
  first.stream.confirm(confirmed)
  await until(async () => (await confirmedLsn(database)) === confirmed, { what: 'the confirmation' })
  await terminateWalSender(database)
  await drained(first)
  await using second = await openWhenFree(database, table, confirmed)
  await second.until('the whole transaction', () => second.transactions.length === 1, 20_000)
  expect(second.changes).toHaveLength(50_000)
  expect(second.changes[0]).toMatchObject({ kind: 'insert', row: ['1', 'x'.repeat(200)] })
})

test('a frozen walsender is noticed by its silence; an idle one is not', async () => {
  await using cluster = await startCluster()
  await using database = await createTestDatabase(cluster.url())
  const startLsn = await publish(database, USERS)
  const table = await describe(database)
  await using follower = await Follower.open(database, table, { startLsn, walSenderTimeoutMs: 300 })
  const pid = await walSenderPid(database)
  await replies(database, 12) // every 100 ms: twice as long as the silence that would end it
  await database.query("INSERT INTO users VALUES (1, 'a')")
  await follower.until('the row', () => follower.changes.length === 1)
  process.kill(pid, 'SIGSTOP')
  try {
    const stoppedAt = performance.now()
    await expect(drained(follower)).resolves.toMatchObject({ code: 'stream_silent' })
    expect(performance.now() - stoppedAt).toBeLessThan(3_000)
    await expect(Follower.open(database, table, { startLsn })).rejects.toSatisfy(isSlotInUse)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await using next = await openWhenFree(database, table, startLsn)
  await next.until('the row again', () => next.changes.length === 1)
})
