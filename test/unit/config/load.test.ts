// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the file's own syntax
import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import { sourceOf } from '../../support/source-spec.ts'

const ENV = { DATABASE_URL: 'postgres://app:canary-password@db:5432/My-App', SUPRSEND_API_KEY: 'canary-key' }

const MINIMAL = `version: 1
source: {url: "\${DATABASE_URL}", table: users}
suprsend: {api_key: "\${SUPRSEND_API_KEY}"}
user: {distinct_id: id}
profile:
  $email: email
`

function load(text: string, { env = ENV, path = 'config.yaml' }: { env?: Record<string, string>; path?: string } = {}) {
  return loadConfig({ path, env, readFile: async () => text })
}

async function problemsOf(text: string, options: Parameters<typeof load>[1] = {}): Promise<string[]> {
  const error = await load(text, options).catch((thrown: unknown) => thrown)
  if (!(error instanceof ConfigError)) throw new Error(`expected a ConfigError, got ${inspect(error)}`)
  expect(error.code).toBe('config_invalid')
  return error.format().split('\n')
}

/** The minimal file with lines added at its end; `profile` is its last key. */
function problemsOfLines(...lines: string[]): Promise<string[]> {
  return problemsOf(MINIMAL + lines.join('\n'))
}

describe('a good file', () => {
  it('has every default resolved', async () => {
    const config = await load(MINIMAL)
    expect(config).toMatchObject({
      file: 'config.yaml',
      source: {
        table: { schema: 'public', name: 'users' },
        slot: 'suprsync_my_app',
        publication: 'suprsync',
        create: true,
      },
      state: { schema: 'suprsync' },
      suprsend: {
        baseUrl: 'https://hub.suprsend.com',
        firstContact: 'upsert',
        maxInFlight: 64,
        maxRequestsPerSecond: 100,
        connectTimeoutMs: 5_000,
        headersTimeoutMs: 15_000,
        bodyTimeoutMs: 15_000,
      },
      http: { host: '127.0.0.1', port: 9464 },
      mapping: { distinctId: { kind: 'column', column: 'id' }, when: null, onDelete: 'delete' },
      reconcile: { usersPerHour: null },
      shutdownTimeoutMs: 20_000,
      log: { level: 'info' },
    })
    expect(config.source.url.reveal()).toBe(ENV.DATABASE_URL)
    expect(config.state.url.reveal()).toBe(ENV.DATABASE_URL)
    expect([...config.mapping.profile]).toEqual([
      ['$email', [sourceOf({ kind: 'column', column: 'email' }, { formats: ['email'], region: null })]],
    ])
  })

  it('is compared with SuprSend at no rate when that is off', async () => {
    for (const off of ['reconcile: off', 'reconcile: {users_per_hour: off}', 'reconcile: {}']) {
      expect((await load(`${MINIMAL}${off}`)).reconcile).toEqual({ usersPerHour: null })
    }
  })

  it('the commented example loads with the three variables it names', async () => {
    const config = await loadConfig({
      path: 'config/suprsync.yaml',
      env: ENV,
      readFile: (path) => readFile(path, 'utf8'),
    })
    expect([...config.mapping.profile.keys()]).toEqual([
      '$email',
      '$sms',
      '$timezone',
      '$preferred_language',
      'name',
      'plan',
    ])
    expect(config.mapping.when).toBe('deleted_at == null')
  })

  it('says everything that can be said', async () => {
    const config = await load(
      `version: 1
source: {url: postgresql:///app?host=/run, table: 'sales."App ""Users"".2024"', slot: s_1, publication: My Pub, create: "\${CREATE}"}
state: {url: "\${STATE_URL:-\${DATABASE_URL}}", schema: mirror}
suprsend:
  api_key: "\${SUPRSEND_API_KEY}"
  base_url: http://127.0.0.1:8080/base/
  first_contact: edit
  max_in_flight: "\${IN_FLIGHT}"
  max_requests_per_second: off
  connect_timeout: 500ms
  headers_timeout: 1.5s
  body_timeout: 2m
http: off
user: {distinct_id: User Id, when: "deleted == null && plan != '$\${x}'", on_delete: keep}
profile:
  $email: [email, {column: other, format: [trim, lower]}, {const: ops@example.com}]
  $sms: {column: phone, region: in}
  $whatsapp: {column: wa, format: e164, region: {column: country}}
  $timezone: {const: Asia/Calcutta}
  flags: {const: {beta: true, n: [1, 2.5, null]}}
reconcile: {users_per_hour: "\${RATE}"}
shutdown_timeout: 5s
log: {level: debug}
`,
      { env: { ...ENV, CREATE: 'false', IN_FLIGHT: '8', RATE: '60', STATE_URL: '' } },
    )
    expect(config).toMatchObject({
      source: {
        table: { schema: 'sales', name: 'App "Users".2024' },
        slot: 's_1',
        publication: 'My Pub',
        create: false,
      },
      state: { schema: 'mirror' },
      suprsend: {
        baseUrl: 'http://127.0.0.1:8080/base',
        firstContact: 'edit',
        maxInFlight: 8,
        maxRequestsPerSecond: null,
        connectTimeoutMs: 500,
        headersTimeoutMs: 1_500,
        bodyTimeoutMs: 120_000,
      },
      http: null,
      mapping: {
        distinctId: { kind: 'column', column: 'User Id' },
        when: "deleted == null && plan != '${x}'",
        onDelete: 'keep',
      },
      reconcile: { usersPerHour: 60 },
      shutdownTimeoutMs: 5_000,
      log: { level: 'debug' },
    })
    expect(config.state.url.reveal()).toBe(ENV.DATABASE_URL)
    expect(Object.fromEntries(config.mapping.profile)).toEqual({
      $email: [
        sourceOf({ kind: 'column', column: 'email' }, { formats: ['email'], region: null }),
        sourceOf({ kind: 'column', column: 'other' }, { formats: ['trim', 'lower', 'email'], region: null }),
        sourceOf({ kind: 'const', value: 'ops@example.com' }, { formats: ['email'], region: null }),
      ],
      $sms: [
        sourceOf({ kind: 'column', column: 'phone' }, { formats: ['e164'], region: { kind: 'const', value: 'IN' } }),
      ],
      $whatsapp: [
        sourceOf(
          { kind: 'column', column: 'wa' },
          { formats: ['e164'], region: { kind: 'column', column: 'country' } },
        ),
      ],
      $timezone: [sourceOf({ kind: 'const', value: 'Asia/Calcutta' }, { formats: ['timezone'], region: null })],
      flags: [sourceOf({ kind: 'const', value: { beta: true, n: [1, 2.5, null] } }, { formats: [], region: null })],
    })
  })

  it('is read from JSON too', async () => {
    const text = JSON.stringify({
      version: 1,
      source: { url: '${DATABASE_URL}', table: 'users' },
      suprsend: { api_key: 'k' },
      http: { listen: '[::1]:0' },
      user: { distinct_id: 'id' },
      profile: { name: 'name' },
    })
    expect((await load(text, { path: 'config.json' })).http).toEqual({ host: '::1', port: 0 })
  })

  it('is frozen to its leaves', async () => {
    const config = await load(MINIMAL)
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
    expect(frozen(config)).toBe(true)
    expect(frozen(config.mapping.profile.get('$email'))).toBe(true)
  })

  it('prints no credential', async () => {
    const config: Config = await load(MINIMAL)
    const printed = [
      inspect(config, { depth: 9 }),
      JSON.stringify(config),
      `${config.source.url}`,
      String(config.suprsend.apiKey),
    ]
    expect(printed.join('\n')).not.toContain('canary')
    expect(printed[1]).toContain('[redacted]')
  })

  it('takes nobody for stuck sooner than signs of life can be told apart', async () => {
    const stuckAfter = async (text: string) => (await load(`${MINIMAL}delivery: {stuck_after: ${text}}\n`)).delivery
    expect(await stuckAfter('100ms')).toEqual({ stuckAfterMs: 3_000 })
    expect(await stuckAfter('90s')).toEqual({ stuckAfterMs: 90_000 })
  })

  it('drops the line end of a mounted secret', async () => {
    const config = await load(MINIMAL, { env: { ...ENV, SUPRSEND_API_KEY: 'key\n' } })
    expect(config.suprsend.apiKey.reveal()).toBe('key')
  })
})

