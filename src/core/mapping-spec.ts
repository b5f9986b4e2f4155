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

/** What the rows of one table contribute to a profile. */
export interface TableMapping {
  /** CEL over the row's columns; null = every row counts. */
  readonly when: string | null
  /** Profile key (`$email`, `name`, …) to its sources, in the file's order. */
  readonly profile: ReadonlyMap<string, readonly Source[]>
}

/** A table whose rows belong to a user: devices, further addresses, a 1:1 table of settings. */
export interface ChildSpec extends TableMapping {
  readonly table: { readonly schema: string; readonly name: string }
  /** The columns that hold the users table's primary key, in the key's order. */
  readonly user: readonly string[]
}

export interface MappingSpec extends TableMapping {
  readonly distinctId: { readonly column: string }
  readonly onDelete: OnDelete
  /** In the file's order, which is the order of their values in a channel. */
  readonly children: readonly ChildSpec[]
}
