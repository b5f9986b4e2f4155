import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mappedColumns } from '../../../src/core/mapped-columns.ts'
import { type Compiled, compileMapping, type MappedRow, type Mapping } from '../../../src/core/mapping.ts'
import type { Format, MappingSpec, Source } from '../../../src/core/mapping-spec.ts'
import type { Table } from '../../../src/core/row.ts'
import { sourceOf, specOf } from '../../support/source-spec.ts'
import { arrayOf, ofKind, table, type } from './column-samples.ts'

const users = table({
  id: 'int8',
  email: 'text?',
  phone: 'text?',
  country: 'text?',
  others: arrayOf(type('text')),
  more: 'jsonb?',
  settings: 'jsonb?',
  balance: 'numeric?',
  deleted_at: 'timestamptz?',
  photo: 'bytea?',
  address: ofKind('composite', 'address'),
})

function column(name: string, formats: readonly Format[] = [], region: Source['region'] = null): Source {
  return sourceOf(name, { formats, region })
}

const spec = specOf

function compiled(mapping: MappingSpec, of: Table = users) {
  const result = compileMapping(mapping, of)
  if (result.kind === 'invalid') throw new Error(result.problems.map(({ message }) => message).join('\n'))
  return (row: Record<string, string | null>) => result.mapping.map(of.wanted.map(({ name }) => row[name] ?? null))
}

function problemsOf(result: Compiled<Mapping>) {
  return result.kind === 'invalid' ? result.problems : []
}

const full = spec({
  $email: [column('email', ['email']), column('others', ['email']), column('more', ['email'])],
  $sms: [column('phone', ['e164'], { kind: 'column', column: 'country' })],
  source: [sourceOf({ kind: 'const', value: 'app' })],
  settings: [column('settings')],
  balance: [column('balance')],
})

describe('a mapped row', () => {
  it('is the profile with its values in their canonical form', () => {
    const row = {
      id: '9007199254740993',
      email: ' ada@example.com ',
      phone: '098765 43210',
      country: 'in',
      settings: '{"plan":"pro"}',
      balance: '10.50',
    }
    expect(compiled(full)(row)).toEqual({
      kind: 'user',
      distinctId: '9007199254740993',
      profile: {
        channels: { $email: ['ada@example.com'], $sms: ['+919876543210'] },
        properties: { source: 'app', settings: { plan: 'pro' }, balance: 10.5 },
      },
      reasons: [],
    })
  })

  it('unites the values of a channel in order, without repeats, NULLs and blanks', () => {
    const row = {
      id: '1',
      email: 'b@example.com',
      others: '{a@example.com,NULL,b@example.com}',
      more: '["c@example.com", "", null]',
    }
    expect(compiled(full)(row)).toMatchObject({
      profile: { channels: { $email: ['b@example.com', 'a@example.com', 'c@example.com'] } },
      reasons: [],
    })
  })

  it('has no empty channel and no null property', () => {
    expect(compiled(full)({ id: '1', settings: 'null', others: '{}' })).toEqual({
      kind: 'user',
      distinctId: '1',
      profile: { channels: {}, properties: { source: 'app' } },
      reasons: [],
    })
  })

  it('leaves out what fails alone, with one reason per key and code and without the value', () => {
    const row = {
      id: '1',
      email: 'canary-1',
      others: '{canary-2,ok@example.com}',
      phone: '12345',
      balance: 'NaN',
      settings: '{',
    }
    const mapped = compiled(full)(row)
    expect(mapped).toMatchObject({
      profile: { channels: { $email: ['ok@example.com'] }, properties: { source: 'app' } },
    })
    expect(mapped.reasons.map(({ key, code }) => [key, code])).toEqual([
      ['$email', 'invalid_email'],
      ['$sms', 'invalid_e164'],
      ['settings', 'invalid_json'],
      ['balance', 'not_finite'],
    ])
    expect(JSON.stringify(mapped)).not.toMatch(/canary|12345/)
  })

  it('uses the region of its own row, also for a number seen before', () => {
    const map = compiled(full)
    const sms = (country: string | null) => {
      const mapped = map({ id: '1', phone: '2079460958', country })
      return mapped.kind === 'user' ? (mapped.profile.channels.$sms?.[0] ?? null) : 'absent'
    }
    expect([sms('GB'), sms('US'), sms(null), sms('GB')]).toEqual([
      '+442079460958',
      '+12079460958',
      null,
      '+442079460958',
    ])
  })

  it('leaves out texts that cannot be stored', () => {
    const map = compiled(spec({ $email: [column('email')], settings: [column('settings')] }))
    const bad = ['{"a":"\\u0000"}', '{"\\ud800":1}', '{"a":["\\udc00"]}', '['.repeat(40) + ']'.repeat(40)]
    for (const settings of bad) {
      expect(map({ id: '1', settings, email: 'a\u0000' })).toMatchObject({
        profile: { channels: {}, properties: {} },
        reasons: [
          { key: '$email', code: 'invalid_text' },
          { key: 'settings', code: 'invalid_text' },
        ],
      })
    }
  })

  it('keeps the first thousand values of a channel, in time that grows with the list', () => {
    const map = compiled(spec({ $inbox: [column('email'), column('others')] }))
    const others = (count: number) => `{${Array.from({ length: count }, (_, n) => `i${n}`).join(',')}}`
    const fits = map({ id: '1', email: 'i0', others: others(1_000) })
    expect(fits.kind === 'user' && fits.profile.channels.$inbox).toHaveLength(1_000)
    expect(fits.reasons).toEqual([])

    const startedAt = performance.now()
    const mapped = map({ id: '1', email: 'first', others: others(200_000) })
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(mapped.kind === 'user' && mapped.profile.channels.$inbox).toEqual([
      'first',
      ...Array.from({ length: 999 }, (_, n) => `i${n}`),
    ])
    expect(mapped.reasons).toMatchObject([{ key: '$inbox', code: 'too_many_values' }])
  })

  it('leaves out a property beyond 8 KB', () => {
    const map = compiled(spec({ settings: [column('settings')] }))
    const sized = (bytes: number) => map({ id: '1', settings: JSON.stringify('x'.repeat(bytes - 2)) })
    expect(sized(8_192).reasons).toEqual([])
    expect(sized(8_193)).toMatchObject({
      profile: { properties: {} },
      reasons: [{ key: 'settings', code: 'value_too_large' }],
    })
  })

  it('refuses an object where an address was expected', () => {
    const map = compiled(spec({ $inbox: [column('more')] }))
    expect(map({ id: '1', more: '["a", {"b": 1}, 5]' })).toMatchObject({
      profile: { channels: { $inbox: ['a', '5'] } },
      reasons: [{ key: '$inbox', code: 'invalid_value' }],
    })
  })
})

