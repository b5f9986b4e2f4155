// Walks over everything that state knows are made of statements that look at so many rows and no more: among millions of which few
// fit, a statement that looks for the few would run into its time-out, again and again (P7).
import { expect, test } from 'vitest'
import { parseLsn } from '../../src/core/lsn.ts'
import { parseSnapshot } from '../../src/core/snapshot.ts'
import { beginEra, takeOver } from '../../src/state/ownership.ts'
import { createTestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint } from '../support/seeded-state.ts'

const ROWS = 5_000

test('what no page has shown, what a TRUNCATE removed, and positions of a former era are found in steps', async () => {
  await using database = await createTestDatabase()
  await using db = await makeStateAtCheckpoint(database)
  const { state } = await takeOver(db)
  // Seen by a page, all but the last; and the last position alone is beyond the new beginning.
  await database.query(`
    INSERT INTO suprsync.source_row (source, key, distinct_id, part, era, read_snapshot)
    SELECT 'public.users', lpad(n::text, 8, '0'), n, '{}', 1, CASE WHEN n < ${ROWS} THEN '20:20:'::pg_snapshot END FROM generate_series(1, ${ROWS}) n;
    INSERT INTO suprsync.profile (distinct_id, bucket, desired, changed_at, change_lsn)
    SELECT lpad(n::text, 8, '0'), 0, '{}', now(), CASE WHEN n < ${ROWS} THEN '0/1' ELSE 'F/0' END::pg_lsn FROM generate_series(1, ${ROWS}) n`)
  const first = parseSnapshot('10:10:')
  const walks = {
    unseen: (afterKey: string | null) => state.readUnseen('public.users', { first, afterKey, limit: 100 }),
    truncated: (afterKey: string | null) =>
      state.readTruncated('public.users', { xid: 15n, lsn: parseLsn('0/1'), afterKey, limit: 100 }),
  }
  for (const walk of [walks.unseen, walks.truncated]) {
    const found: string[] = []
    let steps = 0
    for (let after: string | null = null; ; steps += 1) {
      const { rows, last } = await walk(after)
      found.push(...rows.map(({ key }) => key))
      if (last === null) break
      after = last
    }
    expect(found).toEqual([String(ROWS).padStart(8, '0')])
    expect(steps).toBe(ROWS / 100)
  }
  await database.query('UPDATE suprsync.mapped_table SET gap = NULL')
  const next = { systemIdentifier: '2', timeline: 1, slot: 's', tableOid: 1, lsn: parseLsn('E/0'), startXid: 1n }
  await beginEra(db, next, 'server_replaced')
  expect(await database.query("SELECT FROM suprsync.profile WHERE change_lsn > 'E/0'")).toEqual([])
})

test('a child row of a former era holds its user back at no position', async () => {
  await using database = await createTestDatabase()
  await using db = await makeStateAtCheckpoint(database)
  const { state } = await takeOver(db)
  await database.query(`
    INSERT INTO suprsync.source_row (source, key, user_key, part, era, change_lsn)
    VALUES ('public.devices', '1', '7', '{"channels": {}, "properties": {}}', 1, '0/5'),
      ('public.devices', '2', '7', '{"channels": {}, "properties": {}}', 0, 'F/0')`)
  const children = await state.readLiveChildren(['public.devices'], ['7'], 10)
  expect(children.map(({ changeLsn }) => changeLsn)).toEqual([parseLsn('0/5'), null])
})
