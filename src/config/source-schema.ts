// What one source may say: `{column | value | const, format, region, when, default, map, provider, bundle_id, exclusive}`,
// each key with its reader. What fits this schema but not its profile key is found in profile-source.ts.
import { z } from 'zod'
import { expressionProblem, parseExpression } from '../core/expression.ts'
import type { Json } from '../core/json.ts'
import { FORMATS, type TextSource } from '../core/mapping-spec.ts'
import { isRegion } from '../core/phone.ts'
import { constant } from './constant.ts'
import { ONE_OR_MORE } from './json-shape.ts'
import { shapeOf } from './problem.ts'
import { isRecord } from './record.ts'
import { choice, flag, readColumnName, readText, sourceColumn } from './scalar.ts'

const readExpression = z.unknown().transform((input, context): string => {
  const text = readText(input)
  const parsed = text === null ? null : parseExpression(text)
  if (text !== null && parsed?.kind === 'ok') return text
  const message =
    parsed?.kind === 'invalid'
      ? `is no CEL expression: ${expressionProblem(parsed)}`
      : 'expected a CEL expression such as deleted_at == null'
  context.issues.push({ code: 'custom', input, message })
  return z.NEVER
})

export const expression = readExpression.meta({ type: 'string', description: 'CEL over the columns of the row' })

/** A constant that `read` takes, or `{column: name}`. */
function textOrColumn(expected: string, read: (text: string) => string | null) {
  const schema = z.unknown().transform((input, context): TextSource => {
    const value = typeof input === 'string' ? read(input.trim()) : null
    if (value !== null) return { kind: 'const', value }
    const column = isRecord(input) && Object.keys(input).length === 1 ? readColumnName(input.column) : null
    if (column !== null) return { kind: 'column', column }
    context.issues.push({ code: 'custom', input, message: `expected ${expected}, or {column: name}` })
    return z.NEVER
  })
  const column = { type: 'object', properties: { column: { type: 'string' } }, required: ['column'] }
  return schema.meta({ description: expected, anyOf: [{ type: 'string' }, { ...column, additionalProperties: false }] })
}

const readMap = z.unknown().transform((input, context): ReadonlyMap<string, Json> => {
  const entries = isRecord(input) ? Object.entries(input) : []
  if (entries.length === 0) {
    const message = 'expected a mapping from values to what becomes of them, such as {0: free, 1: pro}'
    context.issues.push({ code: 'custom', input, message })
    return z.NEVER
  }
  return new Map(
    entries.map(([from, to]) => {
      const read = constant.safeParse(to)
      if (read.success) return [from, read.data]
      for (const { message } of read.error.issues)
        context.issues.push({ code: 'custom', input: to, path: [from], message })
      return [from, null]
    }),
  )
})

const valueMap = readMap.meta({
  type: 'object',
  minProperties: 1,
  description: "from the value's text to what stands for it",
})

/** A single one stands for a list of one. */
export function oneOrMore<S extends z.ZodType>(item: S) {
  const list = z.array(item).min(1, { error: 'expected at least one' })
  return z.preprocess((input) => (Array.isArray(input) ? input : [input]), list).meta({ [ONE_OR_MORE]: true })
}

export const KINDS = ['column', 'value', 'const'] as const

const SOURCE_KEYS = {
  column: sourceColumn.optional(),
  value: expression.optional(),
  const: constant.meta({ description: 'the same for everybody' }).optional(),
  format: oneOrMore(choice(FORMATS)).optional(),
  region: textOrColumn('an ISO 3166-1 country code such as IN', (text) => {
    const code = text.toUpperCase()
    return isRegion(code) ? code : null
  }).optional(),
  when: expression.optional(),
  default: constant.meta({ description: 'in the place of NULL' }).optional(),
  map: valueMap.optional(),
  provider: textOrColumn('the name of a provider such as fcm', (text) => text.toLowerCase() || null).optional(),
  bundle_id: textOrColumn('a bundle id such as com.example.app', (text) => text || null).optional(),
  exclusive: flag.optional(),
}

export const plainSource = z
  .strictObject(SOURCE_KEYS, {
    error: ({ code, input }) =>
      code === 'invalid_type'
        ? `expected a column's name or a source such as {column: name}, found ${shapeOf(input)}`
        : undefined,
  })
  .refine((source) => KINDS.filter((kind) => source[kind] !== undefined).length === 1, {
    message: 'needs exactly one of column, value and const',
    // Also where another key is wrong, for all problems are reported at once; but not where that is the missing one.
    when: ({ value, issues }) =>
      isRecord(value) &&
      !issues.some(({ code, path }) => code === 'unrecognized_keys' || KINDS.some((kind) => path?.[0] === kind)),
  })

/** A column's name stands for a source. */
export const sourceSchema = z.preprocess(
  (input) => (typeof input === 'string' ? { column: input } : input),
  plainSource,
)

export type ParsedSource = z.output<typeof plainSource>
