// The formats that change what kind of JSON a value is.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../../src/core/json.ts'
import { applyTypedFormat, type TypedFormat } from '../../../src/core/typed-formats.ts'

test.each<[TypedFormat, Json, Json]>([
  ['string', 5, '5'],
  ['string', true, 'true'],
  ['string', 'a', 'a'],
  ['string', { a: [1] }, '{"a":[1]}'],
  ['string', [1, null, 'b'], ['1', null, 'b']],
  ['number', '42', 42],
  ['number', ' -1.50 ', -1.5],
  ['number', '+7', 7],
  ['number', '.5', 0.5],
  ['number', '007', 7],
  ['number', '1e3', 1000],
  ['number', '9007199254740993', '9007199254740993'],
  ['number', ['1', '2'], [1, 2]],
  ['number', '', null],
  ['boolean', 'yes', true],
  ['boolean', 'F', false],
  ['boolean', 1, true],
  ['boolean', 'off', false],
  ['boolean', ' ', null],
  ['json', '{"a": 1}', { a: 1 }],
  ['json', '9007199254740993', '9007199254740993'],
  ['json', { a: 1 }, { a: 1 }],
  ['json', '', null],
  ['iso8601', '2024-01-31', '2024-01-31'],
  ['iso8601', '2024-01-31 12:30', '2024-01-31T12:30:00'],
  ['iso8601', '2024-01-31T12:30:05.123456Z', '2024-01-31T12:30:05.123456Z'],
  ['iso8601', '2024-01-01T01:30:00+05:30', '2023-12-31T20:00:00Z'],
  ['iso8601', '2024-02-29 23:59:59.5-0100', '2024-03-01T00:59:59.5Z'],
])('%s of %j is %j', (format, value, expected) => {
  expect(applyTypedFormat(format, value)).toEqual({ kind: 'value', value: expected })
})

test.each<[TypedFormat, Json]>([
  ['number', 'abc'],
  ['number', '1,5'],
  ['number', true],
  ['number', '1e999'],
  ['boolean', 'perhaps'],
  ['boolean', 2],
  ['boolean', {}],
  ['json', '{a: 1}'],
  ['iso8601', '2023-02-29'],
  ['iso8601', '2024-01-31T12:00:00+25:00'],
  ['iso8601', '2024-01-31T12:00:00+05:99'],
  ['iso8601', '9999-12-31 23:59:59-01'],
  ['iso8601', '0001-01-01 00:00:00+01'],
  ['iso8601', '31.01.2024'],
  ['iso8601', '2024-01-31T25:00Z'],
  ['iso8601', 'yesterday'],
  ['iso8601', 1700000000],
])('%s refuses %j', (format, value) => {
  const typed = applyTypedFormat(format, value)
  expect(typed).toMatchObject({ kind: 'invalid', code: `invalid_${format}` })
})

test.each([
  ['[', '1', ']'],
  ['{"a":', '1', '}'],
])(
  'JSON of a text that is too deep to be written is refused, and does not overflow the stack (%s)',
  (open, one, close) => {
    const json = applyTypedFormat('json', open.repeat(50_000) + one + close.repeat(50_000))
    if (json.kind !== 'value') throw new Error(json.message)
    expect(applyTypedFormat('string', [json.value])).toMatchObject({ kind: 'invalid', code: 'invalid_text' })
  },
)

describe('properties', () => {
  test('a second time changes nothing, and nothing throws', () => {
    const format = fc.constantFrom<TypedFormat>('string', 'number', 'boolean', 'json', 'iso8601')
    const value = fc.oneof(
      fc.jsonValue(),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.float().map(String),
    )
    fc.assert(
      fc.property(format, value, (name, given) => {
        const once = applyTypedFormat(name, given as Json)
        if (once.kind !== 'value' || once.value === null) return
        // A text that holds JSON of a text is parsed once more each time.
        if (name === 'json' && typeof once.value === 'string') return
        expect(applyTypedFormat(name, once.value)).toEqual(once)
      }),
    )
  })
})
