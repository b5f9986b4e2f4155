// Ordering an erasure in state: not of a user whose row came back while a person was asked, and what becomes of one that comes back after it.
import { expect, test } from 'vitest'
import { parseLsn } from '../../src/core/lsn.ts'
import { orderErasure, purgeUser, readErasure, readErasureClaim } from '../../src/state/erase-store.ts'
import { breakerState, FULL } from '../support/breaker-state.ts'
import { seedRows } from '../support/seeded-state.ts'

const lsn = parseLsn('0/50')

test('a row that came back while a person was asked keeps its user', async () => {
  await using it = await breakerState()
  await it.write(['ann'], FULL)
  await it.deliver()
  await seedRows(it.database, [{ key: '1', id: 'ann', part: FULL }])
  expect(await orderErasure(it.db, { distinctId: 'ann', lsn })).toBe(false)
  expect(await it.user('ann')).toEqual({ held: false, due: false, synced: FULL, desired: FULL })
  expect(await it.database.query('SELECT FROM suprsync.erased')).toEqual([])
})

test('one that comes back after it is not deleted by whoever holds the locks, nor forgotten', async () => {
  await using it = await breakerState()
  await it.write(['ann'], FULL)
  await it.deliver()
  await it.write(['ann'], null)
  expect(await orderErasure(it.db, { distinctId: 'ann', lsn })).toBe(true)
  expect(await readErasureClaim(it.db, 'ann')).toMatchObject({ erase: true, desired: null, synced: FULL })
  await it.write(['ann'], FULL)
  expect(await readErasureClaim(it.db, 'ann')).toBeNull()
  expect(await readErasure(it.db, 'ann')).toEqual({ kind: 'returned' })
  await purgeUser(it.db, 'ann', { told: true })
  expect((await it.user('ann')).desired).toEqual(FULL)
})

test('conditions and keys of readings that are over are no trace of it', async () => {
  await using it = await breakerState()
  await it.database.query(`
    DELETE FROM suprsync.backfill;
    INSERT INTO suprsync.backfill (era, source, reason, filter, cursor, finished_at)
    VALUES (1, 'public.users', 'requested', '"email" = ''ann@example.com''', '["ann"]', now())`)
  expect(await purgeUser(it.db, 'ann', { told: true })).toBe(true)
  expect(await it.database.query('SELECT filter, cursor FROM suprsync.backfill')).toEqual([
    { filter: null, cursor: null },
  ])
})
