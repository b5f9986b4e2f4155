// The mapping as the configuration file states it, resolved and validated: the input of core/mapping.ts.
import type { Json } from './json.ts'
import type { ChannelKey } from './profile.ts'

export const FORMATS = [
  'email',
  'e164',
  'timezone',
  'language',
  'locale',
  'trim',
  'lower',
  'string',
  'number',
  'boolean',
  'json',
  'iso8601',
] as const
export type Format = (typeof FORMATS)[number]

export type OnDelete = 'delete' | 'clear' | 'keep'

/** A constant, or a column of the row. */
export type TextSource =
  | { readonly kind: 'const'; readonly value: string }
  | { readonly kind: 'column'; readonly column: string }

export type From =
  | { readonly kind: 'column'; readonly column: string }
  /** CEL over the row. */
  | { readonly kind: 'value'; readonly expression: string }
  /** May hold secret references (secret-reference.ts) in the place of texts that came from the environment. */
  | { readonly kind: 'const'; readonly value: Json }
  /** Field by field: `$slack`, `$ms_teams`, `$webpush`. NULL in one of them = the whole value is absent. */
  | { readonly kind: 'object'; readonly fields: ReadonlyMap<string, Source> }

/** Where values come from, and what is done with them, in this order: `when`, from, `default`, `map`, `formats`. */
export interface Source {
  readonly from: From
  /** CEL over the row: where it is not true the value is absent. */
  readonly when: string | null
  /** In the place of NULL. */
  readonly default: Json
  /** By the value's text. What is not in it is left out with a reason, unless there is a `default`, which then stands for it. */
  readonly map: ReadonlyMap<string, Json> | null
  /** In the order they are applied. The key's own format (email for `$email`, …) comes last and is already in the list. */
  readonly formats: readonly Format[]
  /** Country for national phone numbers: ISO 3166-1 alpha-2. */
  readonly region: TextSource | null
  /** Of push tokens; null: the channel's usual one. */
  readonly provider: TextSource | null
  readonly bundleId: TextSource | null
}

/** The members of a JSON object as properties. */
export interface PropertiesSource {
  readonly column: string
  /** null: all of them. */
  readonly pick: readonly string[] | null
}

/** What the rows of one table contribute to a profile. */
export interface TableMapping {
  /** CEL over the row's columns; null = every row counts. */
  readonly when: string | null
  /** Profile key (`$email`, `name`, …) to its sources, in the file's order. */
  readonly profile: ReadonlyMap<string, readonly Source[]>
  readonly properties: readonly PropertiesSource[]
  /** Channels that hold nothing but what is mapped, whoever added it. */
  readonly exclusive: readonly ChannelKey[]
}

/** A table whose rows belong to a user: devices, further addresses, a 1:1 table of settings. */
export interface ChildSpec extends TableMapping {
  readonly table: { readonly schema: string; readonly name: string }
  /** The columns that hold the users table's primary key, in the key's order. */
  readonly user: readonly string[]
}

export type DistinctId =
  | { readonly kind: 'column'; readonly column: string }
  | { readonly kind: 'value'; readonly expression: string }

export interface MappingSpec extends TableMapping {
  readonly distinctId: DistinctId
  readonly onDelete: OnDelete
  /** In the file's order, which is the order of their values in a channel. */
  readonly children: readonly ChildSpec[]
}

/** Marked by any of the tables. */
export function exclusiveKeys(spec: MappingSpec): ReadonlySet<ChannelKey> {
  return new Set([spec, ...spec.children].flatMap(({ exclusive }) => exclusive))
}
