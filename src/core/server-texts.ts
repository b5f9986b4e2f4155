// Every text in which an error answer may say what is wrong, whatever its shape: what SuprSend's own clients look at, lists of errors,
// JSON in a string, objects by key. Guarantees bounded work and size. The texts hold values of the profile: they go to
// server-message.ts and nowhere else (P8).
import { isJsonObject, type Json, type JsonObject } from './json.ts'

/** Longer than any message; the patterns that look into it may take time that grows with the square of its length. */
const MAX_TEXT = 4_096
const MOST_TEXTS = 24
const MAX_DEPTH = 8

/** The order in which SuprSend's own clients look, then what other APIs have. */
const WRAPPERS: readonly string[] = ['message', 'detail', 'error', 'errors', 'details', 'reason', 'description', 'msg']
/** Beside a message: what it is about. */
const SUBJECTS: readonly string[] = ['field', 'key', 'path', 'param', 'loc', 'location']

/** What stands under a key begins with it, `operations[2].$append.$email: …`. All together are cut to 4 KB. */
export function textsOf(body: Json): readonly string[] {
  const found: string[] = []
  let left = MAX_TEXT
  collect(body, { path: '', depth: 0 }, (text) => {
    if (left <= 0 || found.length >= MOST_TEXTS) return false
    const cut = text.slice(0, left).trim()
    left -= cut.length
    if (cut !== '') found.push(cut)
    return true
  })
  return found
}

interface At {
  readonly path: string
  readonly depth: number
}

/** @param take false: enough. */
type Take = (text: string) => boolean

function collect(value: Json, at: At, take: Take): boolean {
  if (at.depth > MAX_DEPTH) return true
  const deeper = { ...at, depth: at.depth + 1 }
  if (typeof value === 'string') {
    const inner = jsonIn(value)
    if (inner !== null) return collect(inner, deeper, take)
    return take(at.path === '' ? value : `${at.path}: ${value}`)
  }
  if (Array.isArray(value)) {
    return value.slice(0, MOST_TEXTS).every((item: Json, index) => {
      const isPart = at.path !== '' && typeof item === 'object'
      return collect(item, isPart ? { ...deeper, path: `${at.path}[${index}]` } : deeper, take)
    })
  }
  return isJsonObject(value) ? collectMembers(value, deeper, take) : true
}

function collectMembers(members: JsonObject, at: At, take: Take): boolean {
  const about = { ...at, path: subjectOf(members) ?? at.path }
  for (const key of WRAPPERS) {
    const value = Object.hasOwn(members, key) ? members[key] : undefined
    if (value !== undefined && !collect(value, about, take)) return false
  }
  for (const key of Object.keys(members)) {
    // At the top there is much that is no complaint: `code`, `type`, `request_id`.
    if (WRAPPERS.includes(key) || SUBJECTS.includes(key) || (at.depth <= 1 && !/^(\$|operations\b)/.test(key))) continue
    const path = at.path === '' ? key : `${at.path}.${key}`
    if (!collect(members[key] ?? null, { ...at, path }, take)) return false
  }
  return true
}

/** `{"field": "$email", "message": …}`, `{"loc": ["operations", 2, "$append"], "msg": …}`. */
function subjectOf(members: JsonObject): string | null {
  for (const key of SUBJECTS) {
    const value = Object.hasOwn(members, key) ? members[key] : undefined
    if (typeof value === 'string' && value !== '') return value
    if (Array.isArray(value)) return value.filter((part) => ['string', 'number'].includes(typeof part)).join('.')
  }
  return null
}

/** `message` is sometimes JSON itself. */
function jsonIn(text: string): Json | null {
  if (text.length > MAX_TEXT || !/^\s*[[{]/.test(text)) return null
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
