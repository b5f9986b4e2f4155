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

/** Shorter ones stand in other words by chance. */
const LEAST_NAMED = 3

/**
 * Which of these values the text repeats, by their places; empty where it repeats none, or more than one of them. An object is
 * repeated where all its texts are, in whatever form. Of values that contain each other the longest counts.
 */
export function namedPlaces(body: Json, values: readonly Json[]): readonly number[] {
  const text = messageText(body)
  const repeated = values.flatMap((value, place) => {
    const texts = textsOf(value)
    const fits = texts.length > 0 && texts.every((each) => each.length >= LEAST_NAMED && standsIn(text, each))
    return fits ? [{ place, name: texts.join('\n') }] : []
  })
  const names = new Set(repeated.map(({ name }) => name))
  const longest = [...names].filter((name) => ![...names].some((other) => other !== name && other.includes(name)))
  if (longest.length !== 1) return []
  return repeated.flatMap(({ place, name }) => (name === longest[0] ? [place] : []))
}

function textsOf(value: Json): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap((part: Json) => textsOf(part))
}

/** Not as a part of a longer word or number. */
function standsIn(text: string, value: string): boolean {
  const isWord = (char: string | undefined) => char !== undefined && /[\p{L}\p{N}_]/u.test(char)
  for (let at = text.indexOf(value); at !== -1; at = text.indexOf(value, at + 1)) {
    const [before, after] = [text[at - 1], text[at + value.length]]
    if (!(isWord(before) && isWord(value[0])) && !(isWord(after) && isWord(value.at(-1)))) return true
  }
  return false
}
