// Claims on a real server: one that was committed although its answer was lost is given back by its token, and by nothing else.

import { expect, test } from 'vitest'
import { ALL_BUCKETS } from '../../src/core/buckets.ts'
import { createTestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint, seedProfiles } from '../support/seeded-state.ts'
import { makeSender } from '../support/sender.ts'

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
