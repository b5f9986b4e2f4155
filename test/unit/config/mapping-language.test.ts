// The mapping as the file says it: every form of a source with the spec that it makes, and every mistake with its message.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the file's own syntax
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import type { Config } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import { exclusiveKeys } from '../../../src/core/mapping-spec.ts'
import { secretReference } from '../../../src/core/secret-reference.ts'
import { sourceOf } from '../../support/source-spec.ts'

const ENV = { SLACK_BOT_TOKEN: 'xoxb-canary-1', TEAM: 'blue', EMPTY: '' }

function load(sections: object, env: Record<string, string> = ENV): Promise<Config> {
  const file = {
    version: 1,
    source: { url: 'postgres://localhost/app', table: 'public.users' },
    suprsend: { api_key: 'key' },
    user: { distinct_id: 'id' },
    ...sections,
  }
  return loadConfig({ path: 'm.yaml', env, readFile: async () => stringify(file) })
}

const profile = async (key: string, source: unknown) =>
  (await load({ profile: { [key]: source } })).mapping.profile.get(key)

async function problems(sections: object): Promise<readonly string[]> {
  const error = await load(sections).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ConfigError)) throw new Error('it was accepted')
  expect(error.format()).not.toContain('canary')
  return error.problems.map(({ path, message }) => `${path}: ${message}`)
}

describe('a source', () => {
  test.each<[string, unknown, unknown]>([
    ['$inbox', 'inbox_id', [sourceOf('inbox_id')]],
    ['name', { value: 'first + last' }, [sourceOf({ kind: 'value', expression: 'first + last' })]],
    [
      'name',
      { column: 'n', when: 'active', default: 'friend' },
      [sourceOf('n', { when: 'active', default: 'friend' })],
    ],
    [
      'plan',
      { column: 'p', map: { 0: 'free', true: { seats: 1 } } },
      [
        sourceOf('p', {
          map: new Map<string, unknown>([
            ['0', 'free'],
            ['true', { seats: 1 }],
          ]) as never,
        }),
      ],
    ],
    [
      '$androidpush',
      [
        { column: 't', provider: 'XIAOMI' },
        { column: 'u', provider: { column: 'vendor' } },
      ],
      [
        sourceOf('t', { provider: { kind: 'const', value: 'xiaomi' } }),
        sourceOf('u', { provider: { kind: 'column', column: 'vendor' } }),
      ],
    ],
    [
      '$iospush',
      { column: 't', bundle_id: 'com.Example' },
      [sourceOf('t', { bundleId: { kind: 'const', value: 'com.Example' } })],
    ],
    ['$slack', 'slack_json', [sourceOf('slack_json')]],
    [
      '$slack',
      { email: 'e', access_token: { column: 't' }, when: 'ok' },
      [
        sourceOf(
          {
            kind: 'object',
            fields: new Map([
              ['email', sourceOf('e')],
              ['access_token', sourceOf('t')],
            ]),
          },
          { when: 'ok' },
        ),
      ],
    ],
    [
      '$slack',
      { channel: 'c', access_token: 't' },
      [
        sourceOf({
          kind: 'object',
          fields: new Map([
            ['channel_id', sourceOf('c')],
            ['access_token', sourceOf('t')],
          ]),
        }),
      ],
    ],
    [
      '$slack',
      { email_id: { column: 'e', format: 'lower' }, access_token: 't' },
      [
        sourceOf({
          kind: 'object',
          fields: new Map([
            ['email', sourceOf('e', { formats: ['lower'] })],
            ['access_token', sourceOf('t')],
          ]),
        }),
      ],
    ],
    [
      '$slack',
      { incoming_webhook: { url: 'u' } },
      [sourceOf({ kind: 'object', fields: new Map([['incoming_webhook', sourceOf('u')]]) })],
    ],
    [
      '$slack',
      { incoming_webhook: 'u' },
      [sourceOf({ kind: 'object', fields: new Map([['incoming_webhook', sourceOf('u')]]) })],
    ],
    [
      '$ms_teams',
      { tenant_id: 't', service_url: { const: 'https://smba.trafficmanager.net/emea' }, user_id: 'u' },
      [
        sourceOf({
          kind: 'object',
          fields: new Map([
            ['tenant_id', sourceOf('t')],
            ['service_url', sourceOf({ kind: 'const', value: 'https://smba.trafficmanager.net/emea' })],
            ['user_id', sourceOf('u')],
          ]),
        }),
      ],
    ],
    [
      '$webpush',
      { endpoint: 'e', keys: { p256dh: 'p', auth: { column: 'a' } } },
      [
        sourceOf({
          kind: 'object',
          fields: new Map([
            ['endpoint', sourceOf('e')],
            ['keys.p256dh', sourceOf('p')],
            ['keys.auth', sourceOf('a')],
          ]),
        }),
      ],
    ],
  ])('%s: %j', async (key, source, expected) => {
    const found = await profile(key, source)
    const plain = (sources: unknown) =>
      JSON.parse(JSON.stringify(sources, (_, it) => (it instanceof Map ? [...it].sort() : it)))
    expect(plain(found)).toEqual(plain(expected))
  })

  test('exclusive marks its channel, in whichever table', async () => {
    const { mapping } = await load({
      profile: { $email: { column: 'e', exclusive: true }, $sms: 'p' },
      children: [
        { table: 'devices', user: 'u', profile: { $inbox: [{ column: 'i' }, { column: 'j', exclusive: true }] } },
      ],
    })
    expect(exclusiveKeys(mapping)).toEqual(new Set(['$email', '$inbox']))
  })
})

