import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileExpression, expressionColumns, parseExpression } from '../../../src/core/expression.ts'
import { arrayOf, table, type } from './column-samples.ts'

const users = table({
  id: 'int8',
  type: 'text',
  active: 'bool',
  plan: 'text?',
  age: 'int4?',
  balance: 'numeric',
  settings: 'jsonb?',
  tags: arrayOf(type('text')),
  created_at: 'timestamptz',
  deleted_at: 'timestamptz?',
  'First Name': 'text?',
  package: 'text?',
})

const sample: Record<string, string | null> = {
  id: '9007199254740993',
  type: 'customer',
  active: 't',
  plan: 'pro',
  age: null,
  balance: '10.50',
  settings: '{"a":{"b":1},"n":null,"l":["x"],"constructor":"c"}',
  tags: '{a,b}',
  created_at: '2024-01-02 03:04:05.123456+00',
  deleted_at: null,
  'First Name': 'Ada',
  package: 'p',
}

function evaluate(text: string, row: Record<string, string | null> = {}): unknown {
  const compiled = compileExpression(text, users)
  if (compiled.kind === 'invalid') return compiled
  const values = { ...sample, ...row }
  const result = compiled.evaluate(users.wanted.map(({ name }) => values[name] ?? null))
  return result.kind === 'value' ? result.value : { failed: result.code }
}

describe('over a row', () => {
  it.each<[string, unknown]>([
    ['deleted_at == null', true],
    ['active && plan != "free"', true],
    ['type == "customer"', true],
    ['id == 9007199254740993', true],
    ['id', '9007199254740993'],
    ['balance > 10', true],
    ['created_at > "2024-01-01"', true],
    ['timestamp(created_at) > timestamp("2024-01-01T00:00:00Z")', true],
    ['"a" in tags', true],
    ['tags.exists(tag, tag == "b")', true],
    ['row["First Name"] + "!"', 'Ada!'],
    ['row["package"] == "p"', true],
    ['settings.a.b == 1', true],
    ['settings["a"]["b"] == 1', true],
    ['settings.l[0] == "x"', true],
    ['settings.constructor', 'c'],
    ['{"plan": plan, "n": [id > 1]}', { plan: 'pro', n: [true] }],
  ])('%s', (text, expected) => {
    expect(evaluate(text)).toEqual(expected)
  })

  it.each<[string, unknown]>([
    ['settings.missing == null', true],
    ['settings.missing.deeper == null', true],
    ['settings.n.deeper == null', true],
    ['settings.l[9] == null', true],
    ['settings.missing > 1', null],
    ['settings.missing.startsWith("x")', null],
    ['has(settings.a.b)', true],
    ['has(settings.missing.b)', false],
    ['age > 18', null],
    ['age + 1', null],
    ['!(age > 18)', null],
    ['age > 18 && active', null],
    ['age > 18 || active', true],
    ['age > 18 && !active', false],
    ['age == null ? "none" : "some"', 'none'],
  ])('a missing key or a NULL operand: %s', (text, expected) => {
    expect(evaluate(text)).toBe(expected)
  })

  it('takes a NULL json column for one without keys', () => {
    expect(evaluate('settings.a.b == null', { settings: null })).toBe(true)
  })

  it.each([
    ['1 / (id - id) == 1', 'division_by_zero'],
    ['plan > 5', 'no_such_overload'],
    ['int(plan) > 5', 'int_conversion_error'],
    ['settings.a.b.startsWith("x")', 'no_matching_overload'],
    ['type(plan)', 'unsupported_result'],
  ])('%s fails without throwing', (text, code) => {
    expect(evaluate(text)).toEqual({ failed: code })
  })

  it('fails, and is not merely null, when a NOT NULL column came to hold NULL', () => {
    expect(evaluate('type == "customer"', { type: null })).toEqual({ failed: 'variable_type_mismatch' })
  })

  it.each<[string, unknown]>([
    ['balance', '12345678901234567890.10'],
    ['coalesce(balance, 0)', '12345678901234567890.10'],
    ['active ? balance : null', '12345678901234567890.10'],
    ['string(balance)', '12345678901234567890.10'],
    ['plan + ":" + string(balance)', 'pro:12345678901234567890.10'],
    ['join([plan, balance], " ")', 'pro 12345678901234567890.10'],
    ['{"n": [balance, string(id)]}', { n: ['12345678901234567890.10', '9007199254740993'] }],
    ['balance > 1000000.0', true],
    ['balance > 5.0 ? 1 : 2', 1],
    ['string(age)', null],
  ])('no digit of a numeric is lost: %s', (text, expected) => {
    expect(evaluate(text, { balance: '12345678901234567890.10' })).toEqual(expected)
    expect(evaluate('string(balance)', { balance: '12.50' })).toBe('12.5')
  })

  it('says so where two numbers of the row are the same double', () => {
    const both = table({ id: 'int4', a: 'numeric', b: 'numeric?' })
    const compiled = compileExpression('coalesce(b, a)', both)
    if (compiled.kind === 'invalid') throw new Error(compiled.message)
    const row = (a: string, b: string | null) => compiled.evaluate(['1', a, b])
    expect(row('0.12345678901234567890', '0.12345678901234567891')).toEqual({ kind: 'failed', code: 'inexact' })
    expect(row('0.12345678901234567890', null)).toEqual({ kind: 'value', value: '0.12345678901234567890' })
    expect(row('0.12345678901234567890', '7')).toEqual({ kind: 'value', value: 7 })
    expect(row('NaN', null)).toEqual({ kind: 'failed', code: 'unsupported_result' })
  })

  it('gives each row its own answer', () => {
    const compiled = compileExpression('age > 18', users)
    if (compiled.kind === 'invalid') throw new Error(compiled.message)
    const ages = ['20', null, '5', '19']
    const results = ages.map((age) => compiled.evaluate(users.wanted.map(({ name }) => (name === 'age' ? age : null))))
    expect(results.map((result) => result.kind === 'value' && result.value)).toEqual([true, null, false, true])
  })
})

