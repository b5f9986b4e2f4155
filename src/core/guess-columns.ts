// Which columns may be thought of at all, and the few questions that every guess asks of one: what its name says, whether it
// is a secret, and how it is true or false. A secret, or an address that nobody confirmed yet, is never proposed (P8).
import { inExpression, words } from './column-words.ts'
import { kindOf, type SurveyColumn, type SurveyTable } from './survey.ts'
import { isSupported } from './values.ts'

const PUSH_TOKEN = /(^|_)(fcm|gcm|apns?|firebase|push|device|android|ios)_(.*_)?(tokens?|registration_ids?|ids?|key)$/
const REGISTRATION = /(^|_)registration_(tokens?|ids?)$/
const SECRET = new RegExp(
  `(^|_)(passwords?|passwd|passcode|pwd|pass|secrets?|salt|hash|hashed|hmac|digest|encrypted|cipher(text)?|bidx|otp|totp|mfa|2fa|${[
    'two_factor',
    'second_factor',
    'recovery',
    'backup_codes?',
    'api_?keys?',
    '(private|access|signing|encryption)_keys?',
    'credentials?',
    'ssn',
    'social_security(_number)?',
    'national_id',
    'passport',
    'tax_id',
    'iban',
    'bank_account',
    'card',
    'cvv',
    'cvc',
    'pin',
    'session',
    'csrf',
    'nonce',
    'signature',
    'ip',
    'ip_address',
    'webhook',
    'webhook_url',
  ].join('|')})(_|$)`,
)
/** Addresses that are not the user's yet, or no more. */
const UNCONFIRMED =
  /(^|_)(unconfirmed|pending|new|old|previous|former)_(e_?mail|phone|mobile)|(^|_)(e_?mail|phone)_change(_|$)/

export function isPushToken(name: string): boolean {
  return PUSH_TOKEN.test(name) || REGISTRATION.test(name)
}

/** A push token is an address; any other token opens something. */
export function isWithheld(column: SurveyColumn): boolean {
  const name = words(column.name)
  if (kindOf(column.type) === 'boolean' || kindOf(column.type) === 'instant') return UNCONFIRMED.test(name)
  if (SECRET.test(name) || UNCONFIRMED.test(name)) return true
  return /(^|_)tokens?(_|$)/.test(name) && !isPushToken(name)
}

/** Columns that a mapping could read and that are no secret. */
export function usableColumns(table: SurveyTable): readonly SurveyColumn[] {
  return table.columns.filter((column) => !column.generated && isSupported(column.type) && !isWithheld(column))
}

/** The first usable column of one of the kinds whose words match one of the patterns; earlier patterns are better. */
export function findColumn(
  columns: readonly SurveyColumn[],
  kinds: readonly string[],
  patterns: readonly RegExp[],
): SurveyColumn | null {
  for (const pattern of patterns) {
    const found = columns.find((column) => kinds.includes(kindOf(column.type)) && pattern.test(words(column.name)))
    if (found) return found
  }
  return null
}

/** CEL that is true where the flag or the instant is set; for a nullable flag NULL is not set. */
export function isSet(column: SurveyColumn): string {
  const name = inExpression(column.name)
  if (kindOf(column.type) !== 'boolean') return `${name} != null`
  return column.notNull ? name : `${name} == true`
}

/** CEL that is true where the flag or the instant is not set, NULL being not set. */
export function isNotSet(column: SurveyColumn): string {
  const name = inExpression(column.name)
  if (kindOf(column.type) !== 'boolean') return `${name} == null`
  return column.notNull ? `!${name}` : `${name} != true`
}

/** An instant that is NOT NULL is never unset; comparing it with null would not compile. */
export function canBeUnset(column: SurveyColumn): boolean {
  const kind = kindOf(column.type)
  return kind === 'boolean' || (kind === 'instant' && !column.notNull)
}
