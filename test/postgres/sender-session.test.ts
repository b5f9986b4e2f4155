// Senders on a real server: whose each bucket is, what is fenced off when one is gone, and what becomes of those it had in hand.
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { ALL_BUCKETS, BUCKETS } from '../../src/core/buckets.ts'
import { connectionConfig } from '../../src/postgres/connection.ts'
import { acquireEverything, CaptureLock } from '../../src/state/capture-lock.ts'
import type { StateDatabase } from '../../src/state/database.ts'
import { DeliveryStore } from '../../src/state/delivery-store.ts'
import { readSenders } from '../../src/state/report.ts'
import { type JoinOptions, StateSenderSession } from '../../src/state/sender-session.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startNetwork } from '../support/network.ts'
import { makeState, makeStateAtCheckpoint, seedProfiles } from '../support/seeded-state.ts'
import { until } from '../support/wait.ts'

async function join(database: TestDatabase, options: Partial<JoinOptions> = {}): Promise<StateSenderSession> {
  const session = await StateSenderSession.join({
    connection: connectionConfig(database.url),
    schema: 'suprsync',
    accountHash: 'key',
    stuckAfterMs: 60_000,
    most: 64,
    isNew: true,
    onWork: () => undefined,
    onSenders: () => undefined,
    ...options,
  })
  if (session === null) throw new Error('nobody may join')
  return session
}

/** As the server does when a host is gone. */
async function endSession(database: TestDatabase, { id }: StateSenderSession): Promise<void> {
  await database.query('SELECT pg_terminate_backend(pid) FROM suprsync.sender WHERE id = $1', [id])
  await until(
    async () =>
      (await database.query('SELECT FROM pg_stat_activity a JOIN suprsync.sender s USING (pid) WHERE s.id = $1', [id]))
        .length === 0,
    { what: 'the session to end' },
  )
}

async function claim(store: DeliveryStore, buckets: readonly number[] = ALL_BUCKETS): Promise<readonly string[]> {
  const { claims } = await store.claim({ buckets, limit: 100, lane: 0, token: crypto.randomUUID() })
  return claims.map(({ distinctId }) => distinctId)
}

