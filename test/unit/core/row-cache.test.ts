// The row cache: bounded in bytes, newest kept, and never a row that it was not given.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UNCHANGED } from '../../../src/core/row.ts'
import { RowCache } from '../../../src/core/row-cache.ts'

test('knows what was put in, until it is taken out', () => {
  const cache = new RowCache(10_000)
  cache.set('1', ['1', 'a', null])
  expect(cache.get('1')).toEqual(['1', 'a', null])
  expect(cache.holds('1', ['1', 'a', null])).toBe(true)
  expect(cache.holds('1', ['1', 'a', ''])).toBe(false)
  expect(cache.holds('1', ['1', UNCHANGED, null])).toBe(false)
  expect(cache.holds('2', ['2', 'a', null])).toBe(false)
  cache.delete('1')
  cache.delete('1')
  expect(cache.get('1')).toBeUndefined()
  cache.set('2', ['2'])
  cache.clear()
  expect(cache.get('2')).toBeUndefined()
})

test('a row larger than the cache is not kept and pushes nothing else out for ever', () => {
  const cache = new RowCache(1_000)
  cache.set('big', ['x'.repeat(10_000)])
  expect(cache.get('big')).toBeUndefined()
  cache.set('1', ['1'])
  expect(cache.get('1')).toEqual(['1'])
})

test('holds the newest rows that fit, in any order of sets and deletes', () => {
  const text = fc.nat(400).map((size) => 'x'.repeat(size))
  const action = fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd', 'e'), value: fc.option(text) })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const maxBytes = 1_500
      const cache = new RowCache(maxBytes)
      const model = new Map<string, string>()
      for (const { id, value } of actions) {
        model.delete(id)
        if (value === null) cache.delete(id)
        else {
          cache.set(id, [value])
          model.set(id, value)
        }
        // 120 and the id's length for the entry, 32 and two bytes a character for the text.
        const size = () => [...model].reduce((sum, [key, it]) => sum + 120 + key.length + 32 + it.length * 2, 0)
        for (const oldest of model.keys()) {
          if (size() <= maxBytes) break
          model.delete(oldest)
        }
        for (const key of ['a', 'b', 'c', 'd', 'e']) {
          const known = model.get(key)
          expect(cache.get(key)).toEqual(known === undefined ? undefined : [known])
        }
      }
    }),
  )
})
