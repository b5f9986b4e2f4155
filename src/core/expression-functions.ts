// The functions that mappings need beyond CEL's own: texts, lists, phone numbers, the first value that is not NULL, JSON in
// a text; and CEL's own where the library's would let a hostile row hold up the process: these stand under names of ours, which
// expression-rewrite.ts puts in the place of CEL's. Pure, without a clock. A NULL operand fits none of them but coalesce, and so
// yields NULL (expression.ts).
import type { Digits } from './expression-digits.ts'
import { ExpressionFailure, type Meter } from './expression-meter.ts'
import { compilePattern, type Pattern } from './expression-pattern.ts'
import { celFromJson, type Evaluation } from './expression-values.ts'
import type { Json } from './json.ts'
import { canonicalPhone } from './phone.ts'

/** The part of the library's environment that is used here. */
interface FunctionRegistry {
  registerFunction(signature: string, handler: (...args: never[]) => unknown): unknown
}

export const PREFIX = 'suprsync_'
/** CEL's own methods that stand under another name. */
export const RENAMED: ReadonlySet<string> = new Set(['matches', 'contains', 'indexOf', 'lastIndexOf', 'split', 'join'])

/** A phone number takes 5 to 10 microseconds. */
const PHONE_UNITS = 20
/** `1h30m` and the like. The library's reading of a longer one takes time with the third power of its digits. */
const MAX_DURATION = 64

export function withFunctions<R extends FunctionRegistry>(environment: R, { meter, digits }: Evaluation): R {
  const functions: readonly (readonly [string, (...args: never[]) => unknown])[] = [
    ...textFunctions(meter, digits),
    ...replacements(meter),
    ['suprsync_digits(dyn): dyn', (value: unknown) => digits.whole(value)],
    ['e164(string): dyn', (text: string) => phone(meter, text, null)],
    ['e164(string, string): dyn', (text: string, region: string) => phone(meter, text, region)],
    ['json(string): dyn', (text: string) => parsed(meter, text)],
    ['coalesce(dyn, dyn): dyn', first],
    ['coalesce(dyn, dyn, dyn): dyn', first],
    ['coalesce(dyn, dyn, dyn, dyn): dyn', first],
  ]
  for (const [signature, handler] of functions) environment.registerFunction(signature, handler)
  return environment
}

type Functions = readonly (readonly [string, (...args: never[]) => unknown])[]

function textFunctions(meter: Meter, digits: Digits): Functions {
  const lower = (text: string) => text.toLowerCase()
  const upper = (text: string) => text.toUpperCase()
  const split = (text: string, separator: string) => pieces(meter, text, separator)
  const replaced = (text: string, from: string, to: string) => {
    const parts = pieces(meter, text, from)
    meter.make(text.length + (parts.length - 1) * (to.length - from.length))
    return parts.join(to)
  }
  return [
    ['trim(string): string', (text: string) => text.trim()],
    ['lower(string): string', lower],
    ['string.lower(): string', lower],
    ['upper(string): string', upper],
    ['string.upper(): string', upper],
    ['split(string, string): list<string>', split],
    [
      'join(list, string): string',
      (list: readonly unknown[], separator: string) =>
        joined(
          meter,
          list.filter((item) => item !== null).map((item) => String(digits.whole(item))),
          separator,
        ),
    ],
    ['replace(string, string, string): string', replaced],
    ['string.replace(string, string): string', replaced],
  ]
}

