// LSNs: one value inside, two spellings outside.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatLsn, hasReached, type Lsn, lsnFromParts, NO_LSN, parseLsn } from '../../../src/core/lsn.ts'

const word = fc.integer({ min: 0, max: 0xffff_ffff })

test('text and parts are the same value, and the text is as PostgreSQL prints it', () => {
  fc.assert(
    fc.property(word, word, (high, low) => {
      const lsn = lsnFromParts(high, low)
      expect(lsn).toBe(BigInt(high) * 2n ** 32n + BigInt(low))
      expect(formatLsn(lsn)).toBe(`${high.toString(16).toUpperCase()}/${low.toString(16).toUpperCase()}`)
      expect(parseLsn(formatLsn(lsn))).toBe(lsn)
    }),
  )
})

test.for([
  ['0/1529178', 0x1529178n],
  ['00000000/01529178', 0x1529178n],
  ['16/b374d848', 0x16_b374_d848n],
  ['FFFFFFFF/FFFFFFFF', 2n ** 64n - 1n],
  ['0/0', 0n],
] as const)('%s in whichever spelling', ([text, value]) => {
  expect(parseLsn(text)).toBe(value)
})

test.for(['', '0', '/', '0/', '/0', '0/1/2', '0/123456789', 'g/0', ' 0/1', '0/1 ', '0x1/1', '-1/0'])(
  '%j is none',
  (text) => {
    expect(() => parseLsn(text)).toThrow(RangeError)
  },
)

test('values order as positions do, which their texts do not', () => {
  const positions = ['0/FFFFFFFF', '1/0', '9/0', 'A/0', '10/0'].map(parseLsn)
  expect(positions.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(positions)
  expect(NO_LSN < (1n as Lsn)).toBe(true)
})

test.for([
  ['0/2000', '0/2000', true],
  ['0/1FF8', '0/2000', false],
  ['0/2000', '0/2018', true],
  ['0/2000', '0/2028', true],
  ['0/2000', '0/2030', false],
  ['0/2030', '0/2030', true],
  ['0/3000000', '0/3000028', true],
] as const)('who stands at %s has heard all up to the insert position %s: %s', ([position, insert, expected]) => {
  expect(hasReached(parseLsn(position), parseLsn(insert))).toBe(expected)
})
