// Claims on a real server: one that was committed although its answer was lost is given back by its token, and by nothing else; what is
// dead in front of who is due is not passed by every claim.

import { expect, test } from 'vitest'
import { ALL_BUCKETS, BUCKETS } from '../../src/core/buckets.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint, seedProfiles } from '../support/seeded-state.ts'
import { makeSender } from '../support/sender.ts'
import { until } from '../support/wait.ts'

test('a claim is given back by its token, and its target stays unclear', async () => {
  await using database = await createTestDatabase()
  await using state = await makeStateAtCheckpoint(database)
  const store = await makeSender(state)
  const other = await makeSender(state)
  await seedProfiles(database, [{ id: 'ann', due: true }])
  const claim = async (token: string) => (await store.claim({ buckets: ALL_BUCKETS, limit: 10, lane: 0, token })).claims
  expect(await claim('first')).toHaveLength(1)
  expect(await claim('second')).toEqual([])
  await store.abandon(['another'])
  await other.abandon(['first'])
  expect(await claim('third')).toEqual([])

  await store.abandon(['first'])
  const [again] = await claim('fourth')
  expect(again?.unclear.map(({ token }) => token)).toEqual(['t', 'first'])
  // Given back once more while the user is in hand for another claim: it stays in hand.
  await store.abandon(['first'])
  expect(await claim('fifth')).toEqual([])
})

test('dead entries in front, which an open transaction keeps, are not passed by every claim; who is due before them is found all the same', async () => {
  const ROUNDS = 30
  const DEAD = 2_000
  await using database = await createTestDatabase()
  await using holding = await openTransaction(database)
  {
    await using state = await makeStateAtCheckpoint(database)
    // Any look counts as long.
    const store = await makeSender(state, 0)
    await database.query(`
      INSERT INTO suprsync.profile (distinct_id, bucket, desired, desired_hash, changed_at, due_at, change_lsn)
      SELECT 'u' || n, n % 64, '{"channels": {}, "properties": {}}', 'h', now(), now() - interval '1 hour', '0/1' FROM generate_series(1, ${DEAD}) n`)
    await holding.begin()
    await database.query('UPDATE suprsync.profile SET due_at = NULL')
    const claimed = async (due: string) => {
      await database.query(`UPDATE suprsync.profile SET due_at = ${due} WHERE distinct_id = 'u1'`)
      const claim = async () => (await store.claim({ buckets: ALL_BUCKETS, limit: 1, lane: 0, token: 't' })).claims[0]
      const found = await until(claim, { what: 'u1 to be claimed' })
      await store.record([
        {
          claim: found,
          synced: null,
          syncedHash: null,
          unclear: [],
          attempts: 0,
          failure: null,
          failingSince: null,
          retryInMs: null,
        },
      ])
      return found.distinctId
    }
    for (let round = 0; round < ROUNDS; round += 1) expect(await claimed('now()')).toBe('u1')
    expect(await claimed("now() - interval '1 day'")).toBe('u1')
  }
  const entries = await entriesRead(database, ROUNDS)
  expect(entries).toBeGreaterThan(DEAD)
  expect(entries).toBeLessThan((DEAD * ROUNDS) / 2)
})

test('a claim reads little more than it takes, also of a table that was analyzed while nobody was due', async () => {
  const CLAIMS = 10
  const USERS = 3_000
  await using database = await createTestDatabase()
  {
    await using state = await makeStateAtCheckpoint(database)
    const store = await makeSender(state)
    await database.query('ALTER TABLE suprsync.profile SET (autovacuum_enabled = off)')
    await database.query(`
      INSERT INTO suprsync.profile (distinct_id, bucket, desired, desired_hash, changed_at, change_lsn)
      SELECT 'u' || n, n % 64, '{"channels": {}, "properties": {}}', 'h', now(), '0/1' FROM generate_series(1, ${USERS}) n`)
    await database.query('ANALYZE suprsync.profile')
    await database.query('UPDATE suprsync.profile SET due_at = now()')
    for (let nth = 0; nth < CLAIMS; nth += 1) {
      const { claims } = await store.claim({ buckets: ALL_BUCKETS, limit: 10, lane: 0, token: `t${nth}` })
      expect(claims).toHaveLength(10)
    }
  }
  // Of each bucket twice its share, and those in hand.
  expect(await entriesRead(database, CLAIMS)).toBeLessThan(CLAIMS * 400)
})

/** By looks into the index of who is pending, once its sessions have ended and told what they counted. */
async function entriesRead(database: TestDatabase, claims: number): Promise<number> {
  return await until(
    async () => {
      const [row] = await database.query(
        "SELECT idx_scan::int AS looks, idx_tup_read::int AS entries FROM pg_stat_user_indexes WHERE indexrelname = 'profile_pending'",
      )
      return Number(row?.looks) >= claims * BUCKETS && Number(row?.entries)
    },
    { what: 'the counts of the index' },
  )
}

/** Begins when asked to; ends when disposed. */
async function openTransaction(database: TestDatabase): Promise<AsyncDisposable & { begin(): Promise<void> }> {
  const client = await database.pool.connect()
  return {
    begin: async () => {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      await client.query('SELECT FROM suprsync.profile LIMIT 1')
    },
    [Symbol.asyncDispose]: async () => {
      await client.query('ROLLBACK')
      client.release()
    },
  }
}
