// docs/mapping.md says nothing that is not so: every example loads and fits a table, every format turns its value into what
// stands beside it, and every mistake gets its message.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the file's own syntax
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import type { Config } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import { compileExpression } from '../../../src/core/expression.ts'
import { applyFormat } from '../../../src/core/formats.ts'
import { compileChildMapping, compileMapping, type Mapping } from '../../../src/core/mapping.ts'
import { FORMATS, type Format } from '../../../src/core/mapping-spec.ts'
import type { Table } from '../../../src/core/row.ts'
import { arrayOf, table, type } from '../core/column-samples.ts'

const DOC = readFileSync(new URL('../../../docs/mapping.md', import.meta.url), 'utf8')
const ENV = { DATABASE_URL: 'postgres://localhost/app', SUPRSEND_API_KEY: 'key', SLACK_BOT_TOKEN: 'xoxb-1' }
const BASE = {
  version: 1,
  source: { url: '${DATABASE_URL}', table: 'public.users' },
  suprsend: { api_key: '${SUPRSEND_API_KEY}' },
  user: { distinct_id: 'id' },
  profile: { $email: 'email' },
}

const users = table({
  id: 'int8',
  email: 'text?',
  work_email: 'text?',
  phone: 'text?',
  phone_numbers: arrayOf(type('text')),
  whatsapp_number: 'text?',
  country: 'text?',
  timezone: 'text?',
  locale: 'text?',
  name: 'text?',
  plan: 'text',
  active: 'bool',
  tags: arrayOf(type('text')),
  settings: 'jsonb?',
  created_at: 'timestamptz',
  deleted_at: 'timestamptz?',
  'Signed Up': 'timestamptz?',
  confirmed_at: 'timestamptz?',
  time_zone: 'text?',
  tier: 'int4?',
  attributes: 'jsonb?',
  fcm_token: 'text?',
  xiaomi_token: 'text?',
  apns_token: 'text?',
  slack_id: 'text?',
  slack_channel: 'text?',
  slack_webhook: 'text?',
  teams_tenant: 'text?',
  teams_user: 'text?',
  teams_chat: 'text?',
  teams_webhook: 'text?',
  push_subscription: 'jsonb?',
  push_endpoint: 'text?',
  push_key: 'text?',
  push_auth: 'text?',
})

/** The child tables of the examples. */
const CHILDREN: Readonly<Record<string, Table>> = {
  user_devices: table({ id: 'int8', user_id: 'int8', platform: 'text', token: 'text', revoked_at: 'timestamptz?' }),
  user_emails: table({ id: 'int8', user_id: 'int8', address: 'text', verified: 'bool' }),
}

/** An example is the whole file, or some of its sections. */
function load(example: unknown): Promise<Config> {
  const text = JSON.stringify({ ...BASE, ...Object(example) })
  return loadConfig({ path: 'example.yaml', env: ENV, readFile: async () => text })
}

function mappingOf(config: Config): Mapping {
  const compiled = compileMapping(config.mapping, users)
  const children = config.mapping.children.map((child, at) =>
    compileChildMapping(child, CHILDREN[child.table.name] ?? users, { users, at }),
  )
  for (const result of [compiled, ...children]) {
    if (result.kind === 'invalid') throw new Error(result.problems.map(({ message }) => message).join('\n'))
  }
  if (compiled.kind === 'invalid') throw new Error('thrown above')
  return compiled.mapping
}

const blocks = (language: string) =>
  [...DOC.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, text = '']) => text)

/** The cells of every table row whose first cell is what `first` accepts. */
function rows(first: (cell: string) => boolean, columns: number): readonly (readonly string[])[] {
  return DOC.split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1')),
    )
    .filter((cells) => cells.length === columns && first(cells[0] ?? ''))
}

const isFormat = (cell: string): cell is Format => (FORMATS as readonly string[]).includes(cell)

test('there are examples', () => {
  expect(blocks('yaml').length).toBeGreaterThanOrEqual(6)
})

test.each(blocks('yaml').map((text, at) => [at + 1, text] as const))(
  'example %i loads and fits a table',
  async (_, text) => {
    mappingOf(await load(parse(text)))
  },
)

test('the first example makes the profile that follows it', async () => {
  const values: Readonly<Record<string, string>> = {
    id: '7',
    email: 'ada@example.com',
    phone: '07700 900123',
    country: 'GB',
    timezone: 'Europe/London',
    locale: 'en_GB',
    name: ' Ada ',
    plan: 'pro',
  }
  const said = /The row `(.*?)` becomes/s.exec(DOC)?.[1]?.replaceAll('\n', ' ')
  const quoted = Object.entries({ ...values, name: "' Ada '" }).map(([name, value]) => `${name} ${value}`)
  expect(said).toBe(quoted.join(', '))
  const mapped = mappingOf(await load(parse(blocks('yaml')[0] ?? ''))).map(
    users.wanted.map(({ name }) => values[name] ?? null),
  )
  if (mapped.kind !== 'user') throw new Error('the example is no user')
  const { channels, properties } = mapped.profile
  expect({ ...channels, ...properties }).toEqual(JSON.parse(blocks('json')[0] ?? ''))
  expect(mapped).toMatchObject({ distinctId: '7', reasons: [] })
})

test('every format does what its row says', () => {
  const said = rows(isFormat, 4)
  expect(said.map(([format]) => format).sort()).toEqual([...FORMATS].sort())
  for (const [format = '', , from = '', becomes = ''] of said) {
    if (!isFormat(format)) throw new Error(format)
    expect(applyFormat(format, JSON.parse(from), { region: null })).toEqual({
      kind: 'value',
      value: JSON.parse(becomes),
    })
  }
})

test('what fails a format fails with the reason given', () => {
  const said = rows(isFormat, 3)
  expect(said).toHaveLength(9)
  for (const [format = '', value = '', code = ''] of said) {
    if (!isFormat(format)) throw new Error(format)
    expect(applyFormat(format, JSON.parse(value), { region: 'GB' })).toMatchObject({ kind: 'invalid', code })
  }
})

const functions = rows((cell) => /[(.=]/.test(cell) && !/^(profile|user): /.test(cell), 3).filter(([, row = '']) =>
  row.startsWith('{'),
)

test.each(functions)('the expression %s of %s', (expression, row, gives) => {
  const compiled = compileExpression(expression ?? '', users)
  if (compiled.kind === 'invalid') throw new Error(compiled.message)
  const values = JSON.parse(row ?? '') as Record<string, string>
  const evaluated = compiled.evaluate(users.wanted.map(({ name }) => values[name] ?? null))
  expect(evaluated).toEqual({ kind: 'value', value: JSON.parse(gives ?? '') })
})

test('every function of ours is shown', () => {
  expect(functions.length).toBe(12)
  for (const name of ['trim', 'lower', 'upper', 'split', 'join', 'replace', 'e164', 'coalesce', 'json']) {
    expect(
      functions.some(([expression = '']) => expression.startsWith(`${name}(`)),
      name,
    ).toBe(true)
  }
})

const mistakes = rows((cell) => /^(profile|user): \{/.test(cell), 2)

test.each(mistakes)('a mistake is answered: %s', async (text, answer) => {
  const error = await load(parse(text)).catch((thrown: unknown) => thrown)
  if (!(error instanceof ConfigError)) throw new Error(`${text} was accepted`)
  expect(error.format()).toContain(answer)
})

test('every mistake of the table is tried', () => {
  expect(mistakes).toHaveLength(16)
})
