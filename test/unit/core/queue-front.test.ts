import { expect, test } from 'vitest'
import { frontOf, LONGEST_REST_MS, type Look, lookedFrom, NO_FRONTS } from '../../../src/core/queue-front.ts'

const LOOK: Look = { lane: 0, buckets: [1, 2, 3], oldest: 'then', tookMs: 100, longMs: 25 }

test('after a long look the front rests, for ten times as long', () => {
  const fronts = lookedFrom(NO_FRONTS, LOOK, 1_000)
  expect(frontOf(fronts, LOOK, 1_000)).toBe('then')
  expect(frontOf(fronts, LOOK, 1_999)).toBe('then')
  expect(frontOf(fronts, LOOK, 2_000)).toBeNull()
})

test('after a quick one every look is from the very front', () => {
  expect(frontOf(lookedFrom(NO_FRONTS, { ...LOOK, tookMs: 24 }, 1_000), LOOK, 1_000)).toBeNull()
})

test('whatever a look takes, the next is soon', () => {
  const fronts = lookedFrom(NO_FRONTS, { ...LOOK, tookMs: 60_000 }, 0)
  expect(frontOf(fronts, LOOK, LONGEST_REST_MS - 1)).toBe('then')
  expect(frontOf(fronts, LOOK, LONGEST_REST_MS)).toBeNull()
})

test('a front is that of its lane and its buckets: one more is looked at from the very front', () => {
  const fronts = lookedFrom(lookedFrom(NO_FRONTS, LOOK, 0), { ...LOOK, lane: 1, oldest: 'later' }, 0)
  expect(frontOf(fronts, { lane: 1, buckets: [1] }, 0)).toBe('later')
  expect(frontOf(fronts, { lane: 0, buckets: [3, 1] }, 0)).toBe('then')
  expect(frontOf(fronts, { lane: 0, buckets: [1, 2, 3, 4] }, 0)).toBeNull()
})