/** What the library has under the names of RENAMED, and what the rewriter puts around what macros run over. */
function replacements(meter: Meter): Functions {
  const patterns = new Map<string, Pattern>()
  return [
    [
      'string.suprsync_matches(string): bool',
      (text: string, source: string) => {
        meter.charge(text.length / 50)
        return patternOf(patterns, source).test(text)
      },
    ],
    [
      'string.suprsync_contains(string): bool',
      (text: string, part: string) => {
        meter.search(text, part)
        return text.includes(part)
      },
    ],
    ['string.suprsync_indexOf(string): int', (text: string, part: string) => indexOf(meter, text, part)],
    [
      'string.suprsync_indexOf(string, int): int',
      (text: string, part: string, at: bigint) => indexOf(meter, text, part, at),
    ],
    ['string.suprsync_lastIndexOf(string): int', (text: string, part: string) => lastIndexOf(meter, text, part)],
    [
      'string.suprsync_lastIndexOf(string, int): int',
      (text: string, part: string, at: bigint) => lastIndexOf(meter, text, part, at),
    ],
    [
      'string.suprsync_split(string): list<string>',
      (text: string, separator: string) => pieces(meter, text, separator),
    ],
    [
      'string.suprsync_split(string, int): list<string>',
      (text: string, separator: string, limit: bigint) => {
        const parts = pieces(meter, text, separator)
        if (limit === 0n) return []
        if (limit < 0n || parts.length <= limit) return parts
        const last = Number(limit) - 1
        return [...parts.slice(0, last), parts.slice(last).join(separator)]
      },
    ],
    ['list<string>.suprsync_join(): string', (list: readonly unknown[]) => joinedTexts(meter, list, '')],
    [
      'list<string>.suprsync_join(string): string',
      (list: readonly unknown[], separator: string) => joinedTexts(meter, list, separator),
    ],
    ['suprsync_duration_text(string): string', durationText],
    [
      'suprsync_members(T): T',
      (items: unknown) => {
        meter.members(items)
        return items
      },
    ],
    [
      'suprsync_turns(T, int, bool): T',
      (items: unknown, each: bigint, wholeRow: boolean) => {
        meter.turns(items, Number(each), wholeRow)
        return items
      },
    ],
  ]
}

/** Constants of the expression, so that there are few. */
function patternOf(patterns: Map<string, Pattern>, source: string): Pattern {
  const known = patterns.get(source)
  if (known !== undefined) return known
  const compiled = compilePattern(source)
  if ('why' in compiled) throw new ExpressionFailure('invalid_regular_expression', 'no regular expression')
  patterns.set(source, compiled)
  return compiled
}

function pieces(meter: Meter, text: string, separator: string): readonly string[] {
  meter.search(text, separator)
  // An empty one gives a list of all letters.
  if (separator === '') meter.charge(text.length / 10)
  return text.split(separator)
}

function joined(meter: Meter, texts: readonly string[], separator: string): string {
  meter.make(texts.reduce((sum, text) => sum + text.length, 0) + Math.max(0, texts.length - 1) * separator.length)
  return texts.join(separator)
}

function joinedTexts(meter: Meter, list: readonly unknown[], separator: string): string {
  const texts = list.filter((item) => typeof item === 'string')
  if (texts.length < list.length) {
    throw new ExpressionFailure('invalid_list_element_type', 'a list that is joined must hold texts only')
  }
  return joined(meter, texts, separator)
}

function indexOf(meter: Meter, text: string, part: string, from = 0n): bigint {
  if (part === '') return from
  meter.search(text, part)
  return BigInt(text.indexOf(part, inside(text, from)))
}

function lastIndexOf(meter: Meter, text: string, part: string, from?: bigint): bigint {
  if (part === '') return from ?? BigInt(text.length)
  meter.search(text, part)
  return BigInt(from === undefined ? text.lastIndexOf(part) : text.lastIndexOf(part, inside(text, from)))
}

function inside(text: string, from: bigint): number {
  if (from < 0n || (from > 0n && from >= text.length)) {
    throw new ExpressionFailure('index_out_of_range', 'the search begins outside of the text')
  }
  return Number(from)
}

function durationText(text: string): string {
  if (text.length > MAX_DURATION) throw new ExpressionFailure('invalid_duration', 'no duration')
  return text
}

function phone(meter: Meter, text: string, region: string | null): string | null {
  meter.charge(PHONE_UNITS)
  meter.text(text.length)
  return canonicalPhone(text.trim(), region === null ? null : region.trim().toUpperCase())
}

function parsed(meter: Meter, text: string): unknown {
  meter.json(text.length)
  return celFromJson(JSON.parse(text) as Json, meter)
}

function first(...values: unknown[]): unknown {
  return values.find((value) => value !== null && value !== undefined) ?? null
}
