// Column values as CEL sees them, and CEL results as JSON. Integers are BigInt both ways, so int8 keeps its digits;
// numeric is a double (exact only within 15 digits, enough to compare with; expression-digits.ts keeps the others); dates are the ISO texts of values.ts, which
// compare in time order. No clock and no time zone is involved.
import type { Digits } from './expression-digits.ts'
import { ExpressionFailure, type Meter } from './expression-meter.ts'
import type { Json } from './json.ts'
import type { ColumnType } from './row.ts'
import { OID, parseValue } from './values.ts'

/** What one evaluation keeps. */
export interface Evaluation {
  readonly meter: Meter
  readonly digits: Digits
}

/** The CEL type of a NOT NULL column. */
export function celType(type: ColumnType): string {
  if (type.kind === 'array') return 'list'
  switch (type.baseOid) {
    case OID.bool:
      return 'bool'
    case OID.int2:
    case OID.int4:
    case OID.int8:
      return 'int'
    case OID.float4:
    case OID.float8:
    case OID.numeric:
      return 'double'
    case OID.json:
    case OID.jsonb:
      return 'dyn'
    default:
      return 'string'
  }
}

/** @throws SyntaxError when an integer's text is none: the caller takes that for a failed row. */
export function celValue(type: ColumnType, text: string | null, { meter, digits }: Evaluation): unknown {
  if (text === null) return null
  if (type.kind !== 'array') {
    switch (type.baseOid) {
      case OID.bool:
        return text === 't'
      case OID.int2:
      case OID.int4:
      case OID.int8:
        return BigInt(text)
      case OID.float4:
      case OID.float8:
        return Number(text)
      case OID.numeric:
        return digits.read(text)
    }
  }
  if (type.kind === 'array' || type.baseOid === OID.json || type.baseOid === OID.jsonb) meter.json(text.length)
  const parsed = parseValue(type, text)
  // What has no JSON form (`infinity`) is still comparable as the text it is.
  return parsed.kind === 'invalid' ? text : celFromJson(parsed.value, meter)
}

/**
 * Objects become Maps: a row's own keys (`constructor`, `__proto__`) must not meet JavaScript's.
 * @throws ExpressionFailure
 */
export function celFromJson(value: Json, meter: Meter, depth = 0): unknown {
  meter.value()
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof value !== 'object' || value === null) return value
  if (depth >= MAX_DEPTH) throw new ExpressionFailure('too_deep', 'lists and objects in one another, too deep')
  if (Array.isArray(value)) return value.map((item) => celFromJson(item, meter, depth + 1))
  return new JsonMap(Object.entries(value).map(([key, member]) => [key, celFromJson(member, meter, depth + 1)]))
}

/** Well within the stack; nobody's settings are that deep. */
const MAX_DEPTH = 100

/**
 * A map as the library knows it, which does not show what is in it when it is asked for its type: it would be told down to the
 * last object, and the library keeps each type that it ever met, for ever. Documents of users' own making can have as many as
 * they like.
 */
class JsonMap extends Map<string, unknown> {
  override entries(): MapIterator<[string, unknown]> {
    return NOTHING.entries()
  }

  static {
    JsonMap.prototype.constructor = Map
  }
}

const NOTHING: ReadonlyMap<string, unknown> = new Map()

/** Undefined for what has no JSON form: types, durations, bytes. */
export function jsonFromCel(given: unknown, evaluation: Evaluation): Json | undefined {
  evaluation.meter.value()
  const value = evaluation.digits.whole(given)
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : String(value)
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString()
  if (Array.isArray(value)) {
    const items = value.map((item) => jsonFromCel(item, evaluation))
    return items.every((item) => item !== undefined) ? items : undefined
  }
  const entries = value instanceof Map ? [...value] : isPlainObject(value) ? Object.entries(value) : null
  if (entries === null) return undefined
  const members: [string, Json][] = []
  for (const [key, member] of entries) {
    const json = jsonFromCel(member, evaluation)
    if (json === undefined || typeof key === 'object') return undefined
    members.push([String(key), json])
  }
  return Object.fromEntries(members)
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
