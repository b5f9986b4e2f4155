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

test('a row larger than half of the cache is not kept, and what was known of it is forgotten', () => {
  const cache = new RowCache(1_000)
  cache.set('1', ['1'])
  cache.set('big', ['x'])
  cache.set('big', ['x'.repeat(10_000)])
  expect(cache.get('big')).toBeUndefined()
  expect(cache.get('1')).toEqual(['1'])
})

test('never a state that was replaced or taken out; the newest half is there; bounded', () => {
  const text = fc.nat(400).map((size) => 'x'.repeat(size))
  const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const action = fc.record({ id: fc.constantFrom(...ids), value: fc.option(text, { freq: 8 }) })
  // 120 and the id's length for the entry, 32 and two bytes a character for the text.
  const size = (value: string) => 120 + 1 + 32 + value.length * 2
  const maxBytes = 3_000
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const cache = new RowCache(maxBytes)
      const model = new Map<string, string>()
      let sinceLast: { readonly id: string; readonly bytes: number }[] = []
      for (const { id, value } of actions) {
        if (value === null) {
          cache.delete(id)
          model.delete(id)
        } else {
          cache.set(id, [value])
          model.set(id, value)
          sinceLast = [{ id, bytes: size(value) }, ...sinceLast]
        }
        let [bytes, kept] = [0, 0]
        for (const key of ids) {
          const known = cache.get(key)
          if (known === undefined) continue
          expect(known).toEqual([model.get(key)])
          kept += size(known[0] ?? '')
        }
        expect(kept).toBeLessThanOrEqual(maxBytes)
        for (const it of sinceLast) {
          bytes += it.bytes
          if (bytes > maxBytes / 2) break
          expect(cache.get(it.id)).toEqual(model.has(it.id) ? [model.get(it.id)] : undefined)
        }
      }
    }),
  )
})
