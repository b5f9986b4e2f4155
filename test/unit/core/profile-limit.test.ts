// A profile beyond 10 KB: what goes first, and that the same profile always loses the same.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Json } from '../../../src/core/json.ts'
import type { Profile } from '../../../src/core/profile.ts'
import { fitProfile, MAX_PROFILE_BYTES } from '../../../src/core/profile-limit.ts'

const size = ({ channels, properties }: Profile) => Buffer.byteLength(JSON.stringify({ ...channels, ...properties }))

test('one that fits stays as it is, up to the last byte', () => {
  const filled = (length: number): Profile => ({
    channels: { $email: ['ada@example.com'] },
    properties: { a: 'x'.repeat(length) },
  })
  const room = MAX_PROFILE_BYTES - size(filled(0))
  const fits = filled(room)
  expect(fitProfile(fits)).toEqual({ profile: fits, reasons: [] })
  expect(fitProfile(filled(room + 1)).profile.properties).toEqual({})
})

test('the largest properties go first; addresses, time zone and language stay', () => {
  const profile: Profile = {
    channels: { $email: ['ada@example.com'] },
    properties: { small: 1, large: 'x'.repeat(7_000), larger: 'ü'.repeat(3_900), $timezone: 'Europe/Berlin' },
  }
  const { profile: fitted, reasons } = fitProfile(profile)
  expect(fitted).toEqual({
    channels: profile.channels,
    properties: { small: 1, large: 'x'.repeat(7_000), $timezone: 'Europe/Berlin' },
  })
  expect(reasons).toMatchObject([{ key: 'larger', code: 'profile_too_large' }])
})

test('a channel beyond it keeps its first values, with a reason', () => {
  const tokens = Array.from({ length: 200 }, (_, index) => `${index}-${'t'.repeat(160)}`)
  const { profile, reasons } = fitProfile({ channels: { $androidpush: tokens, $email: ['a@x.io'] }, properties: {} })
  const kept = profile.channels.$androidpush ?? []
  expect(kept.length).toBeGreaterThan(50)
  expect(kept).toEqual(tokens.slice(0, kept.length))
  expect(profile.channels.$email).toEqual(['a@x.io'])
  expect(reasons).toMatchObject([{ key: '$androidpush', code: 'profile_too_large' }])
})

test('whatever the profile: what is left fits, and is left as it is the second time', () => {
  const value = fc.oneof(fc.string({ maxLength: 4_000 }), fc.array(fc.string({ maxLength: 300 }), { maxLength: 9 }))
  const profile = fc.record({
    channels: fc.record(
      {
        $email: fc.array(fc.string({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 60 }),
        $slack: fc.array(fc.record({ email: fc.string({ maxLength: 500 }) }), { minLength: 1, maxLength: 20 }),
      },
      { requiredKeys: [] },
    ),
    properties: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), value as fc.Arbitrary<Json>),
  }) as fc.Arbitrary<Profile>
  fc.assert(
    fc.property(profile, (given) => {
      const { profile: fitted, reasons } = fitProfile(given)
      expect(size(fitted)).toBeLessThanOrEqual(MAX_PROFILE_BYTES)
      expect(fitProfile(fitted)).toEqual({ profile: fitted, reasons: [] })
      expect(reasons.length > 0).toBe(size(given) > MAX_PROFILE_BYTES)
    }),
  )
})
