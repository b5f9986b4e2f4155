// What a source may say: where values come from, when they count, and what is done with them on the way.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { childColumns, mappedColumns } from '../../../src/core/mapped-columns.ts'
import { compileChildMapping, compileMapping, type MappedRow } from '../../../src/core/mapping.ts'
import type { ChildSpec, From, MappingSpec, Source } from '../../../src/core/mapping-spec.ts'
import { secretReference } from '../../../src/core/secret-reference.ts'
import { sourceOf, specOf } from '../../support/source-spec.ts'
import { arrayOf, table, type } from './column-samples.ts'

const users = table({
  id: 'int8',
  email: 'text?',
  name: 'text',
  phone: 'text?',
  country: 'text?',
  plan: 'int4?',
  role: 'text?',
  token: 'text?',
  vendor: 'text?',
  bundle: 'text?',
  tokens: arrayOf(type('text')),
  settings: 'jsonb?',
  raw: 'text?',
  zero: 'int4',
  born: 'date?',
})

type Row = { readonly [column: string]: string | null }

function mapped(profile: Record<string, readonly Source[]>, row: Row, more: Partial<MappingSpec> = {}): MappedRow {
  const compiled = compileMapping(specOf(profile, more), users)
  if (compiled.kind === 'invalid') throw new Error(compiled.problems.map(({ message }) => message).join('\n'))
  const full: Row = { id: '1', name: 'Ada', zero: '0', ...row }
  return compiled.mapping.map(users.wanted.map(({ name }) => full[name] ?? null))
}

/** Channels and properties together, and codes of what was left out. */
function outcome(profile: Record<string, readonly Source[]>, row: Row, more: Partial<MappingSpec> = {}) {
  const result = mapped(profile, row, more)
  if (result.kind !== 'user') throw new Error('no user')
  const { channels, properties } = result.profile
  return { ...channels, ...properties, left: result.reasons.map(({ key, code }) => `${key} ${code}`) }
}

/** Members of half a kilobyte. */
const many = (count: number, name: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`${name}-${at}`, 'x'.repeat(500)]))

const value = (expression: string, more: Partial<Source> = {}) => sourceOf({ kind: 'value', expression }, more)
const constant = (of: From & { kind: 'const' }) => sourceOf(of)

describe('value', () => {
  test.each<[string, Row, unknown]>([
    ['name + " " + email', { email: 'L.' }, 'Ada L.'],
    ['name + email', { email: null }, undefined],
    ['settings.plan', { settings: '{"plan": "pro"}' }, 'pro'],
    ['settings.a.b', { settings: '{}' }, undefined],
    ['role == "admin" ? name : null', { role: 'admin' }, 'Ada'],
    ['role == "admin" ? name : null', { role: 'user' }, undefined],
    ['trim(email)', { email: ' a ' }, 'a'],
    ['email.trim().lower()', { email: ' A ' }, 'a'],
    ['upper(email)', { email: 'a' }, 'A'],
    ['split(email, "@")[1]', { email: 'a@x.io' }, 'x.io'],
    ['email.split("@")[0]', { email: 'a@x.io' }, 'a'],
    ['join([name, email, role], "-")', { email: 'b' }, 'Ada-b'],
    ['join(tokens, "+")', { tokens: '{a,NULL,b}' }, 'a+b'],
    ['replace(email, "x", "$&y")', { email: 'axx' }, 'a$&y$&y'],
    ['email.replace(".", "")', { email: 'a.b' }, 'ab'],
    ['e164(phone, country)', { phone: '07700 900123', country: 'gb' }, '+447700900123'],
    ['e164(phone)', { phone: 'none' }, undefined],
    ['coalesce(email, phone, name)', {}, 'Ada'],
    ['coalesce(email, phone)', {}, undefined],
    ['json(raw).a[1]', { raw: '{"a": [1, 2]}' }, 2],
    ['id', { id: '9007199254740993' }, '9007199254740993'],
    ['plan > 3', { plan: '5' }, true],
    ['{"name": name, "plan": plan}', { plan: '5' }, { name: 'Ada', plan: 5 }],
    ['tokens.filter(t, t != "b")', { tokens: '{a,b,c}' }, ['a', 'c']],
    ['born < "2000-01-01"', { born: '1999-12-31' }, true],
  ])('%s of %j', (expression, row, expected) => {
    const { left, x } = outcome({ x: [value(expression)] }, row) as { left: string[]; x?: unknown }
    expect(x).toEqual(expected)
    expect(left).toEqual([])
  })

  test('one that fails on a row leaves out its value with a reason, and nothing else', () => {
    const profile = { a: [value('10 / zero')], b: [value('json(raw).x')], name: [sourceOf('name')] }
    expect(outcome(profile, { raw: 'canary{' })).toEqual({ name: 'Ada', left: ['a value_failed', 'b value_failed'] })
    expect(JSON.stringify(mapped(profile, { raw: 'canary{' }))).not.toContain('canary')
  })

  test('makes the distinct_id too; what is no id is no user', () => {
    const more = { distinctId: { kind: 'value', expression: '"u-" + string(id)' } } as const
    expect(mapped({}, { id: '7' }, more)).toMatchObject({ kind: 'user', distinctId: 'u-7' })
    const none = { distinctId: { kind: 'value', expression: 'email' } } as const
    expect(mapped({}, {}, none)).toMatchObject({ kind: 'absent', reasons: [{ code: 'invalid_distinct_id' }] })
    expect(mappedColumns(specOf({}, none))).toEqual(['email'])
    const failing = { distinctId: { kind: 'value', expression: 'string(10 / zero)' } } as const
    expect(mapped({ name: [sourceOf('name')] }, {}, failing)).toMatchObject({
      kind: 'unnamed',
      distinctId: null,
      profile: { properties: { name: 'Ada' } },
      reasons: [{ code: 'value_failed' }, { code: 'invalid_distinct_id' }],
    })
    expect(mapped({}, {}, { ...failing, when: 'name == "Bob"' })).toMatchObject({ kind: 'absent', distinctId: null })
  })
})

