// From rows to users: the row with the lowest key speaks for its distinct_id, in whatever order rows are told.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { documentOf, EMPTY_PROFILE, MAX_VALUES, type ProfileDocument } from '../../../src/core/profile.ts'
import {
  compareKeys,
  type DesiredProfile,
  type LiveChild,
  type LiveRow,
  MAX_CHILDREN,
  mergeUsers,
  unite,
  withChildren,
} from '../../../src/core/profile-merge.ts'

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
      { distinctId: 'u', key: '1', desired: part('1'), reasons: row('1', 'u').reasons },
      { distinctId: 'gone', key: null, desired: null, reasons: [] },
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

describe('children', () => {
  const SOURCES = ['public.devices', 'public.emails']
  const child = (source: string, key: string, tokens: readonly string[], userKey = '1'): LiveChild => ({
    source,
    key,
    userKey,
    part: { channels: { $androidpush: tokens }, properties: { [`p${source}`]: key } },
    reasons: [],
    changeLsn: null,
  })
  const user: DesiredProfile = {
    distinctId: 'u',
    key: '1',
    desired: documentOf({ channels: { $androidpush: ['own'] }, properties: { name: 'Ada' } }),
    reasons: [],
  }
  const profileOf = (profiles: readonly DesiredProfile[]) => JSON.parse(profiles[0]?.desired?.text ?? 'null')

  test('come after the users row, in the order of the tables and of their keys; each value once', () => {
    const children = [
      child('public.emails', '1', ['e']),
      child('public.devices', '10', ['b', 'own']),
      child('public.devices', '9', ['a', 'b']),
      child('public.devices', '1', ['of nobody here'], '2'),
      child('public.former', '1', ['no longer mapped']),
    ]
    expect(profileOf(withChildren([user], SOURCES, children))).toEqual({
      channels: { $androidpush: ['own', 'a', 'b', 'e'] },
      properties: { name: 'Ada', 'ppublic.devices': '9', 'ppublic.emails': '1' },
    })
  })

  test('of nobody make nobody', () => {
    const nobody: DesiredProfile = { distinctId: 'u', key: null, desired: null, reasons: [] }
    expect(withChildren([nobody], SOURCES, [child('public.devices', '1', ['a'])])).toEqual([nobody])
  })

  test('too many of one table: the first by key count, whichever came', () => {
    const keys = Array.from({ length: MAX_CHILDREN + 5 }, (_, index) => String(index))
    const children = keys.map((key) => child('public.devices', key, [`t${key}`]))
    const [of] = withChildren([{ ...user, desired: documentOf(EMPTY_PROFILE) }], SOURCES, children)
    const counted = keys.toSorted().slice(0, MAX_CHILDREN)
    expect(new Set(profileOf(of ? [of] : []).channels.$androidpush)).toEqual(new Set(counted.map((key) => `t${key}`)))
    expect(of?.reasons).toMatchObject([{ key: 'public.devices', code: 'too_many_rows' }])
  })

  test('no order in which they come changes the profile', () => {
    const anyChild = fc
      .tuple(
        fc.constantFrom(...SOURCES),
        fc.constantFrom('1', '2', '10', 'a', 'é', '😀', '￿'),
        fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
      )
      .map(([source, key, tokens]) => child(source, key, tokens))
    const rows = fc.uniqueArray(anyChild, { selector: ({ source, key }) => `${source} ${key}` })
    fc.assert(
      fc.property(
        rows.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([list, shuffled]) => {
          expect(withChildren([user], SOURCES, shuffled)).toEqual(withChildren([user], SOURCES, list))
        },
      ),
    )
  })

  test('unite keeps at most as many values as a channel may have', () => {
    const values = Array.from({ length: 700 }, (_, index) => `v${index}`)
    const more = { channels: { $inbox: values.map((value) => `w${value}`) }, properties: {} }
    expect(unite([{ channels: { $inbox: values }, properties: {} }, more]).channels.$inbox).toHaveLength(MAX_VALUES)
  })
})
