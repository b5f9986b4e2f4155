// What the API rejects before anything is stored: bodies, operations, property keys and values, the id itself. Returns
// the API's message, or null when all is well; every rejection here is a 400. Pure. One bad value rejects the whole
// request, as the known error strings suggest. Reduces nothing: user-edit.ts reads the same body again.
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { type ChannelKey, isChannelKey } from '../core/profile.ts'
import { checkChannelValue, checkValueType } from './channel-value.ts'
import { isLanguage, isLocale, isTimeZone } from './language-tags.ts'

/** Stand beside a push token in `$append` and `$remove`. `$pushvendor` is the name of `$id_provider` before 2024. */
const SIBLING_KEYS = ['$id_provider', '$pushvendor', '$device_id', '$bundle_id']
const OPERATORS = ['$set', '$set_once', '$add', '$increment', '$append', '$remove', '$unset']
export const NO_OPERATIONS =
  'Request body contains an invalid value for the "Subscriber_EditOperationSet.operations" field'

export function distinctIdProblem(distinctId: string): string | null {
  if (distinctId.trim() === '') return 'distinct_id: cannot be blank'
  // Code points: the limit is one of characters.
  return distinctId.length > 255 && [...distinctId].length > 255 ? 'distinct_id: length must be at most 255' : null
}

/** Of which values more than the type is judged. */
export interface Judged {
  readonly added: boolean
  readonly removed: boolean
  /** Texts that are well-formed and refused all the same. */
  readonly refused?: readonly string[]
}

const WHEN_ADDED: Judged = { added: true, removed: false }

/** POST's body: channel keys with one value or a list, everything else a property. */
export function upsertProblem(body: JsonObject, judged: Judged = WHEN_ADDED): string | null {
  return firstProblem(Object.entries(body), ([key, value]) => {
    if (!isChannelKey(key)) return propertyProblem(key, value, judged.added)
    if (Array.isArray(value)) {
      if (value.length === 0) return `${key}: must contain at least 1 item`
      return firstProblem(value, (item: Json) => channelProblem(key, item, judged.added && judged))
    }
    return channelProblem(key, value, judged.added && judged)
  })
}

/** Of PATCH's body, `{"operations": [{"$append": {…}}, …]}`; null when it has no such list (NO_OPERATIONS). */
export function operationsOf(body: JsonObject): readonly JsonObject[] | null {
  if (!Array.isArray(body.operations)) return null
  const operations: readonly Json[] = body.operations
  return operations.every(isJsonObject) ? operations : null
}

export function editProblem(operations: readonly JsonObject[], judged: Judged = WHEN_ADDED): string | null {
  return firstProblem(operations, (operation) =>
    firstProblem(Object.entries(operation), ([operator, operand]) => operatorProblem(operator, operand, judged)),
  )
}

function operatorProblem(operator: string, operand: Json, judged: Judged): string | null {
  if (!OPERATORS.includes(operator)) return `decoding failed: '' has invalid keys: ${operator}`
  if (operator === '$unset') return unsetProblem(operand)
  if (!isJsonObject(operand)) return notAMap(operator, operand)
  return firstProblem(Object.entries(operand), ([key, value]) => memberProblem(operator, { key, value }, judged))
}

function memberProblem(
  operator: string,
  { key, value }: { readonly key: string; readonly value: Json },
  judged: Judged,
): string | null {
  const listing = operator === '$append' || operator === '$remove'
  if (isChannelKey(key)) {
    if (operator === '$append') return channelProblem(key, value, judged.added && judged)
    if (operator === '$remove') return channelProblem(key, value, judged.removed && judged)
    return `${operator}: channel ${key} cannot be set. use $append`
  }
  if (listing && SIBLING_KEYS.includes(key)) {
    return value === null || typeof value === 'string' ? null : `${key}: value must be of string type`
  }
  if ((operator === '$add' || operator === '$increment') && typeof value !== 'number') {
    return `${operator}: ${key} value must be of number type`
  }
  return propertyProblem(key, value, judged.added)
}

function unsetProblem(operand: Json): string | null {
  if (!Array.isArray(operand)) return `decoding failed: '$unset' expected type '[]string', got ${goType(operand)}`
  return firstProblem(operand, (key: Json) => {
    if (typeof key !== 'string' || key.trim() === '') return '$unset: keys must be non-empty strings'
    return isChannelKey(key) ? null : reservedKeyProblem(key)
  })
}

function propertyProblem(key: string, value: Json, judged: boolean): string | null {
  switch (judged ? key : '') {
    case '$timezone':
      return typeof value === 'string' && isTimeZone(value) ? null : `invalid timezone: ${shown(value)}`
    case '$locale':
      return typeof value === 'string' && isLocale(value) ? null : `invalid locale/language: '${shown(value)}'`
    case '$preferred_language':
      return typeof value === 'string' && isLanguage(value) ? null : `invalid language: ${shown(value)}`
    default:
      return reservedKeyProblem(key)
  }
}

const RESERVED_BUT_KNOWN = ['$timezone', '$locale', '$preferred_language']

function reservedKeyProblem(key: string): string | null {
  if (key.trim() === '') return 'property key must not be empty'
  if (RESERVED_BUT_KNOWN.includes(key)) return null
  const reserved = key.startsWith('$') || key.toLowerCase().startsWith('ss_')
  return reserved ? `invalid key: ${key}. keys starting with $ or ss_ are reserved` : null
}

/** @param judged false: by its type alone. */
function channelProblem(key: ChannelKey, value: Json, judged: Judged | false): string | null {
  if (judged && typeof value === 'string' && judged.refused?.includes(value))
    return `invalid value for channel '${key.slice(1)}': ${value}. error: invalid value`
  const checked = judged ? checkChannelValue(key, value) : checkValueType(key, value)
  return checked.kind === 'ok' ? null : checked.message
}

// The server decodes an operand into a list of maps, hence the index in its message.
function notAMap(operator: string, operand: Json): string {
  const at = Array.isArray(operand) ? `${operator}[0]` : operator
  const got = Array.isArray(operand) ? (operand[0] ?? null) : operand
  return `decoding failed: '${at}' expected type 'map[string]interface {}', got unconvertible type '${goType(got)}'`
}

function goType(value: Json): string {
  if (value === null) return 'nil'
  if (Array.isArray(value)) return '[]interface {}'
  if (typeof value === 'string') return 'string'
  if (typeof value === 'number') return 'float64'
  return typeof value === 'boolean' ? 'bool' : 'map[string]interface {}'
}

function shown(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function firstProblem<T>(items: readonly T[], problem: (item: T) => string | null): string | null {
  for (const item of items) {
    const found = problem(item)
    if (found !== null) return found
  }
  return null
}
