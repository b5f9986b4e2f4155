// The JSON Schema for editors: the copy in config/ is fresh, every example that the loader takes fits it, and what the loader
// refuses for its shape does not. Validated by the validator that comes with the HTTP library.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the file's own syntax
import { readFileSync } from 'node:fs'
import fastify from 'fastify'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { configJsonSchema } from '../../../src/config/json-schema.ts'

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
const BASE = {
  version: 1,
  source: { url: 'postgres://localhost/app', table: 'public.users' },
  suprsend: { api_key: 'key' },
  user: { distinct_id: 'id' },
  profile: { $email: 'email' },
}

const app = fastify({
  ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, strict: false } },
})

beforeAll(async () => {
  app.post('/', { schema: { body: configJsonSchema() } }, async () => 'fits')
  await app.ready()
})

/** The first complaint, or null. */
async function complaint(file: unknown): Promise<string | null> {
  const answer = await app.inject({ method: 'POST', url: '/', payload: Object(file) })
  return answer.statusCode === 200 ? null : (answer.json() as { readonly message: string }).message
}

test('the copy in config/ is fresh: npm run -s suprsync -- schema > config/suprsync.schema.json', () => {
  expect(read('config/suprsync.schema.json')).toBe(`${JSON.stringify(configJsonSchema(), null, 2)}\n`)
})

test.each(['config/suprsync.yaml', 'config/demo.yaml'])('%s fits, and says so to editors', async (path) => {
  expect(await complaint(parse(read(path)))).toBeNull()
  expect(read(path).split('\n')[0]).toBe('# yaml-language-server: $schema=./suprsync.schema.json')
})

const examples = [...read('docs/mapping.md').matchAll(/```yaml\n(.*?)```/gs)].map(
  ([, text = ''], at) => [at + 1, text] as const,
)

test.each(examples)('example %i of docs/mapping.md fits', async (_, text) => {
  expect(await complaint({ ...BASE, ...Object(parse(text)) })).toBeNull()
})

describe('refuses', () => {
  test.each<[string, object]>([
    ['an unknown section', { sorce: {} }],
    ['an unknown key', { source: { ...BASE.source, tabel: 'x' } }],
    ['a missing key', { source: { url: 'postgres://localhost/app' } }],
    ['a key that SuprSend does not know', { profile: { $emial: 'e' } }],
    ['a reserved name', { profile: { ss_plan: 'e' } }],
    ['two of column, value and const', { profile: { n: { column: 'a', value: 'b' } } }],
    ['none of them', { profile: { n: { format: 'trim' } } }],
    ['an unknown key of a source', { profile: { n: { colum: 'a' } } }],
    ['an unknown format', { profile: { n: { column: 'a', format: 'emial' } } }],
    ['a list for a property', { profile: { n: ['a', 'b'] } }],
    ['an unknown field of a Slack value', { profile: { $slack: { email: 'e', acces_token: 't' } } }],
    ['a duration without a unit', { shutdown_timeout: 20 }],
    ['a child without its user', { children: [{ table: 't', profile: { $sms: 's' } }] }],
    ['an unknown policy', { user: { distinct_id: 'id', on_delete: 'remove' } }],
  ])('%s', async (_, sections) => {
    expect(await complaint({ ...BASE, ...sections })).not.toBeNull()
  })
})

test.each<[string, object]>([
  ['variables where numbers stand', { suprsend: { api_key: '${KEY}', max_in_flight: '${N:-64}' } }],
  ['off', { http: 'off', suprsend: { api_key: 'k', max_requests_per_second: 'off' } }],
  ['a computed id', { user: { distinct_id: { value: '"u" + id' } } }],
])('takes %s', async (_, sections) => {
  expect(await complaint({ ...BASE, ...sections })).toBeNull()
})
