// Channels whose values are objects, field by field: `$slack: {email: …, access_token: …}`. Each field is a source of its own;
// what they make together is tried out with samples for those that come of the row, so that a missing field is said now.
import { z } from 'zod'
import { checkChannelValue, OBJECT_FIELDS } from '../core/channel-shape.ts'
import type { Json } from '../core/json.ts'
import type { Source } from '../core/mapping-spec.ts'
import type { ChannelKey } from '../core/profile.ts'
import type { Path } from './document.ts'
import { formatConstant } from './format-constant.ts'
import { parseSection } from './issues.ts'
import { type Constant, constantsOf, type ReadItem, type Reading, sourceFrom } from './read-source.ts'
import { isRecord } from './record.ts'
import { flag } from './scalar.ts'
import { expression, KINDS, sourceSchema } from './source-schema.ts'

/** With what a field that comes of the row is tried out, so that the others and the combination can be. */
const SAMPLES: ReadonlyMap<string, Json> = new Map<string, Json>([
  ['email', 'ada@example.com'],
  ['user_id', 'U012'],
  ['channel_id', 'C012'],
  ['access_token', 'xoxb-1'],
  ['incoming_webhook', 'https://example.com/hook'],
  ['tenant_id', 'tenant'],
  ['service_url', 'https://smba.trafficmanager.net/'],
  ['conversation_id', 'conversation'],
  ['endpoint', 'https://example.com/push'],
  ['keys.p256dh', 'key'],
  ['keys.auth', 'auth'],
  ['expirationTime', 1],
])
/** The seed's and older names. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['email_id', 'email'],
  ['channel', 'channel_id'],
])

function topFields(key: ChannelKey): readonly string[] {
  return [...new Set((OBJECT_FIELDS[key] ?? []).map((field) => field.split('.')[0] ?? field))]
}

export function isFieldForm(key: ChannelKey, value: unknown): value is { readonly [key: string]: unknown } {
  return isRecord(value) && topFields(key).some((field) => Object.hasOwn(value, field))
}

export function readFields(
  key: ChannelKey,
  value: { readonly [key: string]: unknown },
  at: Path,
  reading: Reading,
): ReadItem | null {
  const { report, names: columns } = reading
  if (KINDS.some((kind) => Object.hasOwn(value, kind))) {
    report(at, `is either one source (${KINDS.join(', ')}) or its fields one by one, not both`)
    return null
  }
  const names = topFields(key)
  const shape = Object.fromEntries(names.map((name) => [name, membersSchema(name, value[name])]))
  const schema = z.strictObject({ ...shape, when: expression.optional(), exclusive: flag.optional() })
  const parsed = parseSection({ schema, value, base: at, report })
  columns.inExpression(parsed?.when, [...at, 'when'])
  const fields = new Map<string, Source>()
  const tried = new Map<string, Json>()
  const constants: (Constant & { readonly field: string })[] = []
  let isWhole = parsed !== null
  for (const [name, path, given] of spread(value, names)) {
    const field = columns.refuses(given, [...at, ...path])
      ? null
      : parseSection({ schema: sourceSchema, value: given, base: [...at, ...path], report })
    if (field === null) {
      isWhole = false
      continue
    }
    for (const extra of ['provider', 'bundle_id', 'exclusive'] as const) {
      if (field[extra] !== undefined) report([...at, ...path, extra], `a field of ${key} has no ${extra}`)
    }
    const target = RENAMED.get(name) ?? name
    if (fields.has(target)) report([...at, ...path], `is "${target}", which stands here already`)
    const source = sourceFrom(field, field.format ?? [], [...at, ...path], reading)
    fields.set(target, source)
    tried.set(target, SAMPLES.get(target) ?? null)
    for (const constant of constantsOf(field)) {
      const formatted = formatConstant(constant.value, source)
      if (formatted.kind === 'invalid') {
        report([...at, ...path, ...constant.path], `${constant.what} is ${formatted.message}`)
        isWhole = false
      } else if (formatted.kind === 'value')
        constants.push({ ...constant, value: formatted.value, path: [...path, ...constant.path], field: target })
    }
  }
  if (!isWhole || parsed === null) return null
  const checked = checkChannelValue(key, nested(tried))
  if (checked.kind === 'invalid') report(at, `is no value of ${key}: ${checked.message}`)
  // Each by itself: a problem of one hides none of another.
  for (const { field, value: constant, path, what } of checked.kind === 'invalid' ? [] : constants) {
    const made = checkChannelValue(key, nested(new Map([...tried, [field, constant]])))
    if (made.kind === 'invalid') report([...at, ...path], `${what} makes no value of ${key}: ${made.message}`)
  }
  const source: Source = {
    from: { kind: 'object', fields },
    ...{
      when: parsed.when ?? null,
      map: null,
      default: null,
      formats: [],
      region: null,
      provider: null,
      bundleId: null,
    },
  }
  return { source, isExclusive: parsed.exclusive ?? false }
}

/** What a field that is a mapping and no source may hold. */
function membersSchema(name: string, given: unknown): z.ZodType {
  if (name === 'keys' && isRecord(given)) return z.strictObject({ p256dh: z.unknown(), auth: z.unknown() }).partial()
  return isWebhookObject(name, given) ? z.strictObject({ url: z.unknown() }) : z.unknown().optional()
}

function isWebhookObject(name: string, given: unknown): given is { readonly url: unknown } {
  return name === 'incoming_webhook' && isRecord(given) && Object.hasOwn(given, 'url')
}

/** Each field with its path in the file: `keys: {auth: …}` is `keys.auth`, `incoming_webhook: {url: …}` the webhook itself. */
function* spread(
  value: { readonly [key: string]: unknown },
  names: readonly string[],
): Generator<readonly [string, Path, unknown]> {
  for (const name of names) {
    if (!Object.hasOwn(value, name)) continue
    const given = value[name]
    if (name === 'keys' && isRecord(given)) {
      for (const [member, source] of Object.entries(given)) yield [`keys.${member}`, [name, member], source]
    } else if (isWebhookObject(name, given)) yield [name, [name, 'url'], given.url]
    else yield [name, [name], given]
  }
}

function nested(fields: ReadonlyMap<string, Json>): Json {
  const value: Record<string, Json> = {}
  const keys: Record<string, Json> = {}
  for (const [name, field] of fields) {
    const [first = name, member] = name.split('.')
    if (member === undefined) value[first] = field
    else keys[member] = field
  }
  return Object.keys(keys).length > 0 ? { ...value, keys } : value
}
