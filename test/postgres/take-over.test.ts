// What a start must know of slices that were stored of a transaction whose end was not (DESIGN §5.3): read from the checkpoint alone, for
// millions of users may be due or held.
import { expect, test } from 'vitest'
import { parseLsn } from '../../src/core/lsn.ts'
import { takeOver } from '../../src/state/ownership.ts'
import { createTestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint } from '../support/seeded-state.ts'

const nothing = { seen: null, marks: [], truncate: null, forget: null, backfill: null, pagesLsn: null }
const write = { ...nothing, rows: [], lane: 0, parking: 'none' } as const
const change = { key: '1', distinctId: 'ann', desired: null, reasons: [], firstChangedAt: 0, lastChangedAt: 0 }

test('a slice is told at the next start until the checkpoint has passed it', async () => {
  await using database = await createTestDatabase()
  await using db = await makeStateAtCheckpoint(database)
  const { state, slicedLsn } = await takeOver(db)
  expect(slicedLsn).toBeNull()
  const changeLsn = parseLsn('0/500')
  await state.commit('public.users', { ...write, lsn: null, profiles: [{ ...change, changeLsn }] }, () => undefined)
  const second = await takeOver(db)
  expect(second).toMatchObject({ lsn: parseLsn('0/100'), slicedLsn: changeLsn })
  // What a commit of whole transactions holds lies before the checkpoint it moves.
  const whole = { ...write, lsn: parseLsn('0/600'), profiles: [{ ...change, changeLsn: parseLsn('0/5F0') }] }
  await second.state.commit('public.users', whole, () => undefined)
  expect(await takeOver(db)).toMatchObject({ lsn: parseLsn('0/600'), slicedLsn: null })
})
