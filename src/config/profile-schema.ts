// `profile`: which keys may be mapped and what a source may say. One key at a time, so that a mistake in one hides none in
// another. Yields core's sources, with the key's own format in place.
import { z } from 'zod'
import { applyFormat } from '../core/formats.ts'
import type { Json } from '../core/json.ts'
import { isStorable } from '../core/json-text.ts'
import { FORMATS, type Format, type Source } from '../core/mapping-spec.ts'
import { suggestion } from '../core/nearest.ts'
import { isRegion } from '../core/phone.ts'
import { isChannelKey } from '../core/profile.ts'
import type { Path } from './document.ts'
import { shapeOf } from './problem.ts'
import { isRecord } from './record.ts'
import { choice, columnName, isIdentifier } from './scalar.ts'

/** The `$` keys of this version with the format that each ends in. */
const OWN_FORMAT: ReadonlyMap<string, Format> = new Map([
  ['$email', 'email'],
  ['$sms', 'e164'],
  ['$whatsapp', 'e164'],
  ['$timezone', 'timezone'],
  ['$preferred_language', 'language'],
  ['$locale', 'locale'],
])

/** Why a key cannot be mapped, or null. Prefixes reserved by SuprSend: https://docs.suprsend.com/docs/users */
export function keyProblem(key: string): string | null {
  if (OWN_FORMAT.has(key)) return null
  if (isChannelKey(key)) return 'this channel is not supported yet in this version'
  const near = suggestion(key, OWN_FORMAT.keys())
  if (key.startsWith('$')) return `unknown key${near}; names that begin with $ are SuprSend's own`
  if (/^ss_/i.test(key)) return 'names that begin with ss_ are reserved by SuprSend'
  if (key.trim() === '' || key.trim() !== key) return 'a property name must not be empty or begin or end with blanks'
  if (key === '__proto__' || !isStorable(key)) return 'this name cannot be a property'
  return null
}

const region = z.unknown().transform((input, context): NonNullable<Source['region']> => {
  if (typeof input === 'string') {
    const code = input.trim().toUpperCase()
    if (isRegion(code)) return { kind: 'const', value: code }
  }
  const column = isRecord(input) && Object.keys(input).length === 1 ? input.column : undefined
  if (typeof column === 'string' && isIdentifier(column)) return { kind: 'column', column }
  const message = 'expected an ISO 3166-1 country code such as IN, or {column: name}'
  context.issues.push({ code: 'custom', input, message })
  return z.NEVER
})

const constant = z.unknown().transform((input, context): Json => {
  if (isJson(input) && input !== null && isStorable(input)) return input
  const message = 'expected a text, a number JavaScript holds exactly (else quote it), true, false, a list or a mapping'
  context.issues.push({ code: 'custom', input, message })
  return z.NEVER
})

const SOURCE_KEYS = {
  column: columnName.optional(),
  const: constant.optional(),
  format: z.preprocess((input) => (Array.isArray(input) ? input : [input]), z.array(choice(FORMATS))).optional(),
  region: region.optional(),
}

const sourceSchema = z
  .strictObject(SOURCE_KEYS, {
    error: ({ code, input }) =>
      code === 'invalid_type'
        ? `expected a column's name or a source such as {column: name}, found ${shapeOf(input)}`
        : undefined,
  })
  .refine((source) => (source.column === undefined) !== (source.const === undefined), {
    message: 'needs exactly one of column and const',
    // Also where another key is wrong, for all problems are reported at once; but not where that is the missing one.
    when: ({ value, issues }) =>
      isRecord(value) &&
      !issues.some(({ code, path }) => code === 'unrecognized_keys' || path?.[0] === 'column' || path?.[0] === 'const'),
  })

/** A column's name stands for a source, a source for a list of one. */
export const sourcesSchema = z.preprocess(
  (input) =>
    (Array.isArray(input) ? input : [input]).map((item) => (typeof item === 'string' ? { column: item } : item)),
  z.array(sourceSchema).min(1, 'expected at least one source'),
)

export interface SourceProblem {
  readonly path: Path
  readonly message: string
}

/** The sources of a key; what fits its schema but not its key goes to `problems`. */
export function resolveSources(
  key: string,
  parsed: z.output<typeof sourcesSchema>,
  problems: SourceProblem[],
): Source[] {
  if (!isChannelKey(key) && parsed.length > 1) {
    problems.push({ path: [], message: 'only a channel takes a list of sources; a property has one value' })
  }
  return parsed.map((source, index) => {
    const formats = withOwnFormat(key, source.format ?? [])
    if (source.region !== undefined && !formats.includes('e164')) {
      problems.push({ path: [index, 'region'], message: 'a region only serves the format e164' })
    }
    const from: Source['from'] =
      source.column !== undefined
        ? { kind: 'column', column: source.column }
        : { kind: 'const', value: source.const ?? null }
    const resolved: Source = {
      from,
      when: null,
      default: null,
      map: null,
      formats,
      region: source.region ?? null,
      provider: null,
      bundleId: null,
    }
    const message = constantProblem(resolved)
    if (message !== null) problems.push({ path: [index, 'const'], message })
    return resolved
  })
}

function withOwnFormat(key: string, declared: readonly Format[]): readonly Format[] {
  const own = OWN_FORMAT.get(key)
  return own === undefined || declared.at(-1) === own ? declared : [...declared, own]
}

/** A constant that its format refuses would be left out for every user: better said now. */
function constantProblem({ from, formats, region }: Source): string | null {
  if (from.kind !== 'const' || region?.kind === 'column') return null
  for (const item of Array.isArray(from.value) ? from.value : [from.value]) {
    let value: Json = item
    for (const format of formats) {
      const formatted = applyFormat(format, value, { region: region?.value ?? null })
      if (formatted.kind === 'invalid') return `the constant is ${formatted.message}`
      value = formatted.value
    }
    if (value === null) return 'the constant is empty'
  }
  return null
}

function isJson(value: unknown): value is Json {
  if (typeof value === 'number')
    return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (Array.isArray(value)) return value.every(isJson)
  return isRecord(value) && Object.values(value).every(isJson)
}
