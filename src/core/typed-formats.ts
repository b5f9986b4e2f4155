// The formats that change what kind of JSON a value is: text, number, boolean, parsed JSON, ISO 8601. Each gives the value,
// or the reason why it is none; a list is formatted item by item. No message holds the value (P8). Pure, without a clock.
import type { Json } from './json.ts'
import { isDeeperThan } from './json-text.ts'
import type { ColumnType } from './row.ts'
import { exactNumber, parseValue } from './values.ts'

export type TypedFormat = 'string' | 'number' | 'boolean' | 'json' | 'iso8601'

export type Typed =
  | { readonly kind: 'value'; readonly value: Json }
  | { readonly kind: 'invalid'; readonly code: string; readonly message: string }

export function applyTypedFormat(format: TypedFormat, value: Json): Typed {
  if (format === 'json') return parsed(value)
  if (!Array.isArray(value)) return single(format, value)
  const items: Json[] = []
  for (const item of value) {
    const typed = item === null ? { kind: 'value' as const, value: null } : single(format, item)
    if (typed.kind === 'invalid') return typed
    items.push(typed.value)
  }
  return { kind: 'value', value: items }
}

function single(format: Exclude<TypedFormat, 'json'>, value: Json): Typed {
  switch (format) {
    case 'string':
      if (typeof value === 'string') return { kind: 'value', value }
      // After `json` it may be a text's own JSON, of any depth, and writing it recurses.
      return isDeeperThan(value, MAX_DEPTH) ? TOO_DEEP : { kind: 'value', value: JSON.stringify(value) }
    case 'number':
      return numeric(value)
    case 'boolean':
      return truth(value)
    case 'iso8601':
      return instant(value)
  }
}

function invalid(format: TypedFormat, message: string): Typed {
  return { kind: 'invalid', code: `invalid_${format}`, message }
}

const MAX_DEPTH = 32
const TOO_DEEP: Typed = {
  kind: 'invalid',
  code: 'invalid_text',
  message: 'nested too deep to be written as a text',
}

/** Digits that JavaScript cannot hold exactly stay text, as a bigint column's do. */
function numeric(value: Json): Typed {
  if (typeof value === 'number') return { kind: 'value', value }
  const text = typeof value === 'string' ? value.trim() : null
  if (text === '') return { kind: 'value', value: null }
  if (text === null || !/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) return NO_NUMBER
  if (/[eE]/.test(text)) {
    const number = Number(text)
    return Number.isFinite(number) ? { kind: 'value', value: number } : NO_NUMBER
  }
  const plain = text
    .replace(/^\+/, '')
    .replace(/^(-?)0+(?=\d)/, '$1')
    .replace(/^(-?)\./, '$10.')
    .replace(/\.$/, '')
  return { kind: 'value', value: exactNumber(plain) }
}

const NO_NUMBER = invalid('number', 'not a number such as 42 or -1.5')

const TRUE: ReadonlySet<string> = new Set(['true', 't', 'yes', 'y', 'on', '1'])
const FALSE: ReadonlySet<string> = new Set(['false', 'f', 'no', 'n', 'off', '0'])

/** As PostgreSQL reads a boolean. https://www.postgresql.org/docs/current/datatype-boolean.html */
function truth(value: Json): Typed {
  if (typeof value === 'boolean') return { kind: 'value', value }
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim().toLowerCase() : null
  if (text === '') return { kind: 'value', value: null }
  if (text !== null && TRUE.has(text)) return { kind: 'value', value: true }
  if (text !== null && FALSE.has(text)) return { kind: 'value', value: false }
  return invalid('boolean', 'neither true nor false, yes nor no, 1 nor 0')
}

const JSON_TYPE: ColumnType = {
  ...{ oid: 114, name: 'json', baseOid: 114, baseName: 'json' },
  ...{ kind: 'base', element: null, delimiter: ',' },
}

/** JSON in a text column. What is no text is JSON already. */
function parsed(value: Json): Typed {
  if (typeof value !== 'string') return { kind: 'value', value }
  if (value.trim() === '') return { kind: 'value', value: null }
  const found = parseValue(JSON_TYPE, value)
  return found.kind === 'value' ? found : invalid('json', 'the text is not JSON that can be read')
}

const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i

/** A date, or a date and a time; with a zone it is brought to UTC, without one it stays without. */
function instant(value: Json): Typed {
  const match = typeof value === 'string' ? INSTANT.exec(value.trim()) : null
  if (typeof value === 'string' && value.trim() === '') return { kind: 'value', value: null }
  if (match === null) return NO_INSTANT
  const [, year = '', month = '', day = '', hour, minute = '00', second = '00', fraction = '', zone] = match
  const [h, m, s] = [Number(hour ?? 0), Number(minute), Number(second)]
  const at = new Date(0)
  at.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  // The 31st of April would be the 1st of May.
  if (at.getUTCMonth() !== Number(month) - 1 || at.getUTCDate() !== Number(day) || year === '0000') return NO_INSTANT
  if (h > 23 || m > 59 || s > 59) return NO_INSTANT
  const date = `${year}-${month}-${day}`
  if (hour === undefined) return { kind: 'value', value: date }
  if (zone === undefined) return { kind: 'value', value: `${date}T${hour}:${minute}:${second}${fraction}` }
  const offset = offsetMinutes(zone)
  if (offset === null) return NO_INSTANT
  at.setUTCHours(h, m, s)
  const utc = new Date(at.getTime() - offset * 60_000).toISOString()
  // In UTC it may have left the years that have four digits.
  if (!/^\d{4}-/.test(utc) || utc.startsWith('0000')) return NO_INSTANT
  return { kind: 'value', value: `${utc.slice(0, -5)}${fraction}Z` }
}

const NO_INSTANT = invalid('iso8601', 'not a date or time such as 2024-01-31 or 2024-01-31T12:00:00Z')

/** Null: no clock on Earth is that far from UTC (https://www.postgresql.org/docs/current/datatype-datetime.html: 15:59). */
function offsetMinutes(zone: string): number | null {
  if (zone.toUpperCase() === 'Z') return 0
  const sign = zone.startsWith('-') ? -1 : 1
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.replace(':', '').slice(3, 5) || 0)]
  return hours > 15 || minutes > 59 ? null : sign * (hours * 60 + minutes)
}
