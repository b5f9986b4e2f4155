import { expect, it } from 'vitest'
import { BoundedCache } from '../../../src/core/bounded-cache.ts'
import { nearest } from '../../../src/core/nearest.ts'

it.each([
  ['emial', ['name', 'email'], 'email'],
  ['EMAIL', ['email'], 'email'],
  ['on_delet', ['when', 'on_delete', 'distinct_id'], 'on_delete'],
  ['nope', ['type', 'name'], null],
  ['x', ['id', 'a'], null],
  ['whatever', [], null],
])('%s of %j is %s', (name, known, expected) => {
  expect(nearest(name, known)).toBe(expected)
})

it('a bounded cache keeps what is used and forgets the rest', () => {
  const cache = new BoundedCache<number>(10)
  for (let i = 0; i < 1_000; i++) {
    cache.set(`key ${i}`, i)
    cache.set('used', -1)
    expect(cache.get('used')).toBe(-1)
    expect(cache.size).toBeLessThanOrEqual(20)
  }
  expect(cache.get('key 999')).toBe(999)
  expect(cache.get('key 0')).toBe(undefined)
})
