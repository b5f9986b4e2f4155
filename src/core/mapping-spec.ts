// The mapping as the configuration file states it, resolved and validated: the input of core/mapping.ts.
import type { Json } from './json.ts'

export const FORMATS = ['email', 'e164', 'timezone', 'language', 'locale', 'trim', 'lower'] as const
export type Format = (typeof FORMATS)[number]

export type OnDelete = 'delete' | 'clear' | 'keep'

/** Where one value comes from. */
export interface Source {
  readonly from: { readonly kind: 'column'; readonly column: string } | { readonly kind: 'const'; readonly value: Json }
  /** In the order they are applied. The key's own format (email for `$email`, …) comes last and is already in the list. */
  readonly formats: readonly Format[]
  /** Country for national phone numbers: ISO 3166-1 alpha-2, fixed or read from a column. */
  readonly region:
    | { readonly kind: 'const'; readonly value: string }
    | { readonly kind: 'column'; readonly column: string }
    | null
}

export interface MappingSpec {
  readonly distinctId: { readonly column: string }
  /** CEL over the row's columns; null = every row is a user. */
  readonly when: string | null
  readonly onDelete: OnDelete
  /** Profile key (`$email`, `name`, …) to its sources, in the file's order. */
  readonly profile: ReadonlyMap<string, readonly Source[]>
}