async function world(): Promise<AsyncDisposable & { readonly database: TestDatabase; readonly state: StateDatabase }> {
  const closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  const state = closing.use(await makeStateAtCheckpoint(database))
  return { database, state, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

test('a bucket has one owner; what is given up or whose owner leaves is free, and everybody is told', async () => {
  await using it = await world()
  let calls = 0
  const onSenders = () => {
    calls += 1
  }
  await using first = await join(it.database, { onSenders })
  expect(first.isFirst).toBe(true)
  expect(await first.take(ALL_BUCKETS)).toEqual(ALL_BUCKETS)
  const second = await join(it.database)
  expect(second.isFirst).toBe(false)
  expect(await second.take([0, 1])).toEqual([])
  await until(() => calls > 0, { what: 'the first to be called' })
  const seen = await first.look(null)
  expect(seen.senders).toEqual([first.id, second.id])
  expect(new Set(seen.owners)).toEqual(new Set([first.id]))

  await first.give([0, 1])
  expect(await second.take([0, 1, 2])).toEqual([0, 1])
  expect((await first.look(null)).owners.slice(0, 3)).toEqual([second.id, second.id, first.id])
  const before = calls
  await second[Symbol.asyncDispose]()
  await until(() => calls > before, { what: 'the first to be called when the second has left' })
  const after = await first.look(null)
  expect(after.senders).toEqual([first.id])
  expect(after.owners.filter((owner) => owner === null)).toHaveLength(2)
})

test('while everything is held still nobody joins, and while somebody sends nothing is', async () => {
  await using it = await world()
  const connection = connectionConfig(it.database.url)
  {
    await using still = await acquireEverything(connection, 'suprsync')
    expect(still).not.toBeNull()
    await expect(join(it.database)).rejects.toThrow('nobody may join')
  }
  await using _sender = await join(it.database)
  expect(await acquireEverything(connection, 'suprsync')).toBeNull()
})

test('who is gone claims nothing any more; whom it had in hand waits, as after an unclear outcome', async () => {
  await using it = await world()
  await seedProfiles(
    it.database,
    ['ann', 'bob', 'cid'].map((id) => ({ id, due: true })),
  )
  const gone = await join(it.database)
  const late = new DeliveryStore(it.state, gone)
  await gone.take(ALL_BUCKETS)
  const { claims } = await late.claim({ buckets: ALL_BUCKETS, limit: 2, lane: 0, token: 'a' })
  expect(claims).toHaveLength(2)
  await endSession(it.database, gone)
  await using next = await join(it.database)
  // When it sent its last nobody knows.
  expect(next.isFirst).toBe(false)
  expect(await next.take(ALL_BUCKETS)).toHaveLength(BUCKETS)
  // The session is gone, but not its connections: a claim that comes late.
  expect(await claim(late)).toEqual([])

  const store = new DeliveryStore(it.state, next)
  const third = ['ann', 'bob', 'cid'].filter((id) => claims.every(({ distinctId }) => distinctId !== id))
  expect(await claim(store)).toEqual(third)
  expect(await claim(store)).toEqual([])
  const waitMs = await store.nextDueInMs(ALL_BUCKETS)
  expect(waitMs).toBeGreaterThan(1_000)
  expect(waitMs).toBeLessThanOrEqual(2_000)
  await it.database.query('UPDATE suprsync.profile SET due_at = now() WHERE claimed_by IS NULL')
  const again = await store.claim({ buckets: ALL_BUCKETS, limit: 10, lane: 0, token: 'b' })
  expect(again.claims.map(({ unclear }) => unclear.map(({ token }) => token))).toEqual([
    ['t', 'a'],
    ['t', 'a'],
  ])
  // What the former one heard at last is of no account.
  const [claimed] = claims
  if (claimed === undefined) throw new Error('nobody was claimed')
  expect(await late.record([recordOf(claimed)])).toEqual([claimed.distinctId])
})

test('while a claim of who is gone is under way nobody has what was its own, and nobody waits for it', async () => {
  await using it = await world()
  const gone = await join(it.database)
  await gone.take([3])
  // A claim holds its sender's row as long as its statement lasts.
  const claiming = await it.database.pool.connect()
  await claiming.query('BEGIN')
  await claiming.query('SELECT FROM suprsync.sender WHERE id = $1 FOR SHARE', [gone.id])
  await endSession(it.database, gone)
  await using next = await join(it.database)
  // A server that stands still within that claim must not cost the others what they have.
  expect(await next.take([3])).toEqual([])
  expect((await next.look(null)).owners[3]).toBeNull()
  await claiming.query('COMMIT')
  claiming.release()
  expect(await next.take([3])).toEqual([3])
})

test.each([
  ['another fence', 'UPDATE suprsync.sender SET fence = gen_random_uuid() WHERE id = $1'],
  ['its row gone', 'DELETE FROM suprsync.sender WHERE id = $1'],
])('a claim that has looked already and then finds %s takes nobody', async (_, fenceOff) => {
  await using it = await world()
  await seedProfiles(it.database, [{ id: 'ann', due: true }])
  await using session = await join(it.database)
  const fencing = await it.database.pool.connect()
  await fencing.query('BEGIN')
  await fencing.query(fenceOff, [session.id])
  const claiming = claim(new DeliveryStore(it.state, session))
  const waiting =
    'SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT granted AND datname = current_database()'
  await until(async () => (await it.database.query(waiting)).length > 0, { what: 'the claim to wait' })
  await fencing.query('COMMIT')
  fencing.release()
  expect(await claiming).toEqual([])
  expect(
    await it.database.query('SELECT claimed_by, jsonb_array_length(sending) AS sending FROM suprsync.profile'),
  ).toEqual([{ claimed_by: null, sending: 1 }])
})

test('who has nothing to do writes nothing: no transaction id is used up by asking, nor by saying that it is there', async () => {
  await using it = await world()
  await using session = await join(it.database)
  await session.take(ALL_BUCKETS)
  const idle = { buckets: 64, inHand: 0, acceptedPerSecond: 0 }
  await session.look(idle)
  const version = () => it.database.query('SELECT xmin::text FROM suprsync.sender')
  const before = await version()
  const signs = () =>
    it.database.query(`
      SELECT objid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
      WHERE d.datname = current_database() AND classid = hashtext('suprsync beats suprsync')::oid`)
  const first = await signs()
  expect(first).toHaveLength(1)
  const isAnother = async () => {
    await session.look(idle)
    return JSON.stringify(await signs()) !== JSON.stringify(first)
  }
  await until(isAnother, { what: 'another sign of life' })
  expect(await signs()).toHaveLength(1)
  expect((await readSenders(it.state, 'suprsync'))[0]?.silentMs).toBeLessThan(5_000)
  expect(await version()).toEqual(before)
  await it.state.transaction().execute(async (transaction) => {
    expect(await claim(new DeliveryStore(transaction, session))).toEqual([])
    const { rows } = await sql<{ xid: string | null }>`select pg_current_xact_id_if_assigned()::text as xid`.execute(
      transaction,
    )
    expect(rows).toEqual([{ xid: null }])
  })
})

test('a server whose clock jumps ends nobody, and keeps nobody waiting longer than it was told', async () => {
  await using it = await world()
  await using first = await join(it.database, { stuckAfterMs: 60_000 })
  await using second = await join(it.database, { stuckAfterMs: 60_000 })
  await first.tell({ kind: 'throttled', forMs: 3_000 })
  await it.database.query(
    "UPDATE suprsync.sender SET started_at = started_at - interval '1 h', news = jsonb_set(news, '{untilMs}', to_jsonb((news ->> 'untilMs')::float8 + 3600000))",
  )
  const view = await second.look(null)
  expect(view.stuck).toEqual([])
  expect(view.news).toEqual([{ kind: 'throttled', forMs: 3_000 }])
})

test('a role that may not end a session is told so, and goes on', async () => {
  await using it = await world()
  const role = `weak_${crypto.randomUUID().slice(0, 8)}`
  await it.database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'weak'`)
  await it.database.query(`GRANT USAGE ON SCHEMA suprsync TO ${role}`)
  await it.database.query(`GRANT ALL ON ALL TABLES IN SCHEMA suprsync TO ${role}`)
  await using first = await join(it.database)
  {
    const url = new URL(it.database.url)
    url.username = role
    url.password = 'weak'
    await using weak = await join(it.database, { connection: connectionConfig(url.href) })
    const [pid] = await it.database.query<{ pid: number }>('SELECT pid FROM suprsync.sender WHERE id = $1', [first.id])
    expect(await weak.end(pid?.pid ?? 0, first.id)).toBe('denied')
    expect((await weak.look(null)).senders).toEqual([first.id, weak.id])
    expect(await first.end(pid?.pid ?? 0, weak.id)).toBe('gone')
  }
  expect(await first.confirm()).toBe(true)
  await it.database.query(`DROP OWNED BY ${role}`)
  await it.database.query(`DROP ROLE ${role}`)
})

test('claims look into the buckets they are given, oldest first in each', async () => {
  await using it = await world()
  await it.database.query(`
    INSERT INTO suprsync.profile (distinct_id, bucket, desired, desired_hash, changed_at, due_at, change_lsn)
    SELECT 'u' || b || '-' || n, b, '{"channels": {}, "properties": {}}', 'h', now(), now() - n * interval '1 s', '0/1'
    FROM generate_series(0, 3) b, generate_series(1, 50) n`)
  await using session = await join(it.database)
  const store = new DeliveryStore(it.state, session)
  const { claims, more } = await store.claim({ buckets: [1, 2], limit: 10, lane: 0, token: 'a' })
  const expected = [46, 47, 48, 49, 50].flatMap((n) => [`u1-${n}`, `u2-${n}`])
  expect(claims.map(({ distinctId }) => distinctId).sort()).toEqual(expected.toSorted())
  expect(more).toBe(false)
  expect(claims.every(({ bucket }) => bucket === 1 || bucket === 2)).toBe(true)
  // Few buckets have what many are asked for: it is told that there is more.
  const one = await store.claim({ buckets: ALL_BUCKETS, limit: 64, lane: 0, token: 'b' })
  expect(one.more).toBe(true)
  expect(one.claims.length).toBeLessThan(64)
  const rest: string[] = []
  for (let found = await claim(store); found.length > 0; found = await claim(store)) rest.push(...found)
  expect(rest.length + one.claims.length + claims.length).toBe(200)
})

test('what SuprSend answered one is told to those with the same key; who makes no progress is seen, and ended', async () => {
  await using it = await world()
  await using first = await join(it.database)
  await using second = await join(it.database, { stuckAfterMs: 500 })
  await using other = await join(it.database, { accountHash: 'another' })
  await first.tell({ kind: 'throttled', forMs: 60_000 })
  const [throttled] = (await second.look(null)).news
  expect(throttled).toMatchObject({ kind: 'throttled' })
  expect((await first.look(null)).news).toEqual([])
  await first.tell({ kind: 'unauthorized' })
  expect((await second.look(null)).news).toEqual([{ kind: 'unauthorized' }])
  expect((await other.look(null)).news).toEqual([])
  const listed = await readSenders(it.state, 'suprsync')
  expect(listed.map(({ news }) => news)).toEqual(['unauthorized', null, null])
  await first.tell({ kind: 'open' })
  expect((await second.look(null)).news).toEqual([])

  await first.take([5])
  await other.look({ buckets: 0, inHand: 0, acceptedPerSecond: 0 })
  const stuck = await until(
    async () => {
      await other.look({ buckets: 0, inHand: 0, acceptedPerSecond: 0 })
      return (await second.look({ buckets: 0, inHand: 0, acceptedPerSecond: 0 })).stuck[0]
    },
    { what: 'the first to be seen as stuck' },
  )
  expect(stuck.id).toBe(first.id)
  expect(await second.end(stuck.pid, other.id)).toBe('gone')
  expect(await second.end(stuck.pid, stuck.id)).toBe('ended')
  await first.lost
  expect(await first.confirm()).toBe(false)
  await until(async () => (await second.take([5])).length === 1, { what: 'its bucket' })
})

test('neither a stricter isolation nor a lock_timeout of the role makes failures of waits', async () => {
  await using it = await world()
  const { name } = it.database
  for (const [setting, value] of [
    ['default_transaction_isolation', "'serializable'"],
    ['lock_timeout', '50'],
  ])
    await it.database.query(`ALTER DATABASE "${name}" SET ${setting} = ${value}`)
  await using state = await makeState(it.database)
  await seedProfiles(it.database, [{ id: 'ann', due: true }])
  await using session = await join(it.database)
  const store = new DeliveryStore(state, session)
  await session.take(ALL_BUCKETS)
  const { claims } = await store.claim({ buckets: ALL_BUCKETS, limit: 1, lane: 0, token: 'a' })
  const [claimed] = claims
  if (claimed === undefined) throw new Error('nobody was claimed')
  // Capture commits an edit of the user while the answer is recorded.
  const capturing = await it.database.pool.connect()
  await capturing.query('BEGIN')
  await capturing.query("UPDATE suprsync.profile SET desired_hash = 'newer' WHERE distinct_id = 'ann'")
  const recording = store.record([recordOf(claimed)])
  await until(
    async () =>
      (
        await it.database.query(
          "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND state_change < clock_timestamp() - interval '100 ms'",
        )
      ).length > 0,
    { what: 'the record to have waited' },
  )
  await capturing.query('COMMIT')
  capturing.release()
  expect(await recording).toEqual([])
})

test('a session whose server is out of reach is let go within seconds', async () => {
  await using it = await world()
  await using network = await startNetwork(it.database.url)
  const lock = new CaptureLock({ connection: connectionConfig(network.url), schema: 'suprsync' })
  const held = await lock.acquire()
  network.become('to_server')
  const startedAt = performance.now()
  await held?.[Symbol.asyncDispose]()
  expect(performance.now() - startedAt).toBeLessThan(5_000)
})

function recordOf(claimed: Awaited<ReturnType<DeliveryStore['claim']>>['claims'][number]) {
  return {
    claim: claimed,
    synced: claimed.desired,
    syncedHash: claimed.desiredHash,
    unclear: [],
    attempts: 0,
    failure: null,
    failingSince: null,
    retryInMs: null,
  }
}