describe('compiling', () => {
  it.each([
    ['plna == "x"', 'no column "plna" in the table', 0],
    ['row["Frist Name"] == null', '(did you mean "First Name"?)', 5],
    ['type == 1', 'no such overload: string == int', 0],
    ['active && type + 1 == 2', 'no such overload: string + int', 10],
    ['settings.a == 1 && type + 1 == 2', 'no such overload: string + int', 19],
    ['id ==', 'Unexpected token', 5],
    ['nope(1)', 'nope', 0],
  ])('%s is refused with its place', (text, message, position) => {
    expect(compileExpression(text, users)).toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining(message),
      position,
    })
  })

  it('says of which type the result is', () => {
    expect(compileExpression('deleted_at == null', users)).toMatchObject({ type: 'bool' })
    expect(compileExpression('id + 1', users)).toMatchObject({ type: 'int' })
    expect(compileExpression('plan', users)).toMatchObject({ type: 'dyn' })
  })
})

describe('columns', () => {
  it.each<[string, string[]]>([
    ['deleted_at == null', ['deleted_at']],
    ['a.b.c == d["e"]', ['a', 'd']],
    ['tags.exists(t, t == plan)', ['tags', 'plan']],
    ['plan.map(plan, plan)', ['plan']],
    ['cel.bind(x, y, x == z)', ['y', 'z']],
    ['cel.bind(x, x, x)', ['x']],
    ['type(id) == int', ['id']],
    ['row["First Name"] == row["row"]', ['First Name', 'row']],
    ['has(settings.a) && size(tags) > 1', ['settings', 'tags']],
    ['[a, {b: c}]', ['a', 'b', 'c']],
    ['"a.b" == \'c[d]\'', []],
    ['1 +', []],
  ])('%s reads %j', (text, expected) => {
    expect(expressionColumns(text)).toEqual(expected)
  })
})

it('parsing and compiling never throw', () => {
  const words = fc.constantFrom(
    'id',
    'settings',
    '.a',
    '["b"]',
    ' == ',
    'null',
    '(',
    ')',
    ' && ',
    'has(',
    '1',
    '"x"',
    ' ? ',
    ' : ',
    'row',
    '!',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(words).map((parts) => parts.join('')),
      ),
      (text) => {
        expect(['ok', 'invalid']).toContain(parseExpression(text).kind)
        const compiled = compileExpression(text, users)
        if (compiled.kind === 'ok')
          expect(['value', 'failed']).toContain(compiled.evaluate(users.wanted.map(() => null)).kind)
      },
    ),
    { numRuns: 500 },
  )
})
