// PostgreSQL's output text → JSON, by type. The one parser for the stream and for pages, so that both roads give the same
// value; it relies on the session settings of DESIGN §9 (DateStyle ISO, TimeZone UTC, …). No digit is ever lost:
// a number that JavaScript cannot hold exactly stays the string of its digits. Never throws, whatever the text.
import { type ArrayItems, parseArrayText } from './array-text.ts'
import type { Json } from './json.ts'
import type { ColumnType } from './row.ts'

export type ParsedValue =
  | { readonly kind: 'value'; readonly value: Json }
  | { readonly kind: 'invalid'; readonly code: string; readonly message: string }

/** Base type OIDs that are not read as their plain text. https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
export const OID = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  json: 114,
  float4: 700,
  float8: 701,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802,
} as const

/** Types that `check` refuses in a mapping: bytea and composites have no useful JSON form, unknown ones no known text. */
export function isSupported(type: ColumnType): boolean {
  if (type.kind === 'array') return type.element !== null && isSupported(type.element)
  if (type.kind === 'composite' || type.kind === 'unknown') return false
  return type.baseOid !== OID.bytea
}

export function parseValue(type: ColumnType, text: string): ParsedValue {
  if (type.kind === 'array') return parseArray(type, text)
  switch (type.baseOid) {
    case OID.bool:
      return { kind: 'value', value: text === 't' }
    case OID.int2:
    case OID.int4:
    case OID.float4:
    case OID.float8: {
      const value = Number(text)
      return Number.isFinite(value) ? { kind: 'value', value } : NOT_FINITE
    }
    case OID.int8:
      return { kind: 'value', value: exactNumber(text) }
    case OID.numeric:
      return NON_NUMBERS.has(text) ? NOT_FINITE : { kind: 'value', value: exactNumber(text) }
    case OID.json:
    case OID.jsonb:
      return parseJson(text)
    case OID.date:
    case OID.timestamp:
    case OID.timestamptz:
      return parseInstant(text, type.baseOid === OID.timestamptz)
    default:
      return { kind: 'value', value: text }
  }
}

const NOT_FINITE: ParsedValue = { kind: 'invalid', code: 'not_finite', message: 'the number is NaN or infinite' }
const NO_ISO_DATE: ParsedValue = {
  kind: 'invalid',
  code: 'not_a_calendar_date',
  message: 'the date is infinite or before year 1 and has no ISO 8601 form',
}
const NO_JSON: ParsedValue = { kind: 'invalid', code: 'invalid_json', message: 'the text is not JSON that can be read' }
const NO_ARRAY: ParsedValue = { kind: 'invalid', code: 'invalid_array', message: 'the text is not a PostgreSQL array' }
const NON_NUMBERS: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity'])

/** The number when JavaScript holds exactly these digits (trailing zeros of a fraction aside), else the text itself. */
export function exactNumber(text: string): number | string {
  let end = text.length
  if (text.includes('.')) {
    while (text.charCodeAt(end - 1) === 48) end--
    if (text.charCodeAt(end - 1) === 46) end--
  }
  const digits = end === text.length ? text : text.slice(0, end)
  const number = Number(digits)
  if (String(number) === digits && Number.isFinite(number)) return number
  return digits === '-0' ? 0 : text
}

/** `2024-01-02 03:04:05.123456+00` → `2024-01-02T03:04:05.123456Z`; microseconds stay as the server printed them. */
function parseInstant(text: string, inUtc: boolean): ParsedValue {
  const first = text.charCodeAt(0)
  // `infinity`, `-infinity`, `0044-03-15 BC`
  if (first < 48 || first > 57 || text.endsWith('BC')) return NO_ISO_DATE
  const space = text.indexOf(' ')
  if (space < 0) return { kind: 'value', value: text }
  const date = text.slice(0, space)
  if (inUtc && text.endsWith('+00')) return { kind: 'value', value: `${date}T${text.slice(space + 1, -3)}Z` }
  return { kind: 'value', value: `${date}T${text.slice(space + 1)}` }
}

/** Sixteen digits in a row may exceed 2^53, and an exponent may overflow: only such texts pay for the reviver. */
const MAY_LOSE_DIGITS = /\d[\d.]{15}|\d[eE]/

function parseJson(text: string): ParsedValue {
  try {
    const value: Json = MAY_LOSE_DIGITS.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text)
    return { kind: 'value', value }
  } catch {
    // Not JSON, or nested deeper than the stack: the `json` type checks only the first.
    return NO_JSON
  }
}

// lib.es2024 does not know the third argument yet. https://github.com/tc39/proposal-json-parse-with-source
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value
  // With an exponent (possible in `json`, never in `jsonb`) the digits are not comparable; only overflow matters.
  if (/[eE]/.test(context.source)) return Number.isFinite(value) ? value : context.source
  return exactNumber(context.source)
}

function parseArray(type: ColumnType, text: string): ParsedValue {
  const items = type.element === null ? null : parseArrayText(text, type.delimiter)
  return items === null || type.element === null ? NO_ARRAY : parseItems(items, type.element)
}

function parseItems(items: ArrayItems, element: ColumnType): ParsedValue {
  const values: Json[] = []
  for (const item of items) {
    if (item === null) {
      values.push(null)
      continue
    }
    const parsed = typeof item === 'string' ? parseValue(element, item) : parseItems(item, element)
    if (parsed.kind === 'invalid') return parsed
    values.push(parsed.value)
  }
  return { kind: 'value', value: values }
}