test('distinct_id: a column, {column} or {value}', async () => {
  const id = async (distinct_id: unknown) =>
    (await load({ user: { distinct_id }, profile: { n: 'n' } })).mapping.distinctId
  expect(await id('id')).toEqual({ kind: 'column', column: 'id' })
  expect(await id({ column: 'id' })).toEqual({ kind: 'column', column: 'id' })
  expect(await id({ value: '"u" + id' })).toEqual({ kind: 'value', expression: '"u" + id' })
})

test('properties and children', async () => {
  const { mapping } = await load({
    profile: { $email: 'email' },
    properties: [{ from: 'settings', pick: ['a', 'b'] }, { from: 'more' }],
    children: [
      { table: 'app.profiles', user: ['tenant', 'user'], when: 'ok', properties: { from: 'data', pick: 'c' } },
    ],
  })
  expect(mapping.properties).toEqual([
    { column: 'settings', pick: ['a', 'b'] },
    { column: 'more', pick: null },
  ])
  expect(mapping.children).toMatchObject([
    {
      ...{ table: { schema: 'app', name: 'profiles' }, user: ['tenant', 'user'], when: 'ok' },
      properties: [{ column: 'data', pick: ['c'] }],
    },
  ])
})

describe('what comes from the environment', () => {
  const reference = secretReference('SLACK_BOT_TOKEN', ENV.SLACK_BOT_TOKEN)

  test('is a reference in the mapping, and its text beside it', async () => {
    const config = await load({
      profile: {
        $slack: { email: 'e', access_token: { const: '${SLACK_BOT_TOKEN}' } },
        team: { column: 't', default: 'team ${TEAM}' },
        info: { const: { list: ['plain', '${TEAM}'], n: 1 } },
        $ms_teams: { const: { tenant_id: 't', service_url: 'https://smba.trafficmanager.net/', user_id: '${TEAM}' } },
      },
    })
    const text = JSON.stringify([...config.mapping.profile], (_, it) => (it instanceof Map ? [...it] : it))
    expect(text).not.toContain('canary')
    expect(text).toContain(JSON.stringify(reference))
    expect(text).toContain(JSON.stringify(secretReference('TEAM', 'team blue')))
    expect(text).toContain(JSON.stringify({ list: ['plain', secretReference('TEAM', 'blue')], n: 1 }))
    expect([...config.mappingSecrets.values()].map((secret) => secret.reveal()).sort()).toEqual(
      ['blue', 'team blue', 'xoxb-canary-1'].sort(),
    )
    expect(JSON.stringify([...config.mappingSecrets])).not.toContain('canary')
  })

  test('is checked by its text', async () => {
    const slack = { $slack: { email: 'e', access_token: { const: '${TEAM}' } } }
    expect(await problems({ profile: slack })).toEqual([
      expect.stringMatching(
        /^profile\.\$slack\.access_token\.const: the constant makes no value of \$slack: needs access_token.*: TEAM\)$/,
      ),
    ])
    expect(await problems({ profile: { $timezone: { const: '${TEAM}' } } })).toEqual([
      expect.stringMatching(/the constant is not an IANA time zone.*environment: TEAM/),
    ])
  })

  test('is a reference through a YAML alias as well, and no value of a map', async () => {
    const file = (last: string) => `
version: 1
source: { url: postgres://localhost/app, table: public.users }
suprsend: { api_key: key }
user: { distinct_id: id }
profile:
  a: { const: &token "\${SLACK_BOT_TOKEN}" }
  b: { column: b, default: *token }
  $slack: { email: e, access_token: { const: *token } }
  ${last}
`
    const read = (last: string) => loadConfig({ path: 'm.yaml', env: ENV, readFile: async () => file(last) })
    const config = await read('c: { const: [x, *token] }')
    expect(JSON.stringify([...config.mapping.profile], (_, it) => (it instanceof Map ? [...it] : it))).not.toContain(
      'canary',
    )
    expect([...config.mappingSecrets.values()].map((secret) => secret.reveal())).toEqual([ENV.SLACK_BOT_TOKEN])
    await expect(read('c: { column: c, map: { k: *token } }')).rejects.toThrow(ConfigError)
  })

  test('stands in no expression that makes a value, but in one that decides', async () => {
    const refused = expect.stringMatching(/\.value: takes nothing from the environment.*SLACK_BOT_TOKEN\)$/)
    const value = '"${SLACK_BOT_TOKEN}"'
    expect(await problems({ profile: { n: { value } } })).toEqual([refused])
    expect(await problems({ profile: { $slack: { email: 'e', access_token: { value } } } })).toEqual([refused])
    const { mapping } = await load({
      profile: { n: { column: 'n', when: 'team == "${TEAM}"' }, m: { value: '"$${TEAM}"' } },
    })
    expect(mapping.profile.get('n')?.[0]?.when).toBe('team == "blue"')
    expect(mapping.profile.get('m')?.[0]?.from).toEqual({ kind: 'value', expression: '"${TEAM}"' })
  })

  test('is not a value of a map', async () => {
    expect(await problems({ profile: { n: { column: 'n', map: { a: '${TEAM}' } } } })).toEqual([
      expect.stringMatching(/^profile\.n\.map\.a: a map takes nothing from the environment/),
    ])
  })
})

