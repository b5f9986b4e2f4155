// When losses are no longer believed.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { trips, usersToCount } from '../../../src/core/breaker.ts'

const SETTINGS = { share: 0.1, minUsers: 100, windowMs: 600_000 }

test.each([
  [99, 100, false],
  [100, 999, true],
  [100, 1_000, false],
  [101, 1_000, true],
  [10_000, 100_000, false],
  [10_001, 100_000, true],
])('%i losses of %i users: %s', (recent, users, expected) => {
  expect(trips({ recent, users }, SETTINGS)).toBe(expected)
})

test('counting no more users than usersToCount decides the same', () => {
  fc.assert(
    fc.property(
      fc.nat(5_000),
      fc.nat(100_000),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (recent, users, share) => {
        const settings = { ...SETTINGS, share }
        const counted = Math.min(users, usersToCount(recent, settings))
        expect(trips({ recent, users: counted }, settings)).toBe(trips({ recent, users }, settings))
      },
    ),
  )
})
