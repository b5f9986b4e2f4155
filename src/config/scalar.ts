// How single values of the file are read: texts, numbers, durations, addresses, names. Each reader says what it expects,
// so that every message reads alike: "expected a duration such as 20s, found a text of 4 characters".
import { z } from 'zod'
import { looksLikeCredential } from './column-names.ts'
import { shapeOf } from './problem.ts'
import { meantAmong } from './synonyms.ts'

/** What an editor is told of a value; a reference to the environment is always allowed beside it. */
export type JsonShape = { readonly [keyword: string]: unknown }

/** @param written how the value itself may be written as a text, as it comes from the environment. */
export function orVariable(shape: JsonShape, written?: string): JsonShape {
  const pattern = written === undefined ? '\\$\\{' : `${written}|\\$\\{`
  return { anyOf: [shape, { type: 'string', pattern }] }
}

/**
 * A schema from a plain function: null = not what was expected. The message never holds the value.
 * @param shape for the JSON Schema; by default a text.
 */
export function scalar<T>(expected: string, read: (input: unknown) => T | null, shape: JsonShape = { type: 'string' }) {
  const schema = z.unknown().transform((input, context): T => {
    const value = input === undefined ? null : read(input)
    if (value !== null) return value
    const message =
      input === undefined ? `is missing: expected ${expected}` : `expected ${expected}, found ${shapeOf(input)}`
    context.issues.push({ code: 'custom', input, message })
    return z.NEVER
  })
  return schema.meta({ description: expected, ...shape })
}

/** The text as it stands, blanks around it removed (a mounted secret tends to end in a newline); never empty. */
export function readText(input: unknown): string | null {
  const text = typeof input === 'string' ? input.trim() : ''
  return text === '' ? null : text
}

export const text = (expected: string) => scalar(expected, readText)

export function choice<const T extends string>(allowed: readonly T[]) {
  const schema = z.unknown().transform((input, context): T => {
    const found = allowed.find((candidate) => candidate === input)
    if (found !== undefined) return found
    const near = typeof input === 'string' ? meantAmong(input, allowed) : ''
    context.issues.push({
      code: 'custom',
      input,
      message: `expected ${allowed.join(', ')}; found ${shapeOf(input)}${near}`,
    })
    return z.NEVER
  })
  return schema.meta(orVariable({ enum: allowed }))
}

/** A number, or its digits: what comes from ${PORT} is always text. */
export function readInteger(input: unknown): number | null {
  if (typeof input === 'number') return Number.isSafeInteger(input) ? input : null
  return typeof input === 'string' && /^\d{1,15}$/.test(input.trim()) ? Number(input) : null
}

export function integer(range: { readonly min: number; readonly max: number }) {
  const read = (input: unknown) => {
    const value = readInteger(input)
    return value !== null && value >= range.min && value <= range.max ? value : null
  }
  const shape = orVariable({ type: 'integer', minimum: range.min, maximum: range.max }, '^\\s*\\d+\\s*$')
  return scalar(`a whole number from ${range.min} to ${range.max}`, read, shape)
}

export const flag = scalar(
  'true or false',
  (input) => {
    if (typeof input === 'boolean') return input
    return input === 'true' ? true : input === 'false' ? false : null
  },
  orVariable({ type: 'boolean' }, '^(true|false)$'),
)

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
/** setTimeout's limit, 2^31 - 1 ms: beyond it a timer would fire at once. */
const MAX_DURATION_MS = 2_147_483_647

/** `500ms`, `20s`, `1.5m`: milliseconds; null without a unit. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,10}(?:\.\d{1,3})?)\s*(ms|s|m|h)$/.exec(text.trim())
  const unit = match?.[2] as keyof typeof UNIT_MS | undefined
  if (match === null || unit === undefined) return null
  const delayMs = Math.round(Number(match[1]) * UNIT_MS[unit])
  return delayMs > 0 && delayMs <= MAX_DURATION_MS ? delayMs : null
}

const UNIT_BYTES = { MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 } as const

/** `500MB`, `20GB`, as PostgreSQL counts them: bytes; null without a unit. */
export function parseSize(text: string): number | null {
  const match = /^(\d{1,6})\s*(MB|GB|TB)$/.exec(text.trim())
  const unit = match?.[2] as keyof typeof UNIT_BYTES | undefined
  const size = match === null || unit === undefined ? 0 : Number(match[1]) * UNIT_BYTES[unit]
  return size > 0 ? size : null
}

export const duration = scalar(
  'a duration with its unit such as 500ms, 20s or 5m',
  (input) => (typeof input === 'string' ? parseDuration(input) : null),
  { type: 'string', pattern: '^[\\d.]+\\s*(ms|s|m|h)$|\\$\\{' },
)

/** An identifier's limit in PostgreSQL, NAMEDATALEN - 1. A longer one would be cut short without a word. */
const MAX_NAME_BYTES = 63

export function isIdentifier(name: string): boolean {
  return name !== '' && Buffer.byteLength(name) <= MAX_NAME_BYTES && !name.includes('\0') && name.isWellFormed()
}

export const identifier = scalar('a name of at most 63 bytes', (input) => {
  const name = readText(input)
  return name !== null && isIdentifier(name) ? name : null
})

/** A column's exact catalogue name: unlike SQL never folded, and not trimmed either. */
export const columnName = scalar('the name of a column', readColumnName)
/** Of a source. */
export const sourceColumn = scalar('the name of a column (a text is {const: text})', readColumnName)

export function readColumnName(input: unknown): string | null {
  return typeof input === 'string' && isIdentifier(input) && !looksLikeCredential(input) ? input : null
}

/** https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS-MANIPULATION */
export const slotName = scalar('a slot name of a-z, 0-9 and _, at most 63 characters', (input) =>
  typeof input === 'string' && /^[a-z0-9_]{1,63}$/.test(input) ? input : null,
)