describe('mistakes', () => {
  test.each<[object, string]>([
    [{ profile: { $emial: 'e' } }, 'profile.$emial: unknown key (did you mean "$email"?); names that begin with $'],
    [{ profile: { ss_plan: 'e' } }, 'profile.ss_plan: names that begin with ss_ are reserved'],
    [{ profile: { n: {} } }, 'profile.n: needs exactly one of column, value and const'],
    [{ profile: { n: { column: 'a', value: 'b' } } }, 'profile.n: needs exactly one of column, value and const'],
    [{ profile: { n: { colum: 'a' } } }, 'profile.n.colum: unknown key (did you mean "column"?)'],
    [{ profile: { n: { value: 'a +' } } }, 'profile.n.value: is no CEL expression'],
    [{ profile: { n: { column: 'a', when: '((' } } }, 'profile.n.when: is no CEL expression'],
    [{ profile: { n: ['a', 'b'] } }, 'profile.n: only a channel takes a list of sources'],
    [{ profile: { $email: [] } }, 'profile.$email: expected at least one source'],
    [{ profile: { n: { column: 'a', region: 'IN' } } }, 'profile.n.region: a region only serves the format e164'],
    [{ profile: { $sms: { column: 'a', region: 'UK' } } }, 'profile.$sms.region: expected an ISO 3166-1 country code'],
    [{ profile: { n: { column: 'a', map: {} } } }, 'profile.n.map: expected a mapping from values'],
    [{ profile: { n: { column: 'a', map: ['x'] } } }, 'profile.n.map: expected a mapping from values'],
    [
      { profile: { $timezone: { column: 'a', map: { x: 'Nowhere' } } } },
      'profile.$timezone.map.x: what stands for it is not an IANA',
    ],
    [
      { profile: { $timezone: { column: 'a', default: 'EST' } } },
      'profile.$timezone.default: the default is not an IANA',
    ],
    [{ profile: { $email: { const: 'nobody' } } }, 'profile.$email.const: the constant is not an e-mail address'],
    [
      { profile: { $email: { column: 'a', provider: 'fcm' } } },
      'profile.$email.provider: only $androidpush and $iospush',
    ],
    [
      { profile: { $androidpush: { column: 'a', provider: 'xaomi' } } },
      'profile.$androidpush.provider: expected fcm, xiaomi, oppo (did you mean "xiaomi"?)',
    ],
    [{ profile: { $androidpush: { column: 'a', bundle_id: 'x' } } }, 'profile.$androidpush.bundle_id: only $iospush'],
    [{ profile: { n: { column: 'a', exclusive: true } } }, 'profile.n.exclusive: only a channel can be exclusive'],
    [{ profile: { $slack: { email: 'e' } } }, 'profile.$slack: is no value of $slack: needs access_token'],
    [{ profile: { $slack: { access_token: 't' } } }, 'profile.$slack: is no value of $slack: needs one of email'],
    [
      { profile: { $slack: { email: 'e', acces_token: 't' } } },
      'profile.$slack.acces_token: unknown key (did you mean "access_token"?)',
    ],
    [
      { profile: { $slack: { email: 'e', access_token: { column: 't', exclusive: true } } } },
      'profile.$slack.access_token.exclusive: a field of $slack has no exclusive',
    ],
    [
      { profile: { $slack: { const: { email: 'a@x.io', access_token: 'xoxp' } } } },
      'profile.$slack.const: the constant is no value of $slack: needs access_token',
    ],
    [
      { profile: { $ms_teams: { user_id: 'u', tenant_id: 't' } } },
      'profile.$ms_teams: is no value of $ms_teams: needs service_url',
    ],
    [
      { profile: { $webpush: { endpoint: 'e' } } },
      'profile.$webpush: is no value of $webpush: needs keys.p256dh and keys.auth',
    ],
    [
      { profile: { $webpush: { endpoint: 'e', keys: { p256dh: 'p', auht: 'a' } } } },
      'profile.$webpush.keys.auht: unknown key; known here: p256dh, auth',
    ],
    [
      { profile: { $webpush: { endpoint: 'e', keys: { p256dh: 'p', auth: 'a', extra: 'x' } } } },
      'profile.$webpush.keys.extra: unknown key; known here: p256dh, auth',
    ],
    [
      { profile: { $slack: { incoming_webhook: { url: 'u', foo: 'x' } } } },
      'profile.$slack.incoming_webhook.foo: unknown key; known here: url',
    ],
    [
      { profile: { $slack: { email: 'e', email_id: 'f', access_token: 't' } } },
      'profile.$slack.email_id: is "email", which stands here already',
    ],
    [
      { profile: { $slack: { column: 'c', email: 'e' } } },
      'profile.$slack: is either one source (column, value, const) or its fields one by one, not both',
    ],
    [
      { profile: { $slack: { user_id: { column: 'u', default: 'ada' }, access_token: 't' } } },
      'profile.$slack.user_id.default: the default makes no value of $slack: user_id is no member',
    ],
    [
      { profile: { $slack: { channel_id: { column: 'c', map: { eu: 'C1', us: '#us' } }, access_token: 't' } } },
      'profile.$slack.channel_id.map.us: what stands for it makes no value of $slack: channel_id is no channel',
    ],
    [
      { profile: { $slack: { email: { const: 'ada', format: 'email' }, access_token: 't' } } },
      'profile.$slack.email.const: the constant is not an e-mail address',
    ],
    [
      { profile: { $timezone: { const: 'EST', map: { EST: 'America/New_York' } } } },
      'profile.$timezone.map: a constant has no map: write what stands for it',
    ],
    [{ properties: { from: 's', pick: [] } }, 'properties.pick: expected at least one'],
    [
      { profile: { n: 'n' }, children: { table: 't', user: 'u', profile: { $sms: 's' } } },
      'children: expected a list of child tables, each with table, user and profile',
    ],
    [{ profile: {} }, 'profile: maps nothing'],
    [
      { properties: { from: 'settings', pick: ['ok', '$email'] } },
      "properties.pick[1]: names that begin with $ are SuprSend's own",
    ],
    [{ properties: { form: 'settings' } }, 'properties.form: unknown key'],
    [
      { profile: { a: 'a' }, properties: { from: 's', pick: ['a'] } },
      'properties.pick[0]: picks what profile gives as well',
    ],
    [
      {
        properties: [
          { from: 's', pick: ['a'] },
          { from: 't', pick: ['a'] },
        ],
      },
      'properties[1].pick[0]: picks what is picked already',
    ],
    [
      { profile: { a: 'a' }, children: [{ table: 't', user: 'u', profile: { a: 'b' } }] },
      'children[0].profile.a: is given by the users table as well',
    ],
    [
      {
        profile: { n: 'n' },
        children: [
          { table: 't', user: 'u', profile: { a: 'b' } },
          { table: 'v', user: 'u', properties: { from: 's', pick: 'a' } },
        ],
      },
      'children[1].properties.pick: is given by children[0] as well',
    ],
    [
      { profile: { n: 'n' }, children: [{ table: 'users', user: 'u', profile: { $sms: 'b' } }] },
      'children[0].table: the users table is no child of itself',
    ],
    [
      {
        profile: { n: 'n' },
        children: [
          { table: 't', user: 'u', profile: { $sms: 'b' } },
          { table: 'public.t', user: 'u', profile: { $email: 'b' } },
        ],
      },
      'children[1].table: children[0] is this table already',
    ],
    [{ profile: { n: 'n' }, children: [{ table: 't', user: 'u' }] }, 'children[0].profile: maps nothing'],
    [
      { profile: { n: 'n' }, children: [{ table: 't', usr: 'u', profile: { $sms: 'b' } }] },
      'children[0].usr: unknown key (did you mean "user"?)',
    ],
    [
      { profile: { n: 'n' }, user: { distinct_id: { columm: 'x' } } },
      "user.distinct_id: expected a column's name, {column: name} or {value: CEL}",
    ],
    [{ profile: { n: 'n' }, user: { distinct_id: { value: '1 +' } } }, 'user.distinct_id.value: is no CEL expression'],
  ])('%j', async (sections, expected) => {
    const found = await problems(sections)
    expect(
      found.some((problem) => problem.startsWith(expected)),
      found.join('\n'),
    ).toBe(true)
  })
})
