// What `status` and the metrics count: right, cheap however many users there are, and bounded in time.
import { setTimeout as delay } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { collectReadings } from '../../src/commands/readings.ts'
import { SILENT_LOGGER } from '../../src/core/logger.ts'
import { parseLsn } from '../../src/core/lsn.ts'
import { readBounded } from '../../src/state/bounded-read.ts'
import { countFailed, countLeftOut, countPending, countUsers } from '../../src/state/counts.ts'
import type { Schema } from '../../src/state/database.ts'
import { readCheckpoint, takeOver } from '../../src/state/ownership.ts'
import { createTestDatabase } from '../support/database.ts'
import { makeSlot, makeState, seedAll, seedCheckpoint } from '../support/seeded-state.ts'
import { until } from '../support/wait.ts'

describe('counts', () => {
  /** Of this session since its figures were last given away: the migration's are among them. */
  const fullScans = async (transaction: Kysely<Schema>): Promise<number> => {
    const { rows } = await sql<{ full: number }>`
      select coalesce(sum(seq_scan), 0)::int as full from pg_stat_xact_user_tables
      where relname in ('profile', 'source_row')`.execute(transaction)
    return rows[0]?.full ?? Number.NaN
  }

  test('walk their partial indexes however many users there are, stop at the limit and say so', async () => {
    await using database = await createTestDatabase()
    const db = await makeState(database)
    try {
      await database.query(
        `INSERT INTO suprsync.profile (distinct_id, bucket, changed_at, due_at, failure, change_lsn)
         SELECT n::text, 0, now(), CASE WHEN n % 2000 < 2 THEN now() END,
           CASE WHEN n % 2000 IN (1, 2) THEN '{"code": "too_large"}'::jsonb END, '0/1' FROM generate_series(1, 20000) n`,
      )
      await database.query(
        `INSERT INTO suprsync.source_row (source, key, distinct_id, part, reasons, duplicate, era)
         SELECT 't', n::text, n::text, CASE WHEN n % 2000 <> 1 THEN '{}'::jsonb END,
           CASE n % 2000 WHEN 1 THEN '[{"key": "distinct_id", "code": "invalid_distinct_id"}]'::jsonb
             WHEN 2 THEN '[{"key": "$sms", "code": "invalid_e164"}]'::jsonb END, n % 2000 = 3, 1
         FROM generate_series(1, 20000) n`,
      )
      await database.query('ANALYZE suprsync.profile, suprsync.source_row')
      const scans = await readBounded(db, 10_000, async (transaction) => {
        const before = await fullScans(transaction)
        expect(await countPending(transaction, 1_000)).toMatchObject({
          total: 20,
          dueNow: 20,
          atLeast: false,
          retrying: { byCode: [{ code: 'too_large', count: 10 }], atLeast: false },
        })
        expect(await countFailed(transaction, 1_000)).toEqual({
          atLeast: false,
          byCode: ['duplicate_distinct_id', 'invalid_distinct_id', 'too_large'].map((code) => ({ code, count: 10 })),
        })
        expect(await countLeftOut(transaction, 1_000)).toEqual({
          atLeast: false,
          byKey: [{ key: '$sms', code: 'invalid_e164', count: 10 }],
        })
        expect(await countPending(transaction, 15)).toMatchObject({ total: 15, atLeast: true })
        expect(await countFailed(transaction, 10)).toMatchObject({ atLeast: true })
        expect(await countLeftOut(transaction, 5)).toEqual({
          atLeast: true,
          byKey: [{ key: '$sms', code: 'invalid_e164', count: 5 }],
        })
        return (await fullScans(transaction)) - before
      })
      expect(scans).toBe(0)
      const users = (limit: number) => readBounded(db, 10_000, (transaction) => countUsers(transaction, limit))
      expect(await users(20_000)).toEqual({ count: 20_000, estimated: false })
      expect(await users(100)).toEqual({ count: 20_000, estimated: true })
    } finally {
      await db.destroy()
    }
  })

  test('take no longer than they may, and write nothing', async () => {
    await using database = await createTestDatabase()
    const db = await makeState(database)
    try {
      expect(await readBounded(db, 50, (transaction) => sql`select pg_sleep(30)`.execute(transaction))).toBeNull()
      await expect(
        readBounded(db, 1_000, (transaction) => sql`delete from profile`.execute(transaction)),
      ).rejects.toMatchObject({ code: '25006' })
      // What was set for one reading is not there for the next statement of the session.
      const { rows } = await sql<{ statement_timeout: string }>`show statement_timeout`.execute(db)
      expect(rows).toEqual([{ statement_timeout: '30s' }])
    } finally {
      await db.destroy()
    }
  })
})

