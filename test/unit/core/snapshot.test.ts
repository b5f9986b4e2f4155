// Snapshots and transaction ids: the visibility rule and the widening of pgoutput's 32-bit ids.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isOlder, parseSnapshot, sees, widenXid } from '../../../src/core/snapshot.ts'

test('parsed as PostgreSQL prints it', () => {
  expect(parseSnapshot('735:738:735,737')).toEqual({
    text: '735:738:735,737',
    xmin: 735n,
    xmax: 738n,
    inProgress: new Set([735n, 737n]),
  })
  expect(parseSnapshot('9:9:')).toMatchObject({ xmin: 9n, xmax: 9n, inProgress: new Set() })
})

test.for(['', '1', '1:2', ':2:', '1::', 'a:2:'])('%j is no snapshot', (text) => {
  expect(() => parseSnapshot(text)).toThrow()
})

test.for([
  [734n, true],
  [735n, false],
  [736n, true],
  [737n, false],
  [738n, false],
  [10_000_000_000n, false],
] as const)('transaction %i is visible in 735:738:735,737: %j', ([xid, visible]) => {
  expect(sees(parseSnapshot('735:738:735,737'), xid)).toBe(visible)
})

test.for([
  ['5:9:5,6', '5:10:5,6', true],
  ['5:9:5,6', '6:9:6', true],
  ['6:9:6', '5:9:5,6', false],
  ['5:10:5,6', '9:9:', false],
  ['5:9:5,6', '5:9:5,6', false],
] as const)('%s is older than %s: %j', ([a, b, older]) => {
  expect(isOlder(parseSnapshot(a), parseSnapshot(b))).toBe(older)
})

describe('widenXid', () => {
  const epoch = 2n ** 32n

  test.for([
    [3, 0n, 3n],
    [0xffff_fffe, 5n, 0xffff_fffen],
    [0xffff_ffff, epoch, epoch - 1n],
    [0xffff_ffff, epoch + 3n, epoch - 1n],
    [3, epoch - 1n, epoch + 3n],
    [3, 7n * epoch - 1n, 7n * epoch + 3n],
    [0xffff_ffff, 7n * epoch, 7n * epoch - 1n],
    [0x8000_0000, 7n * epoch, 7n * epoch + 0x8000_0000n],
  ] as const)('%i near %i is %i', ([xid, near, wide]) => {
    expect(widenXid(xid, near)).toBe(wide)
  })

  test('gives back every id that is less than half an epoch away, on both sides of an epoch border', () => {
    const near = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 50n }),
      fc
        .tuple(fc.bigInt({ min: 1n, max: 1000n }), fc.bigInt({ min: -100n, max: 100n }))
        .map(([n, offset]) => n * epoch + offset),
    )
    const distance = fc.oneof(
      fc.bigInt({ min: -(2n ** 31n) + 1n, max: 2n ** 31n - 1n }),
      fc.bigInt({ min: -200n, max: 200n }),
    )
    fc.assert(
      fc.property(near, distance, (known, offset) => {
        const xid = known + offset
        fc.pre(xid >= 0n)
        expect(widenXid(Number(xid % epoch), known)).toBe(xid)
      }),
    )
  })
})