describe('on the way', () => {
  test('when: where it is not true the value is absent; one that fails leaves it out with a reason', () => {
    const profile = { $inbox: [sourceOf('email', { when: 'role == "admin"' }), sourceOf('phone')] }
    expect(outcome(profile, { email: 'e', phone: 'p', role: 'admin' })).toEqual({ $inbox: ['e', 'p'], left: [] })
    expect(outcome(profile, { email: 'e', phone: 'p' })).toEqual({ $inbox: ['p'], left: [] })
    const failing = { x: [sourceOf('name', { when: '1 / zero == 1' })] }
    expect(outcome(failing, {})).toEqual({ left: ['x when_failed'] })
  })

  test('default: in the place of NULL, through the formats', () => {
    const profile = { $timezone: [sourceOf('role', { default: 'asia/calcutta', formats: ['timezone'] })] }
    expect(outcome(profile, {})).toEqual({ $timezone: 'Asia/Kolkata', left: [] })
    expect(outcome(profile, { role: 'Europe/Berlin' })).toEqual({ $timezone: 'Europe/Berlin', left: [] })
    expect(outcome({ $inbox: [sourceOf('tokens', { default: ['a', 'b'] })] }, {})).toEqual({
      $inbox: ['a', 'b'],
      left: [],
    })
  })

  test('map: a text as it is written, a number whatever its digits look like', () => {
    const map = new Map<string, string>([
      ['007', 'bond'],
      ['1.50', 'more'],
      ['7', 'seven'],
      [' ', 'blank'],
    ])
    const of = (column: string, text: string) =>
      Object(outcome({ x: [sourceOf(column, { map })] }, { [column]: text })).x
    expect(['007', '7', '1.50', '1.5', '7.0', ' '].map((text) => of('role', text))).toEqual([
      ...['bond', 'seven', 'more', undefined, undefined, 'blank'],
    ])
    expect(['7', '0'].map((text) => of('plan', text))).toEqual(['seven', undefined])
    expect(outcome({ x: [{ ...value('1.5'), map }] }, {})).toEqual({ x: 'more', left: [] })
  })

  test('map: by the text of the value, also of numbers and in lists; what it does not name is left out or the default', () => {
    const map = new Map<string, string>([
      ['0', 'free'],
      ['1', 'pro'],
    ])
    expect(outcome({ plan: [sourceOf('plan', { map })] }, { plan: '1' })).toEqual({ plan: 'pro', left: [] })
    expect(outcome({ plan: [sourceOf('plan', { map })] }, { plan: '7' })).toEqual({ left: ['plan not_in_map'] })
    expect(outcome({ plan: [sourceOf('plan', { map, default: 'other' })] }, { plan: '7' })).toEqual({
      plan: 'other',
      left: [],
    })
    expect(outcome({ plan: [sourceOf('plan', { map })] }, {})).toEqual({ left: [] })
    const zones = new Map([['Eastern Time (US & Canada)', 'America/New_York']])
    expect(
      outcome(
        { $timezone: [sourceOf('role', { map: zones, formats: ['timezone'] })] },
        { role: 'Eastern Time (US & Canada)' },
      ),
    ).toEqual({ $timezone: 'America/New_York', left: [] })
    expect(outcome({ $inbox: [sourceOf('tokens', { map })] }, { tokens: '{0,9,1}' })).toEqual({
      $inbox: ['free', 'pro'],
      left: ['$inbox not_in_map'],
    })
  })

  test('provider and bundle_id stand beside a token that is not of the usual provider', () => {
    const column = (name: string) => ({ kind: 'column', column: name }) as const
    const android = { $androidpush: [sourceOf('token', { provider: column('vendor') })] }
    expect(outcome(android, { token: 't', vendor: 'FCM' })).toEqual({ $androidpush: ['t'], left: [] })
    expect(outcome(android, { token: 't' })).toEqual({ $androidpush: ['t'], left: [] })
    expect(outcome(android, { token: 't', vendor: 'xiaomi' })).toEqual({
      $androidpush: [{ value: 't', $id_provider: 'xiaomi' }],
      left: [],
    })
    expect(outcome(android, { token: 't', vendor: 'huawei' })).toEqual({ left: ['$androidpush invalid_provider'] })
    const ios = { $iospush: [sourceOf('token', { bundleId: column('bundle') })] }
    expect(outcome(ios, { token: 't', bundle: 'com.Example.App' })).toEqual({
      $iospush: [{ value: 't', $bundle_id: 'com.Example.App' }],
      left: [],
    })
  })

  test('one token in two forms counts once, the first: SuprSend holds a single one', () => {
    const column = (name: string) => ({ kind: 'column', column: name }) as const
    const ios = { $iospush: [sourceOf('token'), sourceOf('token', { bundleId: column('bundle') })] }
    expect(outcome(ios, { token: 't', bundle: 'com.example' })).toEqual({ $iospush: ['t'], left: [] })
    const android = { $androidpush: [sourceOf('token'), sourceOf('token', { provider: column('vendor') })] }
    expect(outcome(android, { token: 't', vendor: 'oppo' })).toEqual({
      $androidpush: ['t', { value: 't', $id_provider: 'oppo' }],
      left: [],
    })
  })

  test('lists of sources unite, each value once, objects too', () => {
    const slack = (email: string) => ({ kind: 'const', value: { email, access_token: 'xoxb-1' } }) as const
    const profile = {
      $inbox: [sourceOf('tokens'), sourceOf('token')],
      $slack: [constant(slack('a@x.io')), constant(slack('b@x.io')), constant(slack('a@x.io'))],
    }
    expect(outcome(profile, { tokens: '{a,b,a}', token: 'b' })).toEqual({
      $inbox: ['a', 'b'],
      $slack: [slack('a@x.io').value, slack('b@x.io').value],
      left: [],
    })
  })

  test('an object is put together of its fields; NULL in one of them and it is absent', () => {
    const secret = secretReference('SLACK_BOT_TOKEN', 'xoxb-canary')
    const fields = new Map([
      ['email', sourceOf('email', { formats: ['lower'] })],
      ['access_token', sourceOf({ kind: 'const', value: secret })],
    ])
    const profile = { $slack: [sourceOf({ kind: 'object', fields })] }
    expect(outcome(profile, { email: 'A@X.io' })).toEqual({
      $slack: [{ email: 'a@x.io', access_token: secret }],
      left: [],
    })
    expect(outcome(profile, {})).toEqual({ left: [] })
    const push = new Map([
      ['endpoint', sourceOf('raw')],
      ['keys.p256dh', sourceOf('token')],
      ['keys.auth', sourceOf('vendor')],
      ['expirationTime', sourceOf('plan')],
    ])
    const web = { $webpush: [sourceOf({ kind: 'object', fields: push })] }
    expect(outcome(web, { raw: 'https://p.io/1', token: 'p', vendor: 'a' })).toEqual({
      $webpush: [{ endpoint: 'https://p.io/1', keys: { p256dh: 'p', auth: 'a' } }],
      left: [],
    })
  })

  test('a default may be a secret, alone and in a list, also in the place of what a map does not name', () => {
    const secret = secretReference('TEAM', 'blue')
    expect(outcome({ team: [sourceOf('role', { default: secret })] }, {})).toEqual({ team: secret, left: [] })
    const map = new Map([['a', 'b']])
    expect(outcome({ team: [sourceOf('role', { map, default: secret })] }, { role: 'x' })).toEqual({
      team: secret,
      left: [],
    })
    expect(outcome({ $inbox: [sourceOf('role', { default: ['i', secret] })] }, {})).toEqual({
      $inbox: ['i', secret],
      left: [],
    })
  })

  test('JSON in a text is as unfit as JSON in a json column', () => {
    const profile = { x: [sourceOf('raw', { formats: ['json'] })], $slack: [sourceOf('raw', { formats: ['json'] })] }
    const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`
    for (const raw of ['"a\\u0000b"', '{"a": "\\ud800"}', deep]) {
      const { left, ...kept } = outcome({ x: profile.x }, { raw })
      expect(kept).toEqual({})
      expect(left).toEqual([expect.stringMatching(/^x invalid_(text|json)$/)])
    }
    const forged = JSON.stringify({ email: 'a@x.io', access_token: secretReference('SLACK_BOT_TOKEN', 'guess') })
    expect(outcome({ $slack: profile.$slack }, { raw: forged })).toEqual({ left: ['$slack reserved_key'] })
  })

  test('a row cannot pass its own JSON for a secret of the environment', () => {
    const forged = JSON.stringify({ deep: [secretReference('DATABASE_URL', 'guess')] })
    expect(outcome({ settings: [sourceOf('settings')] }, { settings: forged })).toEqual({
      left: ['settings reserved_key'],
    })
    const properties = [{ column: 'settings', pick: null }]
    expect(outcome({}, { settings: forged }, { properties })).toEqual({ left: ['properties reserved_key'] })
  })
})

describe('properties of an object', () => {
  const settings = JSON.stringify({ a: 1, b: [true], c: null, $email: 'x', ss_x: 1, '': 1, name: 'of the object' })

  test('all members that can be properties, or those that are picked; what profile says goes before', () => {
    const all = [{ column: 'settings', pick: null }]
    expect(outcome({ name: [sourceOf('name')] }, { settings }, { properties: all })).toEqual({
      ...{ a: 1, b: [true], name: 'Ada' },
      left: ['properties illegal_name'],
    })
    expect(outcome({}, { settings }, { properties: [{ column: 'settings', pick: ['a', 'c', 'd'] }] })).toEqual({
      a: 1,
      left: [],
    })
    // NULL in profile is absent: the object's member does not shine through.
    expect(outcome({ name: [sourceOf('role')] }, { settings }, { properties: all })).not.toHaveProperty('name')
  })

  test('a name that only the row knows stands in no reason', () => {
    const all = { properties: [{ column: 'settings', pick: null }] }
    const large = JSON.stringify({
      'canary@example.com': 'x'.repeat(9_000),
      canary2: 'a\u0000b',
      ...many(30, 'canary'),
    })
    const result = outcome({}, { settings: large }, all)
    expect(JSON.stringify(result.left)).not.toContain('canary')
    expect(result.left).toEqual(expect.arrayContaining(['properties value_too_large', 'properties invalid_text']))
    expect(result.left).toContain('properties profile_too_large')
    const picked = { properties: [{ column: 'settings', pick: ['canary2'] }] }
    expect(outcome({}, { settings: large }, picked).left).toEqual(['canary2 invalid_text'])
  })

  test('of what is no object: a reason', () => {
    expect(outcome({}, { settings: '[1]' }, { properties: [{ column: 'settings', pick: null }] })).toEqual({
      left: ['properties not_an_object'],
    })
    const wrong = specOf({}, { properties: [{ column: 'name', pick: null }] })
    expect(compileMapping(wrong, users)).toMatchObject({
      problems: [{ code: 'unsupported_type', path: 'properties.from' }],
    })
  })
})

describe('a child table', () => {
  const child = (more: Partial<ChildSpec> = {}): ChildSpec => ({
    table: { schema: 'public', name: 'devices' },
    user: ['user_id'],
    when: null,
    profile: new Map([['$inbox', [sourceOf('token')]]]),
    properties: [],
    exclusive: [],
    ...more,
  })
  const devices = table({ id: 'int4', user_id: 'int8?', token: 'text?', active: 'bool' })

  test('says whose it is and what it gives; without a user, or where `when` is not true, nothing', () => {
    const compiled = compileChildMapping(child({ when: 'active' }), devices, { users, at: 0 })
    if (compiled.kind === 'invalid') throw new Error('does not compile')
    const { map } = compiled.mapping
    expect(map(['1', '7', 't', 't'])).toEqual({
      ...{ kind: 'child', userKey: '7' },
      ...{ profile: { channels: { $inbox: ['t'] }, properties: {} }, reasons: [] },
    })
    expect(map(['1', '7', 't', 'f'])).toEqual({ kind: 'absent', userKey: '7', reasons: [] })
    expect(map(['1', null, 't', 't'])).toEqual({ kind: 'absent', userKey: null, reasons: [] })
    expect(childColumns(child({ when: 'active' }))).toEqual(['user_id', 'active', 'token'])
  })

  test('gives properties only where a user has one row of it', () => {
    const scalars = child({ profile: new Map([['name', [sourceOf('token')]]]) })
    expect(compileChildMapping(scalars, devices, { users, at: 2 })).toMatchObject({
      problems: [{ code: 'child_not_unique', path: 'children[2].profile.name', message: /only channels/ }],
    })
    const unique = { ...devices, unique: [['id'], ['user_id']] }
    expect(compileChildMapping(scalars, unique, { users, at: 2 })).toMatchObject({ kind: 'ok' })
    const tenants = child({ ...scalars, user: ['tenant', 'user_id'] })
    const both = table({ id: 'int4', tenant: 'text', user_id: 'int8', token: 'text' })
    const ofTenants = (unique: readonly (readonly string[])[]) =>
      compileChildMapping(tenants, { ...both, unique }, { users: { ...users, key: ['name', 'id'] }, at: 0 })
    expect(ofTenants([['user_id', 'tenant']])).toMatchObject({ kind: 'ok' })
    expect(ofTenants([['user_id', 'tenant', 'id']])).toMatchObject({ kind: 'invalid' })
  })
})

describe('a value of a user’s own making holds nothing up', () => {
  const many = (count: number, item: (at: number) => unknown) =>
    JSON.stringify(Array.from({ length: count }, (_, at) => item(at)))
  test.each<[string, Parameters<typeof specOf>, string, string]>([
    [
      'an object of very many members',
      [{}, { properties: [{ column: 'settings', pick: null }] }],
      JSON.stringify(Object.fromEntries(Array.from({ length: 200_000 }, (_, at) => [`key${at}`, at]))),
      'too_many_values',
    ],
    [
      'a list of very many numbers that are none',
      [{ $sms: [sourceOf('settings', { formats: ['e164'] })] }],
      many(500_000, (at) => `+999770${at}`),
      'too_many_values',
    ],
    [
      'a locale of very many extensions',
      [{ $locale: [value('settings.l')].map((source) => ({ ...source, formats: ['locale'] as const })) }],
      JSON.stringify({ l: `en-u-${Array.from({ length: 100_000 }, (_, at) => `attr${at % 10_000}`).join('-')}` }),
      'invalid_locale',
    ],
  ])('%s', (_, [profile, more], settings, code) => {
    const compiled = compileMapping(specOf(profile, more), users)
    if (compiled.kind === 'invalid') throw new Error('does not compile')
    const row = users.wanted.map(({ name }) => (name === 'settings' ? settings : name === 'id' ? '1' : null))
    const startedAt = performance.now()
    const { reasons } = compiled.mapping.map(row)
    expect(reasons.map((reason) => reason.code)).toContain(code)
    // They took seconds to a minute.
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })
})

test('whatever a row holds: nothing throws, and the same row gives the same', () => {
  const profile = {
    $email: [sourceOf('email', { formats: ['email'] }), sourceOf('tokens', { formats: ['trim', 'email'] })],
    $sms: [sourceOf('phone', { formats: ['e164'], region: { kind: 'column', column: 'country' } })],
    $slack: [sourceOf('settings')],
    $webpush: [sourceOf('raw', { formats: ['json'] })],
    $androidpush: [sourceOf('token', { provider: { kind: 'column', column: 'vendor' } })],
    plan: [sourceOf('plan', { map: new Map([['1', 'pro']]) })],
    born: [sourceOf('raw', { formats: ['iso8601'] })],
    computed: [value('coalesce(json(raw).a, split(email, "@")[1], settings.x)')],
  }
  const compiled = compileMapping(specOf(profile, { properties: [{ column: 'settings', pick: null }] }), users)
  if (compiled.kind === 'invalid') throw new Error(compiled.problems.map(({ message }) => message).join('\n'))
  const { map } = compiled.mapping
  const text = fc.option(
    fc.oneof(fc.string(), fc.json(), fc.constantFrom('a@x.io', '{a,b}', '[1]', '{"a":1}', '7', 'NaN')),
  )
  fc.assert(
    fc.property(fc.array(text, { minLength: users.wanted.length, maxLength: users.wanted.length }), (row) => {
      expect(map(row)).toEqual(map(row))
    }),
  )
})
