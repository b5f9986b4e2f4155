// What the file may hold, apart from `profile` (profile-schema.ts): keys, defaults and their readers. Unknown keys are
// errors everywhere. A later key is one more line in its section.
import { z } from 'zod'
import { LOG_LEVELS } from '../core/logger.ts'
import { propertyNameProblem } from '../core/mapping-object.ts'
import type { DistinctId } from '../core/mapping-spec.ts'
import { RECOVERIES } from '../core/start-decision.ts'
import { isPostgresUrl, parseBaseUrl, parseListen } from './address.ts'
import { parseApiKey } from './api-key.ts'
import { FIRST_CONTACTS, type HttpConfig } from './config.ts'
import { OR_OFF } from './json-shape.ts'
import {
  choice,
  columnName,
  duration,
  flag,
  identifier,
  integer,
  parseDuration,
  parseSize,
  readInteger,
  readText,
  scalar,
  slotName,
  text,
} from './scalar.ts'
import { Secret } from './secret.ts'
import { expression, oneOrMore } from './source-schema.ts'
import { parseTableName } from './table-name.ts'

const DEFAULT_LISTEN: HttpConfig = { host: '127.0.0.1', port: 9464 }

const postgresUrl = scalar('a URL such as postgres://user:password@host:5432/database', (input) => {
  const url = readText(input)
  return url !== null && isPostgresUrl(url) ? new Secret(url) : null
})

const tableName = scalar('a table as in SQL, such as public.users or public."App Users"', (input) =>
  typeof input === 'string' ? parseTableName(input) : null,
)

const source = z.strictObject({
  url: postgresUrl,
  table: tableName,
  slot: slotName.optional(),
  publication: identifier.default('suprsync'),
  create: flag.default(true),
})

const state = z.strictObject({
  url: postgresUrl.optional(),
  schema: identifier.default('suprsync'),
})

const NUMBER_OR_OFF = {
  anyOf: [{ type: 'integer', minimum: 1, maximum: 100_000 }, { type: 'string' }, { const: false }],
}

const suprsend = z
  .strictObject({
    // Exactly one of the two, which readApiKey sees to.
    api_key: scalar('an API key', parseApiKey).optional(),
    api_key_file: text('the path of a file that holds the API key').optional(),
    base_url: scalar('an http or https URL without credentials and query', (input) =>
      typeof input === 'string' ? parseBaseUrl(input.trim()) : null,
    ).default('https://hub.suprsend.com'),
    first_contact: choice(FIRST_CONTACTS).default('upsert'),
    max_in_flight: integer({ min: 1, max: 10_000 }).default(64),
    max_requests_per_second: scalar(
      'a whole number from 1 to 100000, or off',
      (input) => {
        if (isOff(input)) return { limit: null }
        const limit = readInteger(input)
        return limit !== null && limit >= 1 && limit <= 100_000 ? { limit } : null
      },
      NUMBER_OR_OFF,
    ).default({ limit: 100 }),
    give_up_after: scalar(
      'a duration with its unit such as 30m or 24h, or off',
      (input) => {
        if (isOff(input)) return { afterMs: null }
        const afterMs = typeof input === 'string' ? parseDuration(input) : null
        return afterMs === null ? null : { afterMs }
      },
      { anyOf: [{ type: 'string' }, { const: false }] },
    ).default({ afterMs: null }),
    connect_timeout: duration.default(5_000),
    headers_timeout: duration.default(15_000),
    body_timeout: duration.default(15_000),
  })
  .meta({ oneOf: [{ required: ['api_key'] }, { required: ['api_key_file'] }] })

const backfill = z.strictObject({
  max_rows_per_second: scalar(
    'a whole number from 1 to 1000000, or off',
    (input) => {
      if (isOff(input)) return { limit: null }
      const limit = readInteger(input)
      return limit !== null && limit >= 1 && limit <= 1_000_000 ? { limit } : null
    },
    { anyOf: [{ type: 'integer', minimum: 1, maximum: 1_000_000 }, { type: 'string' }, { const: false }] },
  ).default({ limit: null }),
})

const http = z.strictObject({
  listen: scalar(
    'an address such as 127.0.0.1:9464, or off',
    (input) => {
      if (isOff(input)) return { address: null }
      const address = typeof input === 'string' ? parseListen(input) : null
      return address === null ? null : { address }
    },
    { anyOf: [{ type: 'string' }, { const: false }] },
  ).default({ address: DEFAULT_LISTEN }),
})

const readDistinctId = z.unknown().transform((input, context): DistinctId => {
  const source = typeof input === 'string' ? { column: input } : input
  const read = distinctIdSource.safeParse(source, { reportInput: true })
  if (read.success) {
    const { column, value } = read.data
    if (column !== undefined && value === undefined) return { kind: 'column', column }
    if (value !== undefined && column === undefined) return { kind: 'value', expression: value }
  } else {
    for (const issue of read.error.issues) {
      if (issue.code === 'custom') context.issues.push({ ...issue, input, code: 'custom' })
    }
    if (read.error.issues.some(({ code }) => code === 'custom')) return z.NEVER
  }
  context.issues.push({ code: 'custom', input, message: "expected a column's name, {column: name} or {value: CEL}" })
  return z.NEVER
})
/** In parts: which of the two it is stands in readDistinctId. */
const distinctIdSource = z.strictObject({ column: columnName.optional(), value: expression.optional() })

