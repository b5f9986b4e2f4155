// What can be learnt from the texts of an error answer: whether it is passing trouble, which profile key it names, and which of the
// values that were sent. The texts hold values of the profile and never leave this file (P8); which there are is server-texts.ts's.
import type { Json } from './json.ts'
import { CHANNEL_KEYS, RESERVED_PROPERTIES } from './profile.ts'
import { textsOf } from './server-texts.ts'

export interface ServerMessage {
  /** Worth another try whatever the status. */
  readonly transient: boolean
  /** The profile key a text complains about: a channel, a reserved property, or one that was sent. */
  readonly key: string | null
  /** The place among a PATCH's operations, where it tells that. */
  readonly operation: number | null
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

/** @param sent keys of properties that the request carried: they are looked for as well. */
export function readServerMessage(body: Json, sent: readonly string[] = []): ServerMessage {
  const texts = textsOf(body)
  const complaints = texts.map((text) => complaintOf(text, sent))
  const [first] = complaints.filter(({ key }) => key !== null)
  const operation = (first ?? complaints.find((each) => each.operation !== null))?.operation ?? null
  // A refused value is repeated in the text and might itself read like passing trouble.
  return { key: first?.key ?? null, operation, transient: !first && texts.some((text) => TRANSIENT.test(text)) }
}

/** The first text there is, cut to 4 KB; else empty. */
export function messageText(body: Json): string {
  return textsOf(body)[0] ?? ''
}

type Complaint = Pick<ServerMessage, 'key' | 'operation'>

/**
 * `$iospush: value must be of string type`, `operations[2].$append.$email: …`, `decoding failed: '$append[0].$email' expected …`,
 * `Request body contains an invalid value for the "$email" field`.
 */
const PATHS: readonly RegExp[] = [
  /^\{?\s*(?:decoding failed:\s*)?["'`]?([$\w.[\]-]{1,200})["'`]?(?:\s*:|\s+(?:is|are|has|must|cannot|should|expected|value|field)\b)/i,
  /^Request body contains an invalid value for the "([^"]*)" field/i,
]

function complaintOf(text: string, sent: readonly string[]): Complaint {
  const path = PATHS.map((pattern) => pattern.exec(text)?.[1]).find((found) => found !== undefined)
  const parts = path?.split(/[.[\]]+/).filter((part) => part !== '') ?? []
  const isKey = (part: string) => NAMED_KEYS.includes(part) || sent.includes(part)
  const key = path !== undefined && isKey(path) ? path : parts.findLast(isKey)
  const [, place] = /^operations\b\D{0,2}(\d{1,6})\b/.exec(path ?? '') ?? []
  const operation = place === undefined ? null : Number(place)
  if (key !== undefined) return { key, operation }
  // invalid value for channel 'sms': … error: error while parsing number to E164 format
  const channel = /^invalid value for (?:the )?channel ["'`]\$?(\w+)/i.exec(text)?.[1]?.toLowerCase()
  if (channel !== undefined && NAMED_KEYS.includes(`$${channel}`)) return { key: `$${channel}`, operation }
  return { key: COMPLAINTS.find(([pattern]) => pattern.test(text))?.[1] ?? null, operation }
}

/** Shorter ones stand in other words by chance. */
const LEAST_NAMED = 3

/**
 * Which of these values of the key the texts repeat, by their places: of each text that complains about the key the one that it
 * repeats; none where it repeats more than one. If no such text repeats any, all texts count as one.
 */
export function namedPlaces(body: Json, key: string, values: readonly Json[]): readonly number[] {
  const texts = textsOf(body)
  const each = texts.filter((text) => complaintOf(text, [key]).key === key).flatMap((text) => placesIn(text, values))
  const places = each.length > 0 ? each : placesIn(texts.join('\n'), values)
  return [...new Set(places)].sort((a, b) => a - b)
}

/** An object is repeated where all its texts are, in whatever form. Of values that contain each other the longest counts. */
function placesIn(text: string, values: readonly Json[]): readonly number[] {
  const repeated = values.flatMap((value, place) => {
    const parts = textsIn(value)
    const fits = parts.length > 0 && parts.every((part) => part.length >= LEAST_NAMED && standsIn(text, part))
    return fits ? [{ place, name: parts.join('\n') }] : []
  })
  const names = new Set(repeated.map(({ name }) => name))
  const longest = [...names].filter((name) => ![...names].some((other) => other !== name && other.includes(name)))
  if (longest.length !== 1) return []
  return repeated.flatMap(({ place, name }) => (name === longest[0] ? [place] : []))
}

function textsIn(value: Json): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap((part: Json) => textsIn(part))
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
