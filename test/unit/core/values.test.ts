import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ColumnType } from '../../../src/core/row.ts'
import { exactNumber, isSupported, parseValue } from '../../../src/core/values.ts'
import { arrayOf, OIDS, ofKind, type TypeName, type } from './column-samples.ts'

function parsedValue(column: ColumnType, text: string): unknown {
  const parsed = parseValue(column, text)
  return parsed.kind === 'value' ? parsed.value : parsed.code
}

describe('parseValue', () => {
  it.each<[TypeName, string, unknown]>([
    ['bool', 't', true],
    ['bool', 'f', false],
    ['int2', '-7', -7],
    ['int4', '2147483647', 2_147_483_647],
    ['int8', '42', 42],
    ['int8', '9007199254740992', 9_007_199_254_740_992],
    ['int8', '9007199254740993', '9007199254740993'],
    ['int8', '-9223372036854775808', '-9223372036854775808'],
    ['numeric', '0', 0],
    ['numeric', '1.50', 1.5],
    ['numeric', '100', 100],
    ['numeric', '100.00', 100],
    ['numeric', '0.1234567890123456789', '0.1234567890123456789'],
    ['numeric', '12345678901234567890.50', '12345678901234567890.50'],
    ['numeric', '1000000000000000000000', '1000000000000000000000'],
    ['numeric', 'NaN', 'not_finite'],
    ['numeric', '-Infinity', 'not_finite'],
    ['float4', '0.1', 0.1],
    ['float8', '1e+300', 1e300],
    ['float8', 'NaN', 'not_finite'],
    ['float8', 'Infinity', 'not_finite'],
    ['text', 't', 't'],
    ['text', '', ''],
    ['varchar', ' x ', ' x '],
    ['bpchar', 'ab   ', 'ab   '],
    ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['date', '2024-02-29', '2024-02-29'],
    ['date', 'infinity', 'not_a_calendar_date'],
    ['date', '0044-03-15 BC', 'not_a_calendar_date'],
    ['time', '03:04:05.123456', '03:04:05.123456'],
    ['interval', 'P1DT2H', 'P1DT2H'],
    ['timestamp', '2024-01-02 03:04:05.123456', '2024-01-02T03:04:05.123456'],
    ['timestamp', '0044-03-15 12:00:00 BC', 'not_a_calendar_date'],
    ['timestamptz', '2024-01-02 03:04:05.123456+00', '2024-01-02T03:04:05.123456Z'],
    ['timestamptz', '2024-01-02 03:04:05+00', '2024-01-02T03:04:05Z'],
    ['timestamptz', '-infinity', 'not_a_calendar_date'],
    ['jsonb', '{"a": [1, null, "x"]}', { a: [1, null, 'x'] }],
    ['jsonb', '{"id": 9007199254740993}', { id: '9007199254740993' }],
    ['jsonb', '[1.10, 0.1234567890123456789]', [1.1, '0.1234567890123456789']],
    ['jsonb', '{"t": "12345678901234567890"}', { t: '12345678901234567890' }],
    ['json', '[1e2, 1e400]', [100, '1e400']],
    ['jsonb', 'null', null],
    ['json', '{', 'invalid_json'],
  ])('%s %s', (name, text, expected) => {
    expect(parsedValue(type(name), text)).toEqual(expected)
  })

  it.each<[string, ColumnType, string, unknown]>([
    ['empty', arrayOf(type('text')), '{}', []],
    ['bare and quoted', arrayOf(type('text')), '{a,"b c","d\\"e\\\\f",""}', ['a', 'b c', 'd"e\\f', '']],
    ['NULL and "NULL"', arrayOf(type('text')), '{NULL,"NULL",null}', [null, 'NULL', 'null']],
    ['numbers', arrayOf(type('int8')), '{1,9007199254740993}', [1, '9007199254740993']],
    [
      'nested',
      arrayOf(type('int4')),
      '{{1,2},{3,NULL}}',
      [
        [1, 2],
        [3, null],
      ],
    ],
    ['bounds', arrayOf(type('bool')), '[0:1]={t,f}', [true, false]],
    [
      'a delimiter of its own',
      arrayOf(ofKind('base', 'box'), ';'),
      '{(1,1),(0,0);(2,2),(1,1)}',
      ['(1,1),(0,0)', '(2,2),(1,1)'],
    ],
    ['jsonb', arrayOf(type('jsonb')), '{"{\\"a\\": 1}"}', [{ a: 1 }]],
    ['a bad element', arrayOf(type('float8')), '{1,NaN}', 'not_finite'],
    ['unclosed', arrayOf(type('text')), '{a,b', 'invalid_array'],
    ['more behind', arrayOf(type('text')), '{a}b', 'invalid_array'],
    ['seven dimensions', arrayOf(type('text')), '{{{{{{{a}}}}}}}', 'invalid_array'],
  ])('array: %s', (_name, column, text, expected) => {
    expect(parsedValue(column, text)).toEqual(expected)
  })

  it('keeps a key named __proto__ as data', () => {
    const parsed = parseValue(type('jsonb'), '{"__proto__": {"a": 1}}')
    expect(parsed.kind === 'value' && JSON.stringify(parsed.value)).toBe('{"__proto__":{"a":1}}')
  })

  it('never throws and yields JSON, whatever the text', () => {
    const names = Object.keys(OIDS) as TypeName[]
    const columns = [...names.map(type), ...names.map((name) => arrayOf(type(name)))]
    fc.assert(
      fc.property(fc.constantFrom(...columns), fc.oneof(fc.string(), fc.json(), arrayLike), (column, text) => {
        const parsed = parseValue(column, text)
        if (parsed.kind === 'value')
          expect(JSON.parse(JSON.stringify(parsed.value))).toEqual(withoutMinusZero(parsed.value))
      }),
      { numRuns: 2_000 },
    )
  })

  it('reads back what an array was written as', () => {
    const item = fc.option(fc.string())
    fc.assert(
      fc.property(fc.array(item), (items) => {
        const text = `{${items.map((value) => (value === null ? 'NULL' : `"${value.replaceAll(/["\\]/g, '\\$&')}"`)).join(',')}}`
        expect(parsedValue(arrayOf(type('text')), text)).toEqual(items)
      }),
    )
  })
})

