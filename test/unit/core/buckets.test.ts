// Shares of buckets: whatever is seen, what all draw from it fits together.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ALL_BUCKETS, BUCKETS, bucketQuota, mostSenders, shareBuckets } from '../../../src/core/buckets.ts'

const NONE: ReadonlySet<number> = new Set()

test('alone: everything is taken; a second one is given half of it', () => {
  const nobody = ALL_BUCKETS.map(() => null)
  expect(shareBuckets({ senders: ['a'], owners: nobody, most: 8 }, { me: 'a', leaving: NONE })).toEqual({
    keep: [],
    take: ALL_BUCKETS,
  })
  const all = ALL_BUCKETS.map(() => 'a')
  const { keep, take } = shareBuckets({ senders: ['a', 'b'], owners: all, most: 8 }, { me: 'a', leaving: NONE })
  expect([keep.length, take]).toEqual([32, []])
  expect(shareBuckets({ senders: ['a', 'b'], owners: all, most: 8 }, { me: 'b', leaving: NONE }).take).toEqual([])
})

test('what is leaving goes first, and is kept again when nobody wants it any more', () => {
  const all = ALL_BUCKETS.map(() => 'a')
  const leaving = new Set(ALL_BUCKETS.slice(0, 32))
  const both = shareBuckets({ senders: ['a', 'b'], owners: all, most: 8 }, { me: 'a', leaving })
  expect(both.keep).toEqual(ALL_BUCKETS.slice(32))
  expect(shareBuckets({ senders: ['a'], owners: all, most: 8 }, { me: 'a', leaving }).keep).toHaveLength(BUCKETS)
})

test('so few work that each has a request in flight and whole requests a second', () => {
  expect(mostSenders({ maxInFlight: 64, ratePerSecond: null })).toBe(64)
  expect(mostSenders({ maxInFlight: 3, ratePerSecond: null })).toBe(3)
  expect(mostSenders({ maxInFlight: 64, ratePerSecond: 100 })).toBe(25)
  expect(mostSenders({ maxInFlight: 64, ratePerSecond: 0.5 })).toBe(1)
})

const view = fc
  .integer({ min: 1, max: 80 })
  .chain((count) =>
    fc.tuple(
      fc.constant(Array.from({ length: count }, (_, nth) => `s${nth}`)),
      fc.array(fc.option(fc.integer({ min: 0, max: count })), { minLength: BUCKETS, maxLength: BUCKETS }),
      fc.integer({ min: 1, max: BUCKETS }),
    ),
  )
  .map(([senders, owners, most]) => ({
    senders,
    // One who is listed nowhere holds some as well.
    owners: owners.map((nth) => (nth === null ? null : (senders[nth] ?? 'unknown'))),
    most,
  }))

test('from one view nobody takes what has an owner, and all shares add up to all buckets', () => {
  fc.assert(
    fc.property(view, ({ senders, owners, most }) => {
      const shares = senders.map((me) => ({ me, ...shareBuckets({ senders, owners, most }, { me, leaving: NONE }) }))
      for (const { me, keep, take } of shares) {
        expect(keep.every((bucket) => owners[bucket] === me)).toBe(true)
        expect(take.every((bucket) => owners[bucket] === null)).toBe(true)
        // Nobody gives up what nobody may have.
        const quota = bucketQuota(senders.indexOf(me), Math.min(senders.length, most))
        expect(keep.length).toBe(Math.min(quota, owners.filter((owner) => owner === me).length))
        expect(keep.length + take.length).toBeLessThanOrEqual(quota)
      }
      const quotas = senders.map((_, rank) => bucketQuota(rank, Math.min(senders.length, most)))
      expect(quotas.reduce((sum, quota) => sum + quota, 0)).toBe(BUCKETS)
      const working = quotas.filter((quota) => quota > 0)
      expect(Math.max(...working) - Math.min(...working)).toBeLessThanOrEqual(1)
    }),
  )
})
