// Unclear targets: the list stays short and forgets nothing that SuprSend may hold.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonical, type JsonObject } from '../../../src/core/json.ts'
import type { Profile } from '../../../src/core/profile.ts'
import { type Attempt, compactAttempts, isTooMuch, narrowed } from '../../../src/core/unclear.ts'

const address = fc.constantFrom('a@x.io', 'b@x.io', 'c@x.io', 'd@x.io', 'e@x.io')
const slack = fc.record({ email: address, access_token: fc.constantFrom('t', 'u') })
const profile: fc.Arbitrary<Profile> = fc.record({
  channels: fc.record(
    {
      $email: fc.uniqueArray(address, { minLength: 1 }),
      $slack: fc.uniqueArray(slack, { minLength: 1, maxLength: 2, selector: (value) => canonical(value) }),
    },
    { requiredKeys: [] },
  ),
  properties: fc.dictionary(fc.constantFrom('a', 'b', '$locale', '__proto__'), fc.constantFrom(1, 'x')),
})
const attempts = fc
  .array(fc.option(profile), { maxLength: 30 })
  .map((targets) => targets.map((target, index): Attempt => ({ token: `t${index}`, target })))

/** All that SuprSend may hold of ours, and whether a delete may have happened. */
function uncertainty(list: readonly Attempt[]): ReadonlySet<string> {
  const facts = new Set<string>()
  for (const { target } of list) {
    if (target === null) facts.add('delete')
    for (const [key, values] of Object.entries(target?.channels ?? {}))
      for (const value of values ?? []) facts.add(`${key} ${canonical(value as JsonObject)}`)
    for (const key of Object.keys(target?.properties ?? {})) facts.add(`property ${key}`)
  }
  return facts
}

test('every value, every key and a delete are kept, in at most eight entries', () => {
  fc.assert(
    fc.property(attempts, (list) => {
      const compact = compactAttempts(list)
      expect(compact.length).toBeLessThanOrEqual(8)
      expect(uncertainty(compact)).toEqual(uncertainty(list))
    }),
  )
})

test('the newest attempt keeps its token and stands last: its answer is still awaited', () => {
  fc.assert(
    fc.property(attempts, (list) => {
      fc.pre(list.length > 0)
      expect(compactAttempts(list).at(-1)).toEqual(list.at(-1))
    }),
  )
})

test('however long it goes on, one attempt at a time', () => {
  fc.assert(
    fc.property(attempts, (list) => {
      let grown: readonly Attempt[] = []
      for (const attempt of list) grown = compactAttempts([...grown, attempt])
      expect(grown.length).toBeLessThanOrEqual(8)
      expect(uncertainty(grown)).toEqual(uncertainty(list))
      expect(compactAttempts(grown)).toEqual(grown)
    }),
  )
})

describe('what was united of very many', () => {
  const mail = (n: number): Profile => ({ channels: { $email: [`a${n}@x.io`] }, properties: { [`p${n}`]: n } })
  const many = Array.from({ length: 1_200 }, (_, n): Attempt => ({ token: `t${n}`, target: mail(n) }))

  test('is too much from a thousand values and keys on', () => {
    expect(isTooMuch(compactAttempts(many.slice(0, 500)))).toBe(false)
    expect(isTooMuch(compactAttempts(many))).toBe(true)
    // One that is large by itself is a profile's own.
    const large = { $email: Array.from({ length: 900 }, (_, n) => `b${n}@x.io`), $sms: ['+1', '+2'] }
    expect(isTooMuch([{ token: 't', target: { channels: large, properties: mail(0).properties } }])).toBe(false)
  })

  test('is only what SuprSend shows; what may still be on its way stays whole', () => {
    const list = compactAttempts([...many, { token: 'd', target: null }])
    const user = {
      channels: { $email: ['a7@x.io', 'a1199@x.io', 'other@x.io'] },
      properties: { p9: 'x', constructor: 1 },
    }
    const left = narrowed(list, user)
    expect(left[0]?.target).toEqual({ channels: { $email: ['a7@x.io'] }, properties: { p9: 9 } })
    expect(left.slice(1)).toEqual(list.slice(1))
    expect(isTooMuch(left)).toBe(false)
  })
})

test('equal targets are one', () => {
  const target = (name: string): Profile => ({ channels: {}, properties: { name } })
  const list = ['A', 'B', 'A', 'A'].map((name, index) => ({ token: `t${index}`, target: target(name) }))
  expect(compactAttempts(list).map(({ token }) => token)).toEqual(['t1', 't3'])
})
