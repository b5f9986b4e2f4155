// What `reconcile` draws and writes: random rows of tables of any shape without reading them whole, and marks on exactly those users
// who are settled and have not moved since they were read.

import { expect, test } from 'vitest'
import { ALL_BUCKETS } from '../../src/core/buckets.ts'
import { describeTable } from '../../src/postgres/catalogue.ts'
import { sampleKeys } from '../../src/postgres/sample-keys.ts'
import type { StateDatabase } from '../../src/state/database.ts'
import { ReconcileStore, readStoredUsers, repairUsers } from '../../src/state/reconcile-store.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint } from '../support/seeded-state.ts'
import { makeSender } from '../support/sender.ts'
import { until } from '../support/wait.ts'

const ROW = { channels: { $email: ['a@example.com'] }, properties: {} }

async function drawn(database: TestDatabase, name: string, limit: number) {
  const described = await describeTable(database.pool, { schema: 'public', name }, [])
  if (described.kind !== 'ok') throw new Error('no such table')
  return (await sampleKeys(database.pool, described.table, limit)).map((key) => JSON.stringify(key))
}

test('random keys of a large table, of a partitioned one, of a small and an empty one', async () => {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE TABLE large (id int PRIMARY KEY, filler text);
    INSERT INTO large SELECT n, repeat('x', 300) FROM generate_series(1, 60000) n;
    CREATE TABLE parted (a int, b text, PRIMARY KEY (a, b)) PARTITION BY RANGE (a);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
    CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
    INSERT INTO parted SELECT n, 'b' || n FROM generate_series(0, 199) n;
    CREATE TABLE nobody (id uuid PRIMARY KEY)`)
  // Neither was analysed: sizes are the file's, not the statistics'.
  const large = await drawn(database, 'large', 700)
  expect(large).toHaveLength(700)
  expect(new Set(large).size).toBe(700)
  const ids = large.map((key) => Number(JSON.parse(key)[0]))
  // From everywhere: the tenths of the table have 70 each, give or take.
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const some = ids.filter((id) => Math.floor((id - 1) / 6_000) === tenth).length
    expect(some).toBeGreaterThan(15)
    expect(some).toBeLessThan(180)
  }
  await database.query('DELETE FROM large WHERE id > 30')
  // Two thousand blocks, of which two are not empty: whatever is found is right, and it ends.
  expect((await drawn(database, 'large', 10)).length).toBeLessThanOrEqual(10)
  const parted = await drawn(database, 'parted', 150)
  expect(new Set(parted).size).toBe(150)
  expect(parted.every((key) => /^\["\d+","b\d+"\]$/.test(key))).toBe(true)
  expect(await drawn(database, 'parted', 1_000)).toHaveLength(200)
  expect(await drawn(database, 'nobody', 5)).toEqual([])
})

/** Users by what keeps them from being marked; `settled` and `gone` by nothing. */
async function seeded(database: TestDatabase): Promise<StateDatabase> {
  const db = await makeStateAtCheckpoint(database)
  const text = JSON.stringify(ROW)
  await database.query(
    `INSERT INTO suprsync.profile (distinct_id, bucket, desired, desired_hash, synced, synced_hash, changed_at, change_lsn)
     SELECT id, 0, $1::jsonb, 'h', $1::jsonb, 'h', now(), '0/1'
     FROM unnest('{settled,moved,due,flying,unclear,failed,held,kept}'::text[]) id`,
    [text],
  )
  await database.query(`
    INSERT INTO suprsync.profile (distinct_id, bucket, changed_at, change_lsn) VALUES ('gone', 0, now(), '0/1');
    UPDATE suprsync.profile SET desired_hash = 'new', synced_hash = 'new' WHERE distinct_id = 'moved';
    UPDATE suprsync.profile SET due_at = now() + interval '1 hour' WHERE distinct_id = 'due';
    UPDATE suprsync.profile SET claimed_by = gen_random_uuid(), sending = '[{"token": "t", "target": null}]' WHERE distinct_id = 'flying';
    UPDATE suprsync.profile SET sending = '[{"token": "t", "target": null}]' WHERE distinct_id = 'unclear';
    UPDATE suprsync.profile SET failure = '{"code": "invalid_value"}' WHERE distinct_id = 'failed';
    UPDATE suprsync.profile SET held = true WHERE distinct_id = 'held';
    UPDATE suprsync.profile SET synced_hash = 'before' WHERE distinct_id = 'kept'`)
  return db
}

const OTHERS = ['moved', 'due', 'flying', 'unclear', 'failed', 'held', 'kept']

test('only who is settled and has not moved is made due; a claim then takes them as planned', async () => {
  await using database = await createTestDatabase()
  const db = await seeded(database)
  try {
    const stored = await readStoredUsers(db, ['settled', 'nobody', ...OTHERS])
    expect(
      [...stored]
        .filter(([, user]) => user.isPending)
        .map(([id]) => id)
        .sort(),
    ).toEqual(['due', 'flying', 'held', 'unclear'])
    expect(stored.get('failed')?.setAside).toBe('invalid_value')
    expect(stored.has('nobody')).toBe(false)
    const others = () =>
      database.query('SELECT * FROM suprsync.profile WHERE distinct_id = ANY($1) ORDER BY 1', [OTHERS])
    const before = await others()
    const whole = (id: string, hash: string | null = 'h') =>
      ({ distinctId: id, how: 'whole', desiredHash: hash }) as const
    const repairs = [...OTHERS.map((id) => whole(id)), whole('settled'), whole('gone', null), whole('nobody')]
    expect([...(await repairUsers(db, repairs))].sort()).toEqual(['gone', 'settled'])
    expect(await repairUsers(db, repairs)).toEqual(new Set())
    expect(await others()).toEqual(before)
    const { claims } = await (await makeSender(db)).claim({ buckets: ALL_BUCKETS, limit: 10, lane: 1, token: 'x' })
    expect(
      claims.map(({ distinctId, synced, unclear }) => [distinctId, synced, unclear.map(({ target }) => target)]),
    ).toEqual(
      expect.arrayContaining([
        ['settled', ROW, [ROW]],
        ['gone', null, [null]],
      ]),
    )
    const sinceMs = Date.now() - (claims[0]?.pendingSince ?? 0)
    expect(sinceMs).toBeLessThan(60_000)
  } finally {
    await db.destroy()
  }
})

test('who is missing is sent as for the first time', async () => {
  await using database = await createTestDatabase()
  const db = await seeded(database)
  try {
    expect((await repairUsers(db, [{ distinctId: 'settled', how: 'create', desiredHash: 'h' }])).size).toBe(1)
    const { claims } = await (await makeSender(db)).claim({ buckets: ALL_BUCKETS, limit: 10, lane: 1, token: 'x' })
    const [claim] = claims
    expect(claim).toMatchObject({ distinctId: 'settled', desired: ROW, synced: null, syncedHash: null, unclear: [] })
  } finally {
    await db.destroy()
  }
})

test('the running service draws settled users alone, each now and then, and waits for no lock', async () => {
  await using database = await createTestDatabase()
  const db = await seeded(database)
  const locking = await database.pool.connect()
  try {
    const store = new ReconcileStore(db)
    const seen = new Set<string | undefined>()
    await until(async () => seen.add((await store.sample())?.distinctId).size === 3, { what: 'all three to be drawn' })
    expect(seen).toEqual(new Set(['settled', 'gone', 'moved']))
    await database.query("DELETE FROM suprsync.profile WHERE distinct_id <> 'settled'")
    expect(await store.sample()).toMatchObject({ distinctId: 'settled', desired: ROW, stored: { synced: ROW } })
    await locking.query("BEGIN; SELECT FROM suprsync.profile WHERE distinct_id = 'settled' FOR UPDATE")
    const repair = { distinctId: 'settled', how: 'whole', desiredHash: 'h' } as const
    expect(await store.repair(repair)).toBe(false)
    await locking.query('ROLLBACK')
    expect(await store.repair(repair)).toBe(true)
    expect(await store.sample()).toBeNull()
  } finally {
    locking.release()
    await db.destroy()
  }
})
