// The functions that mappings need beyond CEL's own: texts, lists, phone numbers, the first value that is not NULL, JSON in
// a text. Pure, without a clock. A NULL operand fits none of them but coalesce, and so yields NULL (expression.ts).
import { celFromJson } from './expression-values.ts'
import type { Json } from './json.ts'
import { canonicalPhone } from './phone.ts'

/** The part of the library's environment that is used here. */
interface FunctionRegistry {
  registerFunction(signature: string, handler: (...args: never[]) => unknown): unknown
}

type Text = (text: string) => unknown

export function withFunctions<R extends FunctionRegistry>(environment: R): R {
  const functions: readonly (readonly [string, (...args: never[]) => unknown])[] = [
    ['trim(string): string', ((text) => text.trim()) satisfies Text],
    ['lower(string): string', ((text) => text.toLowerCase()) satisfies Text],
    ['string.lower(): string', ((text) => text.toLowerCase()) satisfies Text],
    ['upper(string): string', ((text) => text.toUpperCase()) satisfies Text],
    ['string.upper(): string', ((text) => text.toUpperCase()) satisfies Text],
    ['split(string, string): list<string>', (text: string, separator: string) => text.split(separator)],
    ['join(list, string): string', joined],
    ['replace(string, string, string): string', replaced],
    ['string.replace(string, string): string', replaced],
    ['e164(string): dyn', (text: string) => canonicalPhone(text.trim(), null)],
    ['e164(string, string): dyn', phoneIn],
    ['json(string): dyn', (text: string) => celFromJson(JSON.parse(text) as Json)],
    ['coalesce(dyn, dyn): dyn', first],
    ['coalesce(dyn, dyn, dyn): dyn', first],
    ['coalesce(dyn, dyn, dyn, dyn): dyn', first],
  ]
  for (const [signature, handler] of functions) environment.registerFunction(signature, handler)
  return environment
}

function joined(list: readonly unknown[], separator: string): string {
  return list
    .filter((item) => item !== null)
    .map(String)
    .join(separator)
}

function replaced(text: string, from: string, to: string): string {
  return text.replaceAll(from, () => to)
}

function phoneIn(text: string, region: string): string | null {
  return canonicalPhone(text.trim(), region.trim().toUpperCase())
}

function first(...values: unknown[]): unknown {
  return values.find((value) => value !== null && value !== undefined) ?? null
}