describe('distinct_id', () => {
  const map = compiled(spec({}, { distinctId: { kind: 'column', column: 'email' } }))

  it.each([
    [' User 1/%ü😀 ', 'User 1/%ü😀'],
    ['x'.repeat(255), 'x'.repeat(255)],
  ])('%j', (text, expected) => {
    expect(map({ email: text })).toMatchObject({ kind: 'user', distinctId: expected })
  })

  it.each([null, '', '  ', '.', '..', 'x'.repeat(256), 'a\u0000b', '\ud800'])('%j is unusable', (text) => {
    expect(map({ email: text })).toEqual({
      kind: 'absent',
      distinctId: null,
      reasons: [{ key: 'distinct_id', code: 'invalid_distinct_id', message: expect.any(String) }],
    })
  })
})

describe('when', () => {
  const map = compiled(spec({ $email: [column('email', ['email'])] }, { when: 'deleted_at == null' }))

  it('false: the user must not exist, and its values give no reasons', () => {
    expect(map({ id: '7', email: 'bad', deleted_at: '2024-01-01 00:00:00+00' })).toEqual({
      kind: 'absent',
      distinctId: '7',
      reasons: [],
    })
  })

  it('true: the user exists', () => {
    expect(map({ id: '7' }).kind).toBe('user')
  })

  it('null is not true', () => {
    expect(compiled(spec({}, { when: 'settings.active' }))({ id: '7', settings: '{}' }).kind).toBe('absent')
  })

  it.each(['settings.age > 18', 'settings.age'])('%s: an expression that fails deletes nobody', (when) => {
    expect(compiled(spec({}, { when }))({ id: '7', settings: '{"age":"canary"}' })).toMatchObject({
      kind: 'user',
      reasons: [{ key: 'when', code: 'when_failed', message: expect.not.stringContaining('canary') }],
    })
  })
})

describe('columns', () => {
  it('are all that the mapping reads, once each', () => {
    const mapping = spec(Object.fromEntries(full.profile), { when: 'deleted_at == null && country != "XX"' })
    expect(mappedColumns(mapping)).toEqual([
      'id',
      'deleted_at',
      'country',
      'email',
      'others',
      'more',
      'phone',
      'settings',
      'balance',
    ])
  })
})

describe('compiling', () => {
  it('reports every column that is missing or unsupported', () => {
    const mapping = spec(
      {
        $email: [column('emial', ['email'])],
        $sms: [column('phone', ['e164'], { kind: 'column', column: 'contry' })],
        photo: [column('photo')],
        address: [column('address')],
      },
      { distinctId: { kind: 'column', column: 'more' }, when: 'deletd_at == null' },
    )
    expect(problemsOf(compileMapping(mapping, users)).map(({ code, path, message }) => [code, path, message])).toEqual([
      ['unsupported_type', 'user.distinct_id', 'column "more" is of type jsonb, which cannot identify a user'],
      ['invalid_when', 'user.when', 'no column "deletd_at" in the table (did you mean "deleted_at"?) (at character 1)'],
      ['unknown_column', 'profile.$email', 'the table public.users has no column "emial" (did you mean "email"?)'],
      ['unknown_column', 'profile.$sms', 'the table public.users has no column "contry" (did you mean "country"?)'],
      ['unsupported_type', 'profile.photo', 'column "photo" is of type bytea, which cannot be mapped'],
      ['unsupported_type', 'profile.address', 'column "address" is of type address, which cannot be mapped'],
    ])
  })

  it('refuses a when that is never true or false', () => {
    expect(problemsOf(compileMapping(spec({}, { when: 'id + 1' }), users))).toMatchObject([
      { code: 'invalid_when', message: 'must be true or false for each row, but is of type int' },
    ])
  })
})

it('is deterministic and never throws, whatever the row holds', () => {
  const mapping = spec(Object.fromEntries(full.profile), { when: 'settings.a != 1 && !(balance > 5.0)' })
  const first = compiled(mapping)
  const second = compiled(mapping)
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.constantFrom('{a,b}', '{"x', 'NaN', '+14155552671'),
  )
  const row = fc.record(Object.fromEntries(users.columns.map(({ name }) => [name, fc.option(texts)])))
  fc.assert(
    fc.property(row, (values) => {
      const once: MappedRow = first(values)
      expect(second(values)).toEqual(once)
      expect(first(values)).toEqual(once)
    }),
    { numRuns: 300 },
  )
})
