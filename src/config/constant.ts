// Constants of the mapping: exact JSON, and texts from the environment put behind a reference, so that no credential stands in
// a profile (DESIGN §4). Validation is done on the texts before.
import { z } from 'zod'
import type { Json } from '../core/json.ts'
import { isStorable } from '../core/json-text.ts'
import { fingerprintOf, holdsSecretMark, secretReference } from '../core/secret-reference.ts'
import type { Path } from './document.ts'
import { isRecord } from './record.ts'
import { Secret } from './secret.ts'

export const constant = z.unknown().transform((input, context): Json => {
  if (isJson(input) && input !== null && isStorable(input) && !holdsSecretMark(input)) return input
  const message = 'expected a text, a number JavaScript holds exactly (else quote it), true, false, a list or a mapping'
  context.issues.push({ code: 'custom', input, message })
  return z.NEVER
})

function isJson(value: unknown): value is Json {
  if (typeof value === 'number')
    return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (Array.isArray(value)) return value.every(isJson)
  return isRecord(value) && Object.values(value).every(isJson)
}

/** Puts references in the place of texts that came from the environment, and keeps what they stand for. */
export class SecretKeeper {
  readonly #variablesAt: (path: Path) => readonly string[]
  readonly #texts = new Map<string, Secret>()

  /** @param variablesAt the environment variables that stand in the scalar at a path of the file. */
  constructor(variablesAt: (path: Path) => readonly string[]) {
    this.#variablesAt = variablesAt
  }

  /** By the fingerprint of their references. */
  get texts(): ReadonlyMap<string, Secret> {
    return this.#texts
  }

  holdsVariable(value: Json, path: Path): boolean {
    return this.seal(value, path) !== value
  }

  /** The value itself where nothing in it came from the environment. */
  seal(value: Json, path: Path): Json {
    if (typeof value === 'string') {
      const variables = this.#variablesAt(path)
      if (variables.length === 0 || value === '') return value
      const reference = secretReference(variables.join(','), value)
      this.#texts.set(fingerprintOf(reference), new Secret(value))
      return reference
    }
    if (Array.isArray(value)) {
      const items = value.map((item: Json, index) => this.seal(item, [...path, index]))
      return items.some((item, index) => item !== value[index]) ? items : value
    }
    if (!isRecord(value)) return value
    const members = Object.entries(value).map(([key, member]) => [key, this.seal(member, [...path, key])] as const)
    return members.some(([key, member]) => member !== value[key]) ? Object.fromEntries(members) : value
  }
}