test('the checkpoint has moved when its position has, not when something else was written', async () => {
  await using database = await createTestDatabase()
  const db = await makeState(database)
  try {
    await seedCheckpoint(database, parseLsn('0/1000'))
    const { state, lsn } = await takeOver(db)
    const sinceMs = async () => (await readCheckpoint(db))?.sinceAdvancedMs ?? Number.NaN
    const nothing = {
      rows: [],
      seen: null,
      profiles: [],
      marks: [],
      lane: 1 as const,
      truncate: null,
      forget: null,
      parking: 'none' as const,
      backfill: null,
      pagesLsn: null,
    }
    await state.commit('t', { ...nothing, lsn: null }, () => undefined)
    await state.advance(lsn)
    expect(await sinceMs()).toBeGreaterThanOrEqual(90_000)
    await state.advance(parseLsn('0/1001'))
    expect(await sinceMs()).toBeLessThan(80_000)
  } finally {
    await db.destroy()
  }
})

describe('readings', () => {
  const never = new AbortController().signal

  test('hold what status counts', async () => {
    await using database = await createTestDatabase()
    await seedAll(database)
    const db = await makeState(database)
    try {
      const read = collectReadings({ state: db, source: database.pool, slot: database.slot, log: SILENT_LOGGER })
      const readings = await read(never)
      expect(readings).toMatchObject({
        profilesPending: 3,
        profilesFailed: { invalid_value: 1, duplicate_distinct_id: 1, invalid_distinct_id: 1 },
      })
      expect(readings.oldestPendingAgeMs).toBeGreaterThanOrEqual(900_000)
      expect(readings.slotLagBytes).toBeGreaterThan(0)
      expect(readings.slotLagMs).toBeGreaterThanOrEqual(90_000)
      expect(readings.slotRetainedWalBytes).toBeGreaterThanOrEqual(readings.slotLagBytes ?? Number.NaN)
      expect(readings.backfillRowsLeft).toBe(750)
      // How fast WAL grows is known with the second look.
      expect(readings).not.toHaveProperty('walBytesPerSecond')
      await delay(1_100)
      await database.query('CREATE TABLE more AS SELECT generate_series(1, 100000)')
      expect((await read(never)).walBytesPerSecond).toBeGreaterThan(100_000)
    } finally {
      await db.destroy()
    }
  })

  test('a source that does not answer costs its own gauges only, and is asked once', async () => {
    await using database = await createTestDatabase()
    await seedAll(database)
    const db = await makeState(database)
    let asked = 0
    const source = {
      query: () => {
        asked += 1
        return new Promise(() => undefined)
      },
    }
    try {
      const read = collectReadings({ state: db, source: source as never, slot: database.slot, log: SILENT_LOGGER })
      const abort = new AbortController()
      const first = read(abort.signal)
      const second = read(never)
      await until(async () => asked > 0, { what: 'the source to be asked' })
      expect(await second).toMatchObject({ profilesPending: 3 })
      const readings = await first
      expect(readings).toMatchObject({ profilesPending: 3 })
      expect(readings).not.toHaveProperty('slotLagBytes')
      expect(asked).toBe(1)
    } finally {
      await db.destroy()
    }
  })

  test('without a state only the slot is known', async () => {
    await using database = await createTestDatabase()
    await makeSlot(database)
    const db = await makeState(database)
    try {
      await database.query('DROP SCHEMA suprsync CASCADE')
      const read = collectReadings({ state: db, source: database.pool, slot: database.slot, log: SILENT_LOGGER })
      const readings = await read(never)
      expect(Object.keys(readings).toSorted()).toEqual(['slotLagBytes', 'slotRetainedWalBytes', 'walBudget'])
    } finally {
      await db.destroy()
    }
  })
})
