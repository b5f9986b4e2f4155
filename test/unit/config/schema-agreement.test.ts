// What an editor says of a file, by the JSON Schema, and what the loader says of it, tried on files made at random of what the
// language has and of near misses: the editor never objects to what the loader takes, and never stays silent on a mistake of shape.
// Left to the loader are CEL, variables, constants against formats, and what two keys say of one another.
import fc from 'fast-check'
import fastify from 'fastify'
import { beforeAll, expect, test } from 'vitest'
import { configJsonSchema } from '../../../src/config/json-schema.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import { FORMATS } from '../../../src/core/mapping-spec.ts'

const RUNS = 2_000

const app = fastify({
  ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, strict: false } },
})

beforeAll(async () => {
  app.post('/', { schema: { body: configJsonSchema() } }, async () => 'fits')
  await app.ready()
})

async function editorObjects(file: object): Promise<string | null> {
  const answer = await app.inject({ method: 'POST', url: '/', payload: file })
  return answer.statusCode === 200 ? null : (answer.json() as { readonly message: string }).message
}

async function loaderObjects(file: object): Promise<readonly string[]> {
  const text = JSON.stringify(file)
  const readFile = async (path: string) => (path === 'f.json' ? text : 'key')
  const error = await loadConfig({ path: 'f.json', env: {}, readFile }).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (error !== null && !(error instanceof ConfigError)) throw error
  return error?.problems.map(({ path, message }) => `${path}: ${message}`) ?? []
}

const wrong = fc.constantFrom<unknown>(null, 5, true, '', [], {}, [[]], 'nonsense words', { column: 'c' }, ['a'])
/** Mostly what belongs there. */
const or = (right: fc.Arbitrary<unknown>) => fc.oneof({ weight: 30, arbitrary: right }, { weight: 1, arbitrary: wrong })
const column = or(fc.constantFrom('email', 'name', 'Full Name', 'ü', 'a.b', 'x'.repeat(63)))
const expression = or(fc.constantFrom('name', 'a + "b"', 'x.y == null', 'a ? b : null'))
const flag = or(fc.constantFrom<unknown>(true, false, 'true', 'yes'))
const text = or(fc.oneof(column, fc.record({ column })))
const constant = or(
  fc.constantFrom<unknown>('a', 1, 1.5, true, ['a', 1], { a: { b: [null] } }, 'ada@example.com', 'UTC', 'en'),
)
const format = or(
  fc.oneof(fc.constantFrom(...FORMATS), fc.constant('emial'), fc.array(fc.constantFrom(...FORMATS), { maxLength: 3 })),
)

