// From what the file says of one profile key to core's sources: which keys there are, which format and shape each has, and
// what a source may not say of it. Constants are tried out now: one that is refused would be left out for every user.
import { checkChannelValue, PROVIDERS } from '../core/channel-shape.ts'
import type { Json } from '../core/json.ts'
import { propertyNameProblem } from '../core/mapping-object.ts'
import type { Format, Source } from '../core/mapping-spec.ts'
import { CHANNEL_KEYS, isChannelKey, RESERVED_PROPERTIES } from '../core/profile.ts'
import type { Path } from './document.ts'
import { formatConstant } from './format-constant.ts'
import { parseSection } from './issues.ts'
import { isFieldForm, readFields } from './object-fields.ts'
import { constantsOf, type ReadItem, type Reading, sourceFrom } from './read-source.ts'
import { type ParsedSource, sourceSchema } from './source-schema.ts'
import { meantAmong } from './synonyms.ts'

/** The `$` keys that end in a format. */
const OWN_FORMAT: ReadonlyMap<string, Format> = new Map([
  ['$email', 'email'],
  ['$sms', 'e164'],
  ['$whatsapp', 'e164'],
  ['$timezone', 'timezone'],
  ['$preferred_language', 'language'],
  ['$locale', 'locale'],
])
const KNOWN_KEYS: readonly string[] = [...CHANNEL_KEYS, ...RESERVED_PROPERTIES]

/** Why a key cannot be mapped, or null. */
export function keyProblem(key: string): string | null {
  if (KNOWN_KEYS.includes(key)) return null
  const problem = propertyNameProblem(key)
  if (!key.startsWith('$')) return problem
  return `unknown key${meantAmong(key, KNOWN_KEYS) || `; known here: ${KNOWN_KEYS.join(', ')}`}; ${problem}`
}

export interface KeySources {
  readonly sources: readonly Source[]
  readonly isExclusive: boolean
}

/** Null when it has problems, which are then reported. */
export function readKey(value: unknown, base: Path, reading: Reading): KeySources | null {
  const { key, report } = reading
  const isList = Array.isArray(value)
  const items: readonly unknown[] = isList ? value : [value]
  if (isList && !isChannelKey(key)) {
    report(base, 'only a channel takes a list of sources; a property has one value')
  } else if (items.length === 0) report(base, 'expected at least one source')
  const read = items.map((item, index) => readItem(item, isList ? [...base, index] : base, reading))
  const sources = read.flatMap((it) => (it === null ? [] : [it.source]))
  if (sources.length < items.length || sources.length === 0) return null
  return { sources, isExclusive: read.some((it) => it?.isExclusive) }
}

function readItem(value: unknown, at: Path, reading: Reading): ReadItem | null {
  const { key, report, names } = reading
  if (isChannelKey(key) && isFieldForm(key, value)) return readFields(key, value, at, reading)
  if (names.refuses(value, at)) return null
  const parsed = parseSection({ schema: sourceSchema, value, base: at, report })
  if (parsed === null) return null
  for (const [name, message] of misfits(key, parsed)) report([...at, name], message)
  const source = sourceFrom(parsed, withOwnFormat(key, parsed.format ?? []), at, reading)
  for (const { value: constant, path, what } of constantsOf(parsed)) {
    const problem = constantProblem(key, constant, source)
    if (problem !== null) report([...at, ...path], `${what} is ${problem}`)
  }
  return { source, isExclusive: parsed.exclusive ?? false }
}

/** What the schema of a source allows and this key does not. */
function misfits(key: string, parsed: ParsedSource): readonly (readonly [string, string])[] {
  const found: [string, string][] = []
  const formats = withOwnFormat(key, parsed.format ?? [])
  const providers = isChannelKey(key) ? PROVIDERS[key] : undefined
  const { provider } = parsed
  if (parsed.region !== undefined && !formats.includes('e164'))
    found.push(['region', 'a region only serves the format e164'])
  if (provider !== undefined && providers === undefined)
    found.push(['provider', 'only $androidpush and $iospush have providers'])
  if (provider?.kind === 'const' && providers !== undefined && !providers.includes(provider.value))
    found.push(['provider', `expected ${providers.join(', ')}${meantAmong(provider.value, providers)}`])
  if (parsed.bundle_id !== undefined && key !== '$iospush') found.push(['bundle_id', 'only $iospush has a bundle id'])
  if (parsed.exclusive !== undefined && !isChannelKey(key))
    found.push(['exclusive', 'only a channel can be exclusive; a property always holds what is mapped'])
  return found
}

function withOwnFormat(key: string, declared: readonly Format[]): readonly Format[] {
  const own = OWN_FORMAT.get(key)
  return own === undefined || declared.at(-1) === own ? declared : [...declared, own]
}

function constantProblem(key: string, constant: Json, source: Source): string | null {
  for (const item of Array.isArray(constant) && isChannelKey(key) ? constant : [constant]) {
    const formatted = formatConstant(item, source)
    if (formatted.kind !== 'value') {
      if (formatted.kind === 'invalid') return formatted.message
      continue
    }
    if (!isChannelKey(key)) continue
    const checked = checkChannelValue(key, formatted.value)
    if (checked.kind === 'invalid') return `no value of ${key}: ${checked.message}`
  }
  return null
}
