// A whole JSON object as properties: its members, all of them or those that are named. What SuprSend would not take as a
// property's name is left out with a reason.
import { isJsonObject, type Json } from './json.ts'
import { isStorable } from './json-text.ts'
import { leaveOut } from './mapping-source.ts'
import type { Reason } from './profile.ts'
import type { ColumnType, TextRow } from './row.ts'
import { holdsSecretMark } from './secret-reference.ts'
import { parseValue } from './values.ts'

export interface ObjectPart {
  readonly index: number
  readonly type: ColumnType
  /** null: all members. */
  readonly pick: readonly string[] | null
}

export function membersOf(
  { index, type, pick }: ObjectPart,
  row: TextRow,
  reasons: Reason[],
  put: (key: string, value: Json, named: string) => void,
): void {
  const text = row[index] ?? null
  if (text === null) return
  const parsed = parseValue(type, text)
  if (parsed.kind === 'invalid') return leaveOut(reasons, 'properties', parsed)
  const { value } = parsed
  if (value === null) return
  if (!isJsonObject(value)) return leaveOut(reasons, 'properties', NO_OBJECT)
  const keys = pick ?? Object.keys(value)
  if (keys.length > MAX_MEMBERS && pick === null) leaveOut(reasons, 'properties', TOO_MANY)
  for (const key of pick ?? keys.slice(0, MAX_MEMBERS)) {
    const member = Object.hasOwn(value, key) ? (value[key] ?? null) : null
    if (member === null) continue
    // A name that only the row knows is data: no reason, and so no metric and no listing, may hold it (P8).
    const named = pick === null ? 'properties' : key
    if (propertyNameProblem(key) !== null) leaveOut(reasons, 'properties', ILLEGAL_NAME)
    else if (!isStorable(member)) leaveOut(reasons, named, NOT_STORABLE)
    else if (holdsSecretMark(member)) leaveOut(reasons, named, RESERVED_KEY)
    else put(key, member, named)
  }
}

/** Why SuprSend would not take it as a custom property's name, or null. https://docs.suprsend.com/docs/users */
export function propertyNameProblem(key: string): string | null {
  if (key.startsWith('$')) return "names that begin with $ are SuprSend's own"
  if (/^ss_/i.test(key)) return 'names that begin with ss_ are reserved by SuprSend'
  if (key.trim() === '' || key.trim() !== key) return 'a property name must not be empty or begin or end with blanks'
  if (key === '__proto__' || !isStorable(key)) return 'this name cannot be a property'
  return key.length > MAX_NAME ? `a property name has at most ${MAX_NAME} characters` : null
}

/** Of a member of a row's own JSON: nobody names a property so, and a name is not masked anywhere. */
const MAX_NAME = 255

/** No more fit into a profile, and a document of a user's own making may have a hundred thousand. */
const MAX_MEMBERS = 1_000

const TOO_MANY = {
  code: 'too_many_values',
  message: `the object has more than ${MAX_MEMBERS} members; the first ${MAX_MEMBERS} are taken`,
}
const NO_OBJECT = { code: 'not_an_object', message: 'the value is no JSON object' }
const ILLEGAL_NAME = {
  code: 'illegal_name',
  message: 'a member has a name that no property can have: it begins with $ or ss_, or is empty or too long',
}
const NOT_STORABLE = {
  code: 'invalid_text',
  message: 'the value holds a NUL or half a surrogate pair, or is nested too deep, and cannot be stored as JSON',
}
const RESERVED_KEY = { code: 'reserved_key', message: "the value has a key that is suprsync's own" }