const arrayLike = fc.string({ unit: fc.constantFrom('{', '}', ',', '"', '\\', 'a', '1', 'NULL', '[0:1]=') })

function withoutMinusZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, member) => (Object.is(member, -0) ? 0 : member)))
}

describe('exactNumber', () => {
  it('never loses a digit: a number prints as the digits it came from', () => {
    const digits = fc.tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat({ max: 10 ** 9 }), fc.boolean())
    fc.assert(
      fc.property(digits, ([whole, fraction, hasFraction]) => {
        const text = hasFraction ? `${whole}.${fraction}` : String(whole)
        const number = exactNumber(text)
        if (typeof number === 'string') expect(number).toBe(text)
        else expect(text.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '')).toBe(String(number))
      }),
    )
  })
})

describe('isSupported', () => {
  it.each<[ColumnType, boolean]>([
    [type('text'), true],
    [ofKind('enum', 'mood'), true],
    [ofKind('range', 'int4range'), true],
    [ofKind('base', 'citext'), true],
    [type('bytea'), false],
    [arrayOf(type('bytea')), false],
    [ofKind('composite', 'address'), false],
    [ofKind('unknown', 'anyelement'), false],
  ])('%o', (column, expected) => {
    expect(isSupported(column)).toBe(expected)
  })

  it('reads a domain as its base type', () => {
    expect(parsedValue({ ...type('int4'), oid: 77_777, name: 'positive' }, '5')).toBe(5)
  })
})
