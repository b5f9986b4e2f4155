// JSON as values and as canonical text. Owns the one rule by which two documents count as equal: canonical text,
// object keys sorted by code unit, arrays in order. Hashes are taken of that text and of nothing else.
import { hash } from 'node:crypto'

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Canonical JSON text: `{"a":1,"b":[2]}` whatever the order the keys came in. */
export function canonical(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isJsonObject(value)) {
    const members = Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonical(value[key] ?? null)}`)
    return `{${members.join(',')}}`
  }
  return `[${value.map(canonical).join(',')}]`
}

export function sameJson(a: Json, b: Json): boolean {
  return a === b || canonical(a) === canonical(b)
}

/** 128 bits of SHA-256 over UTF-8 text, as 32 hexadecimal digits: enough that two profiles of one user never collide. */
export function digest(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 32)
}