const distinctId = readDistinctId.meta({
  description: 'the column that identifies the user in SuprSend, or {value: CEL}',
  anyOf: [
    { type: 'string' },
    { type: 'object', properties: { column: { type: 'string' } }, required: ['column'], additionalProperties: false },
    { type: 'object', properties: { value: { type: 'string' } }, required: ['value'], additionalProperties: false },
  ],
})

const user = z.strictObject({
  distinct_id: distinctId,
  when: expression.optional(),
  on_delete: choice(['delete', 'clear', 'keep']).default('delete'),
})

const propertyName = z
  .unknown()
  .transform((input, context): string => {
    const problem = typeof input === 'string' ? propertyNameProblem(input) : 'expected the name of a property'
    if (problem === null && typeof input === 'string') return input
    context.issues.push({ code: 'custom', input, message: problem ?? '' })
    return z.NEVER
  })
  .meta({ type: 'string' })

/** `properties`, one or a list of them. */
export const propertiesSchema = oneOrMore(
  z.strictObject({ from: columnName, pick: oneOrMore(propertyName).optional() }),
)

/** One of `children`; its `profile` and `properties` are read as the users table's are. */
export const childSchema = z.strictObject({
  table: tableName,
  user: oneOrMore(columnName),
  when: expression.optional(),
  profile: z.record(z.string(), z.unknown()).optional(),
  properties: z.unknown().optional(),
})

const reconcile = z.strictObject({
  users_per_hour: scalar(
    'a whole number from 1 to 36000, or off',
    (input) => {
      if (isOff(input)) return { limit: null }
      const limit = readInteger(input)
      return limit !== null && limit >= 1 && limit <= 36_000 ? { limit } : null
    },
    { anyOf: [{ type: 'integer', minimum: 1, maximum: 36_000 }, { type: 'string' }, { const: false }] },
  ).default({ limit: null }),
})

const breaker = z.strictObject({
  share: scalar(
    'a share such as 0.1, above 0 and at most 1, or off',
    (input) => {
      if (isOff(input)) return { limit: null }
      const limit = typeof input === 'number' ? input : Number(readText(input) ?? Number.NaN)
      return limit > 0 && limit <= 1 ? { limit } : null
    },
    { anyOf: [{ type: 'number', exclusiveMinimum: 0, maximum: 1 }, { type: 'string' }, { const: false }] },
  ).default({ limit: 0.1 }),
  min_users: integer({ min: 1, max: 1_000_000_000 }).default(100),
  window: duration.default(600_000),
})

const safety = z.strictObject({
  breaker: z
    .preprocess((input) => (isOff(input) ? { share: 'off' } : input), breaker)
    .meta({ [OR_OFF]: true })
    .prefault({}),
  max_retained_wal: scalar(
    'a size with its unit such as 500MB or 20GB, or off',
    (input) => {
      if (isOff(input)) return { limit: null }
      const limit = typeof input === 'string' ? parseSize(input) : null
      return limit === null ? null : { limit }
    },
    { anyOf: [{ type: 'string', pattern: '^\\d+\\s*(MB|GB|TB)$|^off$|\\$\\{' }, { const: false }] },
  ).default({ limit: null }),
})

export const configSchema = z.strictObject({
  version: scalar('1, the version of this file format', (input) => (readInteger(input) === 1 ? 1 : null), {
    enum: [1, '1'],
  }),
  source,
  state: state.prefault({}),
  suprsend,
  http: z
    .preprocess((input) => (isOff(input) ? { listen: 'off' } : input), http)
    .meta({ [OR_OFF]: true })
    .prefault({}),
  user,
  profile: z.record(z.string(), z.unknown()).default({}),
  properties: z.unknown().optional(),
  children: z
    .array(z.unknown(), { error: 'expected a list of child tables, each with table, user and profile' })
    .default([]),
  backfill: backfill.prefault({}),
  reconcile: z
    .preprocess((input) => (isOff(input) ? { users_per_hour: 'off' } : input), reconcile)
    .meta({ [OR_OFF]: true })
    .prefault({}),
  delivery: z.strictObject({ stuck_after: duration.default(60_000) }).prefault({}),
  recovery: choice(RECOVERIES).default('auto'),
  safety: safety.prefault({}),
  shutdown_timeout: duration.default(20_000),
  log: z.strictObject({ level: choice(LOG_LEVELS).default('info') }).prefault({}),
})

export type ConfigFile = z.output<typeof configSchema>

/** YAML 1.2 reads `off` as a text, JSON has only false. */
function isOff(input: unknown): boolean {
  return input === 'off' || input === false
}
