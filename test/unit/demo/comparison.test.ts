// The demo's judge: it must be able to say no, or the demo's exit code means nothing.
import { expect, test } from 'vitest'
import type { RemoteUser } from '../../../src/core/api.ts'
import type { Profile } from '../../../src/core/profile.ts'
import { findDifferences, isSame } from '../../../src/demo/comparison.ts'

const profile: Profile = {
  channels: { $email: ['a@example.com', 'b@example.com'], $sms: ['+12025550123'] },
  properties: { $timezone: 'Europe/Rome', plan: 'pro' },
}
const user: RemoteUser = {
  channels: { $sms: ['+12025550123'], $email: ['b@example.com', 'a@example.com'], $whatsapp: [] },
  properties: { plan: 'pro', $timezone: 'Europe/Rome' },
}

test('equal whatever the order of keys and of a channel’s values', () => {
  expect(isSame(profile, user)).toBe(true)
  expect(findDifferences(new Map([['1', profile]]), new Map([['1', user]]))).toEqual([])
  expect(isSame(null, null)).toBe(true)
})

const planted: readonly [what: string, user: RemoteUser][] = [
  [
    'an old address',
    { ...user, channels: { ...user.channels, $email: ['a@example.com', 'b@example.com', 'old@example.com'] } },
  ],
  ['a missing address', { ...user, channels: { ...user.channels, $email: ['a@example.com'] } }],
  ['another number', { ...user, channels: { ...user.channels, $sms: ['+12025550124'] } }],
  ['a channel too many', { ...user, channels: { ...user.channels, $whatsapp: ['+12025550123'] } }],
  ['another property', { ...user, properties: { ...user.properties, plan: 'free' } }],
  ['a property left over', { ...user, properties: { ...user.properties, city: 'Rome' } }],
  ['nothing at all', { channels: {}, properties: {} }],
]

test.each(planted)('a planted difference is found: %s', (_what, other) => {
  const rows = new Map([
    ['1', profile],
    ['2', profile],
  ])
  const users = new Map([
    ['1', user],
    ['2', other],
  ])
  expect(findDifferences(rows, users)).toEqual([{ kind: 'unequal', distinctId: '2', row: profile, user: other }])
})

test('a row without its user and a user without a row', () => {
  expect(findDifferences(new Map([['1', profile]]), new Map([['2', user]]))).toEqual([
    { kind: 'missing', distinctId: '1', row: profile, user: null },
    { kind: 'left_over', distinctId: '2', row: null, user },
  ])
})
