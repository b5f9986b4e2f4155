// What a mapping may well say, and hardly anybody means: `check` warns of it, and refuses nothing.
import type { MappingSpec, TableMapping } from './mapping-spec.ts'
import { CHANNEL_KEYS, RESERVED_PROPERTIES } from './profile.ts'

export interface MappingDoubt {
  readonly code: 'property_named_like_channel'
  /** The configuration's key. */
  readonly path: string
  readonly message: string
}

export function mappingDoubts(spec: MappingSpec): readonly MappingDoubt[] {
  const tables: readonly TableMapping[] = [spec, ...spec.children]
  const given = new Set(tables.flatMap(({ profile }) => [...profile.keys()]))
  return tables.flatMap(({ profile }, at) => {
    const path = at === 0 ? '' : `children[${at - 1}].`
    return [...profile.keys()].flatMap((key) => withoutDollar(key, given, `${path}profile.${key}`))
  })
}

/** Beside the key itself it is meant: a property as well as a channel. */
function withoutDollar(key: string, given: ReadonlySet<string>, path: string): readonly MappingDoubt[] {
  const meant = [...CHANNEL_KEYS, ...RESERVED_PROPERTIES].find((known) => known === `$${key}`)
  if (meant === undefined || given.has(meant)) return []
  const message = `is a custom property of that name: did you mean ${meant}?`
  return [{ code: 'property_named_like_channel', path, message }]
}
