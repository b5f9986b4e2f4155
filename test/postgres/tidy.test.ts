// What tidying removes and what it must keep. Real state, one run after another as the service makes them.
import { expect, test } from 'vitest'
import { Tidy } from '../../src/state/tidy.ts'
import { CaptureHarness } from '../support/capture-harness.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

async function withState(run: (database: TestDatabase, tidy: Tidy) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await using harness = await CaptureHarness.create(database, {
    create: 'CREATE TABLE users (id int PRIMARY KEY, email text)',
    profile: { $email: 'email' },
  })
  await database.query('UPDATE suprsync.backfill SET finished_at = now()')
  await run(database, new Tidy(harness.state, database.pool))
}

const tombstone = (key: string) => `
  INSERT INTO suprsync.source_row (source, key, distinct_id, era, change_xid, change_lsn, gone_at)
  VALUES ('public.users', '${key}', '${key}', 1, '3', '0/1', clock_timestamp())`
const PASS = 'UPDATE suprsync.checkpoint SET lsn = pg_current_wal_insert_lsn()'
const keys = async (database: TestDatabase) =>
  (await database.query<{ key: string }>('SELECT key FROM suprsync.source_row ORDER BY key')).map(({ key }) => key)

test('a tombstone stays until the stream has passed what the reading that made it may have seen', () =>
  withState(async (database, tidy) => {
    await database.query(tombstone('1'))
    await database.query("UPDATE suprsync.checkpoint SET lsn = '0/2'")
    for (let run = 0; run < 3; run += 1) await tidy.run()
    expect(await keys(database)).toEqual(['1'])
    await database.query(tombstone('2')) // after the mark of the first run: its reading may have seen more
    await database.query(PASS)
    await tidy.run()
    expect(await keys(database)).toEqual(['2'])
    await database.query(PASS)
    await tidy.run()
    expect(await keys(database)).toEqual([])
  }))

test('a tombstone stays while its user has an open outcome, a backfill goes on, or its transaction may not be over', () =>
  withState(async (database, tidy) => {
    await database.query(tombstone('1'))
    await database.query(tombstone('2'))
    await database.query(tombstone('3'))
    await database.query(`
      INSERT INTO suprsync.profile (distinct_id, bucket, sending, changed_at, change_lsn)
      VALUES ('1', 0, '[{"token": "t", "target": null}]', now(), '0/1')`)
    await database.query("UPDATE suprsync.source_row SET change_xid = '9000000000' WHERE key = '2'")
    await tidy.run()
    await database.query(PASS)
    await database.query('UPDATE suprsync.backfill SET finished_at = NULL')
    await tidy.run()
    expect(await keys(database)).toEqual(['1', '2', '3'])
    await database.query('UPDATE suprsync.backfill SET finished_at = now()')
    await database.query(PASS)
    await tidy.run()
    expect(await keys(database)).toEqual(['1', '2'])
  }))

test('a tombstone of a former era refuses nothing any more, and goes', () =>
  withState(async (database, tidy) => {
    await database.query(tombstone('1'))
    await database.query("UPDATE suprsync.source_row SET era = 0, change_xid = '9000000000', change_lsn = 'FFFFFFFF/0'")
    await tidy.run()
    await database.query(PASS)
    await tidy.run()
    expect(await keys(database)).toEqual([])
  }))

test('of users that are gone only the settled ones are forgotten', () =>
  withState(async (database, tidy) => {
    await database.query(`
      INSERT INTO suprsync.profile (distinct_id, bucket, desired, synced, sending, due_at, failure, changed_at, change_lsn) VALUES
      ('settled', 0, NULL, NULL, '[]', NULL, NULL, now(), '0/1'),
      ('kept', 0, NULL, '{}', '[]', NULL, NULL, now(), '0/1'),
      ('unclear', 0, NULL, NULL, '[{"token": "t", "target": null}]', NULL, NULL, now(), '0/1'),
      ('due', 0, NULL, NULL, '[]', now(), NULL, now(), '0/1'),
      ('failed', 0, NULL, NULL, '[]', NULL, '{"code": "x"}', now(), '0/1'),
      ('there', 0, '{}', NULL, '[]', NULL, NULL, now(), '0/1')`)
    await tidy.run()
    const rows = await database.query<{ id: string }>('SELECT distinct_id AS id FROM suprsync.profile ORDER BY 1')
    expect(rows.map(({ id }) => id)).toEqual(['due', 'failed', 'kept', 'there', 'unclear'])
  }))
