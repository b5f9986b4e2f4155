// Canonical JSON: equal documents have one text, different ones different texts.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonical, digest, isJsonObject, type Json, sameJson } from '../../../src/core/json.ts'

const json = fc.jsonValue() as fc.Arbitrary<Json>

/** The same document with the members of every object in another order. */
function shuffled(value: Json, seed: number): Json {
  if (Array.isArray(value)) return value.map((item: Json) => shuffled(item, seed))
  if (!isJsonObject(value)) return value
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1) * (seed % 2 === 0 ? 1 : -1))
  return Object.fromEntries(members.map(([key, member]) => [key, shuffled(member, seed + 1)]))
}

test('is JSON of the same document', () => {
  fc.assert(
    fc.property(json, (value) => {
      expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('the order of keys does not matter, everything else does', () => {
  fc.assert(
    fc.property(json, fc.integer({ min: 0, max: 5 }), (value, seed) => {
      expect(canonical(shuffled(value, seed))).toBe(canonical(value))
      expect(sameJson(shuffled(value, seed), value)).toBe(true)
    }),
  )
  fc.assert(
    fc.property(json, json, (a, b) => {
      const equal = fc.stringify(JSON.parse(canonical(a))) === fc.stringify(JSON.parse(canonical(b)))
      expect(sameJson(a, b)).toBe(equal)
    }),
  )
})

test.for([
  [{ b: [2, { d: 1, c: null }], a: '€' }, '{"a":"€","b":[2,{"c":null,"d":1}]}'],
  [JSON.parse('{"__proto__":1,"a":2}'), '{"__proto__":1,"a":2}'],
  [{ a: 'x', A: 'y', 10: 1, 9: 2 }, '{"10":1,"9":2,"A":"y","a":"x"}'],
  [[1, 2], '[1,2]'],
  [[2, 1], '[2,1]'],
  [[], '[]'],
  [{}, '{}'],
  [null, 'null'],
  [-0, '0'],
] as const)('%j', ([value, text]) => {
  expect(canonical(value as Json)).toBe(text)
})

test('a digest is 128 bits of SHA-256', () => {
  expect(digest('')).toBe('e3b0c44298fc1c149afbf4c8996fb924')
  expect(digest('é')).toMatch(/^[0-9a-f]{32}$/)
  expect(digest('a')).not.toBe(digest('b'))
})
