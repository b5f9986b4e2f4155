// What names a row in state: exact while it is short, and never long.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyText, rowKey, rowKeyValues } from '../../../src/core/row.ts'

const long = fc
  .tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), fc.integer({ min: 100, max: 3_000 }))
  .map(([text, times]) => text.repeat(times))
const value = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme', maxLength: 1_200 }), long)
const values = fc.array(value, { minLength: 1, maxLength: 3 })

describe('the key of a row', () => {
  it('fits an index thrice, and tells different rows apart', () => {
    fc.assert(
      fc.property(values, values, (one, other) => {
        expect(Buffer.byteLength(keyText(one))).toBeLessThan(1_050)
        const isSame = one.length === other.length && one.every((text, at) => text === other[at])
        // A single text may read as the JSON of several: within a table all keys have as many columns.
        if (one.length === other.length) expect(keyText(one) === keyText(other)).toBe(isSame)
      }),
      { numRuns: 500 },
    )
  })

  it('is not what another row may choose to be called', () => {
    const text = 'x'.repeat(5_000)
    expect(keyText([keyText([text])])).not.toBe(keyText([text]))
  })

  it('tells the values again, unless it was too long', () => {
    fc.assert(
      fc.property(values, (texts) => {
        const table = { key: texts.map((_, at) => `k${at}`) }
        const key = rowKey(table, [...texts, 'more', null])
        const again = rowKeyValues(table, key)
        if (Buffer.byteLength(texts.length === 1 ? (texts[0] ?? '') : JSON.stringify(texts)) <= 1_000)
          expect(again).toEqual(texts)
        else expect(again).toBeNull()
      }),
    )
  })
})
