// Unclear targets: the list stays short and forgets nothing that SuprSend may hold.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonical, type JsonObject } from '../../../src/core/json.ts'
import type { Profile } from '../../../src/core/profile.ts'
import { type Attempt, compactAttempts } from '../../../src/core/unclear.ts'

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

test('equal targets are one', () => {
  const target = (name: string): Profile => ({ channels: {}, properties: { name } })
  const list = ['A', 'B', 'A', 'A'].map((name, index) => ({ token: `t${index}`, target: target(name) }))
  expect(compactAttempts(list).map(({ token }) => token)).toEqual(['t1', 't3'])
})
