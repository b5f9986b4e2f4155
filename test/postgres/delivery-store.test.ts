// Claims on a real server: one that was committed although its answer was lost is given back by its token, and by nothing else.
import { expect, test } from 'vitest'
import { DeliveryStore } from '../../src/state/delivery-store.ts'
import { createTestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint, seedProfiles } from '../support/seeded-state.ts'

const OWNER = crypto.randomUUID()

test('a claim is given back by its token, and its target stays unclear', async () => {
  await using database = await createTestDatabase()
  await using state = await makeStateAtCheckpoint(database)
  const store = new DeliveryStore(state)
  await seedProfiles(database, [{ id: 'ann', due: true }])
  const claim = (token: string) => store.claim({ owner: OWNER, limit: 10, lane: 0, token })
  expect(await claim('first')).toHaveLength(1)
  expect(await claim('second')).toEqual([])
  await store.abandon(OWNER, 'another')
  await store.abandon(crypto.randomUUID(), 'first')
  expect(await claim('third')).toEqual([])

  await store.abandon(OWNER, 'first')
  const [again] = await claim('fourth')
  expect(again?.unclear.map(({ token }) => token)).toEqual(['t', 'first'])
  // Given back once more while the user is in hand for another claim: it stays in hand.
  await store.abandon(OWNER, 'first')
  expect(await claim('fifth')).toEqual([])
})
