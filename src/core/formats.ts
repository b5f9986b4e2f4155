// The formats a mapped value is brought into. Each either gives the canonical value, says "absent" (null: nothing but
// blanks), or says why not: then that value alone is left out. Codes are stable (`invalid_email`, …); no message ever
// holds the value (P8). docs/mapping.md says what each accepts.
import type { Json } from './json.ts'
import { canonicalLocale, languageCode } from './language.ts'
import type { Format } from './mapping-spec.ts'
import { canonicalPhone, isRegion } from './phone.ts'
import { canonicalTimezone } from './timezone.ts'
import { applyTypedFormat, type TypedFormat } from './typed-formats.ts'

export interface FormatContext {
  /** Country of national phone numbers, in any case; null when the mapping names none. */
  readonly region: string | null
}

export type Formatted =
  | { readonly kind: 'value'; readonly value: Json }
  | { readonly kind: 'invalid'; readonly code: string; readonly message: string }

const ABSENT: Formatted = { kind: 'value', value: null }

export function applyFormat(format: Format, value: Json, context: FormatContext): Formatted {
  if (value === null) return ABSENT
  if (format === 'trim' || format === 'lower') return applyToTexts(format, value)
  if (isTyped(format)) return applyTypedFormat(format, value)
  // A phone number may well stand in an int8 column.
  const text = typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : null
  if (text === null) return NOT_TEXT[format]
  if (text === '') return ABSENT
  switch (format) {
    case 'email':
      return formatEmail(text)
    case 'e164':
      return formatPhone(text, context.region)
    case 'timezone':
      return result(canonicalTimezone(text), format)
    case 'language':
      return result(languageCode(text), format)
    case 'locale':
      return result(canonicalLocale(text), format)
  }
}

const EXPECTED = {
  email: 'not an e-mail address of 6 to 320 characters',
  e164: 'not a phone number of an existing country and length',
  timezone: 'not an IANA time zone name such as Asia/Kolkata',
  language: 'not an ISO 639-1 language code such as en',
  locale: 'not a BCP 47 locale such as en-US',
} as const satisfies Record<Exclude<Format, 'trim' | 'lower' | TypedFormat>, string>

const TYPED: ReadonlySet<Format> = new Set(['string', 'number', 'boolean', 'json', 'iso8601'])

function isTyped(format: Format): format is TypedFormat {
  return TYPED.has(format)
}

type CheckedFormat = keyof typeof EXPECTED

function invalid(format: CheckedFormat, message: string): Formatted {
  return { kind: 'invalid', code: `invalid_${format}`, message }
}

const INVALID: Readonly<Record<CheckedFormat, Formatted>> = perFormat((format) => invalid(format, EXPECTED[format]))
const NOT_TEXT: Readonly<Record<CheckedFormat, Formatted>> = perFormat((format) =>
  invalid(format, 'a list, an object or a boolean where one text was expected'),
)
const UNKNOWN_REGION = invalid('e164', 'a national number, and the region is no ISO 3166-1 country code such as IN')
const NO_REGION = invalid('e164', 'a national number (without +), and the mapping names no region for it')

function perFormat(make: (format: CheckedFormat) => Formatted): Record<CheckedFormat, Formatted> {
  return {
    email: make('email'),
    e164: make('e164'),
    timezone: make('timezone'),
    language: make('language'),
    locale: make('locale'),
  }
}

function result(value: string | null, format: CheckedFormat): Formatted {
  return value === null ? INVALID[format] : { kind: 'value', value }
}

function applyToTexts(format: 'trim' | 'lower', value: Json): Formatted {
  if (typeof value === 'string') {
    if (format === 'lower') return { kind: 'value', value: value.toLowerCase() }
    const trimmed = value.trim()
    return trimmed === '' ? ABSENT : { kind: 'value', value: trimmed }
  }
  if (!Array.isArray(value)) return { kind: 'value', value }
  const texts = value.map((item) =>
    typeof item !== 'string' ? item : format === 'trim' ? item.trim() : item.toLowerCase(),
  )
  return { kind: 'value', value: texts }
}

/**
 * Deliberately narrower than RFC 5322: no quoted local parts, comments or address literals, which no provider of ours
 * delivers to. Unicode letters are allowed on both sides. Linear in the length: no nested repetition.
 */
const LOCAL = /^[^\s"(),:;<>@[\\\]\p{Cc}\p{Cf}\p{Cs}]{1,64}$/u
const DOMAIN_LABEL = /^[\p{L}\p{N}\p{M}](?:[\p{L}\p{N}\p{M}-]{0,61}[\p{L}\p{N}\p{M}])?$/u
/** What nearly every address looks like, decided without splitting. */
const COMMON = /^[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9]+(?:-+[a-z0-9]+)*\.)+[a-z]{2,}$/i

export function formatEmail(text: string): Formatted {
  if (text.length < 6 || text.length > 320) return INVALID.email
  const at = text.lastIndexOf('@')
  if (at > 64) return INVALID.email
  if (COMMON.test(text) && text.length <= 254) return { kind: 'value', value: text }
  const local = text.slice(0, at)
  const labels = text.slice(at + 1).split('.')
  const goodLocal = LOCAL.test(local) && !local.startsWith('.') && !local.endsWith('.') && !local.includes('..')
  const last = labels.at(-1) ?? ''
  if (!goodLocal || labels.length < 2 || last.length < 2 || /^\d+$/.test(last)) return INVALID.email
  return labels.every((label) => DOMAIN_LABEL.test(label)) ? { kind: 'value', value: text } : INVALID.email
}

function formatPhone(text: string, region: string | null): Formatted {
  const country = region === null ? null : region.trim().toUpperCase()
  const phone = canonicalPhone(text, country)
  if (phone !== null) return { kind: 'value', value: phone }
  if (text.startsWith('+')) return INVALID.e164
  if (country === null || country === '') return NO_REGION
  return isRegion(country) ? INVALID.e164 : UNKNOWN_REGION
}