describe('problems', () => {
  it('are reported all at once, each with its place, and without values', async () => {
    const found = await problemsOf(
      `version: 2
source:
  url: \${NOPE}
  tabel: canary
  slot: Bad-Slot
suprsend:
  api_key: "\${SUPRSEND_API_KEY} \${OTHER:-x}"
  max_in_flight: 0
  connect_timeout: 20
  first_contact: upser
http: {listen: 9464, port: 1}
user:
  distinct_id: id
  when: deleted_at = null
  on_delet: keep
profile:
  $emial: email
  $email: [{column: a, const: b}, {colum: x, format: emial}]
  name: [a, b]
log: {level: verbose}
`,
    )
    expect(found).toEqual([
      'config.yaml:1:10 version: expected 1, the version of this file format, found a number',
      'config.yaml:2:1 source.table: is missing: expected a table as in SQL, such as public.users or public."App Users"',
      'config.yaml:3:8 source.url: the environment variable NOPE is not set',
      'config.yaml:4:3 source.tabel: unknown key (did you mean "table"?)',
      'config.yaml:5:9 source.slot: expected a slot name of a-z, 0-9 and _, at most 63 characters, found a text of 8 characters',
      'config.yaml:7:12 suprsend.api_key: expected an API key, found a text of 12 characters (from the environment: SUPRSEND_API_KEY, OTHER)',
      'config.yaml:8:18 suprsend.max_in_flight: expected a whole number from 1 to 10000, found a number',
      'config.yaml:9:20 suprsend.connect_timeout: expected a duration with its unit such as 500ms, 20s or 5m, found a number',
      'config.yaml:10:18 suprsend.first_contact: expected upsert, edit; found a text of 5 characters (did you mean "upsert"?)',
      'config.yaml:11:16 http.listen: expected an address such as 127.0.0.1:9464, or off, found a number',
      'config.yaml:11:22 http.port: unknown key; known here: listen',
      'config.yaml:14:9 user.when: is no CEL expression: Unexpected character: = (at character 12); CEL writes == for =',
      'config.yaml:15:3 user.on_delet: unknown key (did you mean "on_delete"?)',
      'config.yaml:17:3 profile.$emial: unknown key (did you mean "$email"?); names that begin with $ are SuprSend\'s own',
      'config.yaml:18:12 profile.$email[0]: needs exactly one of column, value and const',
      'config.yaml:18:36 profile.$email[1].colum: unknown key (did you mean "column"?)',
      'config.yaml:18:54 profile.$email[1].format: expected email, e164, timezone, language, locale, trim, lower, string, number, boolean, json, iso8601; found a text of 5 characters (did you mean "email"?)',
      'config.yaml:19:9 profile.name: only a channel takes a list of sources; a property has one value',
      'config.yaml:20:14 log.level: expected debug, info, warn, error; found a text of 7 characters',
    ])
    expect(found.join('\n')).not.toContain('canary')
  })

  it('name what is missing altogether', async () => {
    expect(await problemsOf('version: 1')).toEqual([
      'config.yaml:1:1 source: is missing: expected a mapping of keys',
      'config.yaml:1:1 suprsend: is missing: expected a mapping of keys',
      'config.yaml:1:1 user: is missing: expected a mapping of keys',
      'config.yaml:1:1 profile: maps nothing: expected at least one key such as $email',
    ])
  })

  it.each([
    [
      '  $push: x',
      `7:3 profile.$push: unknown key (did you mean "$androidpush"?); names that begin with $ are SuprSend's own`,
    ],
    [
      '  $phone: x',
      `7:3 profile.$phone: unknown key (did you mean "$sms"?); names that begin with $ are SuprSend's own`,
    ],
    [
      '  $fax: x',
      "7:3 profile.$fax: unknown key; known here: $email, $sms, $whatsapp, $inbox, $androidpush, $iospush, $webpush, $slack, $ms_teams, $timezone, $preferred_language, $locale; names that begin with $ are SuprSend's own",
    ],
    [
      '  $androidpush: {column: token, provider: firebase}',
      '7:43 profile.$androidpush.provider: expected fcm, xiaomi, oppo (did you mean "fcm"?)',
    ],
    [
      '  n: {column: a, format: phone}',
      '7:26 profile.n.format: expected email, e164, timezone, language, locale, trim, lower, string, number, boolean, json, iso8601; found a text of 5 characters (did you mean "e164"?)',
    ],
    ['  SS_plan: x', '7:3 profile.SS_plan: names that begin with ss_ are reserved by SuprSend'],
    ['  __proto__: x', '7:3 profile.__proto__: this name cannot be a property'],
    ['  " a": x', '7:3 profile. a: a property name must not be empty or begin or end with blanks'],
    ['  name:', "7:8 profile.name: expected a column's name or a source such as {column: name}, found nothing"],
    [
      '  name: {value: first +}',
      '7:17 profile.name.value: is no CEL expression: Unexpected token: EOF (at character 8)',
    ],
    ['  name: {column: n, region: IN}', '7:29 profile.name.region: a region only serves the format e164'],
    ['  $sms: []', '7:9 profile.$sms: expected at least one source'],
    [
      '  $sms: {column: phone, region: India}',
      '7:33 profile.$sms.region: expected an ISO 3166-1 country code such as IN, or {column: name}',
    ],
    [
      '  $sms: {const: "98765 43210"}',
      '7:17 profile.$sms.const: the constant is a national number (without +), and the mapping names no region for it',
    ],
    [
      '  $timezone: {const: EST}',
      '7:22 profile.$timezone.const: the constant is not an IANA time zone name such as Asia/Kolkata',
    ],
    ['  $locale: {const: " "}', '7:20 profile.$locale.const: the constant is empty'],
    [
      '  n: {const: 12345678901234567890}',
      '7:14 profile.n.const: this number has more digits than JavaScript holds; quote it, and it stays as it is',
    ],
    [
      '  n: {const: null}',
      '7:14 profile.n.const: expected a text, a number JavaScript holds exactly (else quote it), true, false, a list or a mapping',
    ],
    [
      '  n: {column: a, format: [trim, lowr]}',
      '7:33 profile.n.format[1]: expected email, e164, timezone, language, locale, trim, lower, string, number, boolean, json, iso8601; found a text of 4 characters (did you mean "lower"?)',
    ],
    ['  n: "${N}"', '7:6 profile.n: the environment variable N is not set'],
    ['  $email: again', '7:3 this key stands here twice'],
    [
      'state: {url: "mysql://x"}',
      '7:14 state.url: expected a URL such as postgres://user:password@host:5432/database, found a text of 9 characters',
    ],
    [
      'http: {listen: "localhost:70000"}',
      '7:16 http.listen: expected an address such as 127.0.0.1:9464, or off, found a text of 15 characters',
    ],
    [
      'reconcile: {users_per_hour: 40000}',
      '7:29 reconcile.users_per_hour: expected a whole number from 1 to 36000, or off, found a number',
    ],
    [
      'shutdown_timeout: 0s',
      '7:19 shutdown_timeout: expected a duration with its unit such as 500ms, 20s or 5m, found a text of 2 characters',
    ],
    ['log: [', '8:1 Flow sequence in block collection must be sufficiently indented and end with a ]'],
    ['log: *nowhere', '7:6 the anchor &nowhere is not defined'],
    [
      'log: {level: !secret info}',
      "7:14 there are no tags here; an expression that begins with ! is quoted: '!banned'",
    ],
    ['state: { url: ${DATABASE_URL}, schema: x }', '7:16 a variable in braces is quoted: {url: "${DATABASE_URL}"}'],
    ['state: {url: "${DATABASE_URL}", schema: ${X}}', '7:42 a variable in braces is quoted: {url: "${DATABASE_URL}"}'],
    [
      '  n: { value: coalesce(a, b, c), format: trim }',
      "7:15 a text that holds a comma is quoted in braces: {value: 'coalesce(a, b)'}",
    ],
    [
      '  n:\n    value: paid ? "a" : "b"',
      `8:12 a text that holds a colon and a blank is quoted as a whole: 'paid ? "pro" : "free"'`,
    ],
    [
      '  n: { value: paid ? "a" : "b" }',
      `7:15 a text that holds a colon and a blank is quoted as a whole: 'paid ? "pro" : "free"'`,
    ],
    ['  n: { value: "Dr " + name }', `7:21 a text that begins with a quote is quoted as a whole: '"Dr " + name'`],
    ['  n: { value: tags[0] }', "7:19 a text that holds brackets is quoted in braces: 'tags[0]'"],
    ['  n: @name', '7:6 a text that begins with a sign is quoted'],
  ])('%s', async (line, expected) => {
    expect(await problemsOfLines(line, '')).toEqual([`config.yaml:${expected}`])
  })

  it('a credential where a column is named: the key and the variable, never its text', async () => {
    const TEXT = 'canary-secret'
    const found = await problemsOf(
      `version: 1
source: {url: "\${DATABASE_URL}", table: users}
suprsend: {api_key: "\${SUPRSEND_API_KEY}"}
user: {distinct_id: "\${TOKEN}", when: 'plan != "\${TOKEN}"'}
profile:
  $slack:
    - {email_id: "\${TOKEN}", access_token: "\${TOKEN}", when: "\${TOKEN} == 1"}
    - {incoming_webhook: {url: "\${HOOK}"}}
    - {email: email, access_token: xoxb-canary, when: 'plan == "\${TOKEN}"'}
    - {incoming_webhook: {url: "https://canary.example.com/T/B"}}
  $sms: {column: phone, region: {column: "\${TOKEN}"}}
  plan: "\${TOKEN}\${NAME}"
properties: {from: "\${TOKEN:-settings}", pick: ["\${TOKEN}", "\${TOKEN}"]}
children:
  - {table: devices, user: ["\${TOKEN}"], when: "\${TOKEN}", profile: {$androidpush: token}}
  - {table: phones, user: id, when: 'a.matches("\${TOKEN}(")', profile: {$sms: number}}
`,
      { env: { ...ENV, TOKEN: TEXT, NAME: 'x', HOOK: `https://hooks.slack.com/${TEXT}` } },
    )
    const TOKEN = ' (from the environment: TOKEN)'
    const names = (meant: string) => `names a column, which stands in the file itself; a text is {const: "${meant}"}`
    const COLUMNS = 'the columns of an expression stand in the file itself; a text from the environment is quoted'
    expect(found).toEqual([
      `config.yaml:4:21 user.distinct_id: the name of a column stands in the file itself${TOKEN}`,
      `config.yaml:7:18 profile.$slack[0].email_id: ${names('${TOKEN}')}${TOKEN}`,
      `config.yaml:7:44 profile.$slack[0].access_token: ${names('${TOKEN}')}${TOKEN}`,
      `config.yaml:7:62 profile.$slack[0].when: ${COLUMNS}${TOKEN}`,
      `config.yaml:8:32 profile.$slack[1].incoming_webhook.url: ${names('${HOOK}')} (from the environment: HOOK)`,
      expect.stringContaining('config.yaml:9:36 profile.$slack[2].access_token: expected the name of a column'),
      expect.stringContaining(
        'config.yaml:10:32 profile.$slack[3].incoming_webhook.url: expected the name of a column',
      ),
      `config.yaml:11:42 profile.$sms.region.column: the name of a column stands in the file itself${TOKEN}`,
      `config.yaml:12:9 profile.plan: ${names('${TOKEN}${NAME}')} (from the environment: TOKEN, NAME)`,
      `config.yaml:13:20 properties.from: the name of a column stands in the file itself${TOKEN}`,
      `config.yaml:13:61 properties.pick[1]: picks what is picked already${TOKEN}`,
      `config.yaml:15:29 children[0].user[0]: the name of a column stands in the file itself${TOKEN}`,
      `config.yaml:15:48 children[0].when: ${COLUMNS}${TOKEN}`,
      `config.yaml:16:37 children[1].when: is no CEL expression: the pattern of matches is no RE2 expression: error parsing regexp: missing closing ) (at character 11)${TOKEN}`,
    ])
    expect(found.join('\n')).not.toContain('canary')
  })

  it('a key that stands twice hides no other problem', async () => {
    expect(await problemsOfLines('  $email: again\nlog: {level: loud}', '')).toEqual([
      'config.yaml:7:3 this key stands here twice',
      'config.yaml:8:14 log.level: expected debug, info, warn, error; found a text of 4 characters',
    ])
  })

  it.each([
    ['ftp://hub.suprsend.com'],
    ['https://user:pw@hub.suprsend.com'],
    ['https://hub.suprsend.com/?x=1'],
    ['hub.suprsend.com'],
  ])('base_url %s', async (url) => {
    const text = MINIMAL.replace('suprsend: {', `suprsend: {base_url: "${url}", `)
    expect(await problemsOf(text)).toEqual([
      `config.yaml:3:22 suprsend.base_url: expected an http or https URL without credentials and query, found a text of ${url.length} characters`,
    ])
  })

  it.each(['a.b.c', '', 'users;drop', '"open', 'a b', `"${'x'.repeat(64)}"`])('table %j', async (name) => {
    const text = MINIMAL.replace('table: users', `table: ${JSON.stringify(name)}`)
    expect((await problemsOf(text))[0]).toContain('config.yaml:2:41 source.table: expected a table as in SQL')
  })

  it.each(['', '- a', 'text'])('a file that holds %j', async (text) => {
    expect((await problemsOf(text))[0]).toMatch(
      /^config\.yaml:1:1 expected the mapping of keys that config\/suprsync\.yaml explains, found /,
    )
  })

  it('JSON that only YAML would read', async () => {
    expect(await problemsOf('{\n  "version": 1,\n}', { path: 'c.json' })).toEqual(['c.json:3:1 this is not JSON'])
  })

  it('a file that is not there: how to make one', async () => {
    const loading = loadConfig({ path: '/nowhere/suprsync.yaml', env: {}, readFile: (path) => readFile(path, 'utf8') })
    const error = await loading.catch((thrown: unknown) => thrown)
    expect(error instanceof ConfigError && error.format()).toBe(
      '/nowhere/suprsync.yaml:1:1 this file does not exist. Copy the commented example config/suprsync.yaml, or name another file with --config',
    )
  })
})