const sourceObject = fc.record(
  {
    ...{
      column,
      value: expression,
      const: constant,
      format,
      region: or(fc.constantFrom<unknown>('IN', 'gb', { column: 'c' })),
    },
    ...{ when: expression, default: constant, map: or(fc.dictionary(fc.constantFrom('a', '1', ' '), constant)) },
    ...{ provider: or(fc.constantFrom('fcm', 'xiaomi', 'apns')), bundle_id: text, exclusive: flag, colum: column },
  },
  { requiredKeys: [] },
)
/** With one place where the value comes from, as most have. */
const source = fc.oneof(
  column,
  fc
    .tuple(sourceObject, column)
    .map(([{ value: _, const: __, colum: ___, ...rest }, name]) => ({ ...rest, column: name })),
  sourceObject,
)
const fields = fc.record(
  {
    ...{
      email: source,
      user_id: source,
      channel_id: source,
      access_token: source,
      tenant_id: source,
      service_url: source,
    },
    ...{ incoming_webhook: fc.oneof(source, fc.record({ url: source })), endpoint: source },
    ...{ keys: fc.oneof(source, fc.record({ p256dh: source, auth: source }, { requiredKeys: [] })) },
    ...{ when: expression, exclusive: flag, emial: source, expirationTime: source },
  },
  { requiredKeys: [] },
)
const key = fc.constantFrom(
  ...['$email', '$sms', '$whatsapp', '$inbox', '$androidpush', '$iospush', '$webpush', '$slack', '$ms_teams'],
  ...[
    '$timezone',
    '$preferred_language',
    '$locale',
    'name',
    'first name',
    'constructor',
    'Ünï',
    '$emial',
    '$',
    'ss_a',
    'SS_b',
  ],
  ...['', ' a', 'a ', 'ss', 'x'.repeat(255), 'x'.repeat(256), '\ta', 'a\nb', '__proto__', '\u00a0a', 'a\u2003'],
)
const profile = fc.dictionary(key, fc.oneof(source, fields, fc.array(fc.oneof(source, fields), { maxLength: 3 })), {
  minKeys: 1,
  maxKeys: 1,
})
const pick = or(fc.oneof(key, fc.array(key, { maxLength: 3 })))
const property = fc.record({ from: column, pick }, { requiredKeys: ['from'] })
const properties = or(fc.oneof(property, fc.array(property, { maxLength: 2 })))
const child = fc.record(
  {
    table: or(fc.constantFrom('devices', 'public."User Devices"')),
    ...{ user: or(fc.oneof(column, fc.array(column, { maxLength: 2 }))), when: expression, profile, properties },
  },
  { requiredKeys: ['table', 'user', 'profile'] },
)
const duration = or(fc.constantFrom('20s', '1.5m', '5 h', '100ms', '0s', '1d', '.5s', '1.s', '1..5s', '999999h'))
const limit = or(fc.constantFrom<unknown>('off', false, 10, '10', 0, 1e9, 1.5))
const settings = fc.record(
  {
    ...{
      shutdown_timeout: duration,
      http: or(fc.constantFrom<unknown>('off', false, { listen: 'off' }, { listen: '[::1]:0' })),
    },
    backfill: fc.record({ max_rows_per_second: limit }, { requiredKeys: [] }),
    reconcile: or(fc.oneof(fc.constantFrom<unknown>('off', false), fc.record({ users_per_hour: limit }))),
    delivery: fc.record({ stuck_after: duration }, { requiredKeys: [] }),
    recovery: or(fc.constantFrom('auto', 'manual')),
    safety: fc.record(
      {
        breaker: or(
          fc.oneof(
            fc.constantFrom<unknown>('off', false),
            fc.record({ share: limit, window: duration }, { requiredKeys: [] }),
          ),
        ),
        max_retained_wal: or(fc.constantFrom<unknown>('off', false, '20GB', '5 MB', '0MB', '5KB')),
      },
      { requiredKeys: [] },
    ),
    log: fc.record({ level: or(fc.constantFrom('info', 'debug', 'loud')) }, { requiredKeys: [] }),
    state: fc.record(
      { schema: or(fc.constantFrom('s', 'Any "Name"')), url: fc.constant('postgres://h/d') },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
)
const suprsend = fc.record(
  {
    ...{ api_key: fc.constant('key'), api_key_file: or(fc.constantFrom('key', '/run/secrets/key')) },
    ...{ max_requests_per_second: limit, connect_timeout: duration, max_in_flight: limit },
  },
  { requiredKeys: [] },
)
const user = fc.record(
  {
    distinct_id: or(fc.oneof(column, fc.record({ column }), fc.record({ value: expression }))),
    ...{ when: expression, on_delete: or(fc.constantFrom('keep', 'delete', 'clear')) },
  },
  { requiredKeys: ['distinct_id'] },
)
const BASE = {
  version: 1,
  source: { url: 'postgres://localhost/app', table: 'public.users' },
  suprsend: { api_key: 'key' },
  user: { distinct_id: 'id' },
  profile: { plan: 'plan' },
}
/** One part at a time is made: of a file that is wrong in five places the two always say that it is wrong. */
const file = fc
  .oneof(
    { weight: 6, arbitrary: fc.record({ profile }) },
    fc.record({ properties }),
    fc.record({ children: or(fc.array(child, { minLength: 1, maxLength: 1 })) }),
    fc.record({ suprsend }),
    fc.record({ user }),
    fc.record({ version: or(fc.constantFrom<unknown>(1, '1', 2)) }),
    { weight: 2, arbitrary: settings },
  )
  .map((part) => ({ ...BASE, ...part }))

/** Of the loader's complaints those that only say what a schema cannot. */
const BEYOND = new RegExp(
  [
    ...[
      'CEL',
      'the constant',
      'the default',
      'what stands for it',
      'only serves',
      'have providers',
      'has a bundle',
      'can be exclusive',
    ],
    ...[
      'expected (fcm|apns)',
      'is no value of',
      'not both',
      'picks',
      'no child of itself',
      'is this table already',
      'which stands here',
    ],
    ...[
      'has no (provider|bundle_id|exclusive)',
      'a constant has no map',
      'gives it as well',
      'maps nothing',
      'name of a column',
      'ISO 3166',
    ],
    ...[
      'a table as in SQL',
      'a name of at most',
      'name of a provider',
      'a bundle id',
      'a number JavaScript holds',
      'with its unit',
      'or off',
    ],
    ...['property', 'reserved by', "SuprSend's own", 'a whole number', 'can give', 'one table'],
  ].join('|'),
)

test('the editor objects to nothing that the loader takes, and to every mistake of shape', async () => {
  let taken = 0
  await fc.assert(
    fc.asyncProperty(file, async (made) => {
      const [objections, editor] = [await loaderObjects(made), await editorObjects(made)]
      if (objections.length === 0) {
        taken += 1
        expect(editor).toBeNull()
      } else if (editor === null) expect(objections.filter((objection) => !BEYOND.test(objection))).toEqual([])
    }),
    { numRuns: RUNS },
  )
  // Else it would show nothing.
  expect(taken).toBeGreaterThan(RUNS / 8)
}, 60_000)
