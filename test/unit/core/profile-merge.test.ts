// From rows to users: the row with the lowest key speaks for its distinct_id, in whatever order rows are told.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { documentOf, type Profile, type ProfileDocument } from '../../../src/core/profile.ts'
import { compareKeys, type LiveRow, mergeUsers, unite } from '../../../src/core/profile-merge.ts'

const part = (name: string): ProfileDocument => documentOf({ channels: {}, properties: { name } })
const row = (key: string, distinctId: string, duplicate = false): LiveRow => ({
  key,
  distinctId,
  part: part(key),
  reasons: [{ key: '$email', code: 'invalid_email', message: key }],
  duplicate,
})

test('one row is its user, none is nobody', () => {
  expect(mergeUsers(['u', 'gone'], [row('1', 'u')])).toEqual({
    profiles: [
      { distinctId: 'u', desired: part('1'), reasons: row('1', 'u').reasons },
      { distinctId: 'gone', desired: null, reasons: [] },
    ],
    marks: [],
  })
})

test('of two rows the lower key wins, and the other is marked until it speaks for the user', () => {
  const both = mergeUsers(['u'], [row('10', 'u'), row('9', 'u')])
  expect(both.profiles[0]?.desired).toEqual(part('9'))
  expect(both.marks).toEqual([{ key: '10', duplicate: true }])
  const left = mergeUsers(['u'], [row('10', 'u', true)])
  expect(left.profiles[0]?.desired).toEqual(part('10'))
  expect(left.marks).toEqual([{ key: '10', duplicate: false }])
  const lower = mergeUsers(['u'], [row('10', 'u', true), row('9', 'u'), row('8', 'u')])
  expect(lower.profiles[0]?.desired).toEqual(part('8'))
  expect(lower.marks).toEqual([{ key: '9', duplicate: true }])
})

describe('the order of keys', () => {
  const key = fc.oneof(
    fc.constantFrom(
      '9',
      '10',
      '1a',
      '07',
      '7',
      '-1',
      '-0',
      '0',
      '',
      'a',
      'A',
      '["1","2"]',
      '99999999999999999999',
      '1e5',
    ),
    fc.string(),
    fc.bigInt().map(String),
  )
  const sign = (n: number) => Math.sign(n)

  test('integers by value, beyond 2^53 too; texts by code unit', () => {
    const sorted = ['-5', '0', '07', '7', '9', '10', '9007199254740992', '9007199254740993', '', '1a', 'A', 'Z', 'a']
    expect(sorted.toReversed().toSorted(compareKeys)).toEqual(sorted)
  })

  test('is total: different keys always have one and the same order', () => {
    fc.assert(
      fc.property(key, key, key, (a, b, c) => {
        expect(compareKeys(a, b) === 0).toBe(a === b)
        expect(sign(compareKeys(a, b)) + sign(compareKeys(b, a))).toBe(0)
        if (compareKeys(a, b) < 0 && compareKeys(b, c) < 0) expect(compareKeys(a, c)).toBeLessThan(0)
      }),
      { numRuns: 2_000 },
    )
  })

  test('so the winner does not depend on the order in which the rows came', () => {
    const orders = fc
      .uniqueArray(key, { minLength: 2, maxLength: 5 })
      .chain((keys) => fc.tuple(fc.constant(keys), fc.shuffledSubarray(keys, { minLength: keys.length })))
    fc.assert(
      fc.property(orders, ([keys, other]) => {
        const merged = mergeUsers(
          ['u'],
          keys.map((it) => row(it, 'u')),
        )
        const again = mergeUsers(
          ['u'],
          other.map((it) => row(it, 'u')),
        )
        expect(again.profiles).toEqual(merged.profiles)
        expect(merged.marks).toHaveLength(keys.length - 1)
      }),
    )
  })
})

describe('parts of several rows', () => {
  test('unite: every channel value once, in the order of the parts; of a property the first', () => {
    const users: Profile = { channels: { $email: ['a@example.com'] }, properties: { name: 'Ada', plan: 'free' } }
    const phone: Profile = { channels: { $androidpush: ['t1'] }, properties: { plan: 'pro' } }
    const tablet: Profile = {
      channels: {
        $androidpush: [{ value: 't1', $id_provider: 'fcm' }, 't2'],
        $email: ['b@example.com', 'a@example.com'],
      },
      properties: { theme: 'dark' },
    }
    expect(unite([users, phone, tablet])).toEqual({
      channels: { $email: ['a@example.com', 'b@example.com'], $androidpush: ['t1', 't2'] },
      properties: { name: 'Ada', plan: 'free', theme: 'dark' },
    })
  })

  test('one part is itself, none is empty', () => {
    const only: Profile = { channels: { $email: ['a@example.com'] }, properties: {} }
    expect(unite([only])).toEqual(only)
    expect(unite([])).toEqual({ channels: {}, properties: {} })
  })
})
