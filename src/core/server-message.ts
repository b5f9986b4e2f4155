// What can be learnt from the text of an error answer: whether it is passing trouble and which profile key it names. The
// text itself holds values of the profile and never leaves this file (P8).
import { isJsonObject, type Json } from './json.ts'
import { CHANNEL_KEYS, RESERVED_PROPERTIES } from './profile.ts'

export interface ServerMessage {
  /** Worth another try whatever the status. */
  readonly transient: boolean
  /** The profile key the text complains about: one of a closed list. */
  readonly key: string | null
}

/**
 * Samples, as listed under "API request errors": `db_error tcp <host>: i/o timeout`, `db_error … context canceled`,
 * `db_error sql: database is closed`, `datacache failure during GET`, `redis eval error: EOF`,
 * `db_integrity_violation … duplicate key value violates unique constraint … (SQLSTATE=…)`.
 */
const TRANSIENT = /\b(db_error|datacache failure|redis eval error|db_integrity_violation|duplicate key value violates)/i

const NAMED_KEYS: readonly string[] = [...CHANNEL_KEYS, ...RESERVED_PROPERTIES]

/** Samples beside each. Anchored at the start: what follows may be a value and say anything. */
const COMPLAINTS: readonly (readonly [RegExp, string])[] = [
  // invalid email address. must be 6 <= len(email) <= 320 · … value in email format required …
  [/^invalid email address/i, '$email'],
  [/^[^:]*value in email format required/i, '$email'],
  // invalid timezone: EST
  [/^invalid timezone/i, '$timezone'],
  // invalid locale/language: 'xx'
  [/^invalid locale/i, '$locale'],
  // invalid language: xx
  [/^invalid language/i, '$preferred_language'],
  // invalid webpush subscription: {…}
  [/^invalid webpush subscription/i, '$webpush'],
]

export function readServerMessage(body: Json): ServerMessage {
  const text = messageText(body).trim()
  const key = complaintKey(text)
  // A refused value is repeated in the text and might itself read like passing trouble.
  return { key, transient: key === null && TRANSIENT.test(text) }
}

/** Longer than any message; the patterns that look into it may take time that grows with the square of its length. */
const MAX_TEXT = 4_096

/**
 * `message`, `detail` or `error.message`, else the text itself: the order in which SuprSend's own clients look. Cut to 4 KB.
 */
export function messageText(body: Json): string {
  if (typeof body === 'string') return body.slice(0, MAX_TEXT)
  if (!isJsonObject(body)) return ''
  for (const value of [body.message, body.detail, body.error]) {
    if (typeof value === 'string' && value !== '') return value.slice(0, MAX_TEXT)
    if (isJsonObject(value)) return messageText(value)
  }
  return ''
}

function complaintKey(text: string): string | null {
  // $iospush: value must be of string type
  const named = /^\{?\s*"?(\$\w+)"?\s*:/.exec(text)?.[1]
  if (named !== undefined && NAMED_KEYS.includes(named)) return named
  // invalid value for channel 'sms': … error: error while parsing number to E164 format
  const channel = /^invalid value for channel '(\w+)'/i.exec(text)?.[1]
  if (channel !== undefined && NAMED_KEYS.includes(`$${channel}`)) return `$${channel}`
  return COMPLAINTS.find(([pattern]) => pattern.test(text))?.[1] ?? null
}
