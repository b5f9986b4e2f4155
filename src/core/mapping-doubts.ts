// What a mapping may well say, and hardly anybody means: `check` warns of it, and refuses nothing.
import { expressionDoubt } from './expression-doubt.ts'
import { type ColumnUse, childUses, usersUses } from './mapped-columns.ts'
import type { MappingSpec, TableMapping } from './mapping-spec.ts'
import { CHANNEL_KEYS, RESERVED_PROPERTIES } from './profile.ts'
import type { Table } from './row.ts'
import { userReferences } from './user-key.ts'

export interface MappingDoubt {
  readonly code: 'property_named_like_channel' | 'user_not_foreign_key' | 'expression_doubtful'
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

/** Of a mapping that fits the tables. @param tables the users table, then the child tables. */
export function tableDoubts(spec: MappingSpec, tables: readonly Table[]): readonly MappingDoubt[] {
  const uses = [usersUses(spec), ...spec.children.map(childUses)]
  const ofExpressions = tables.flatMap((table, at) => expressionDoubts(uses[at] ?? [], table))
  return [...ofExpressions, ...referenceDoubts(spec, tables)]
}

function expressionDoubts(uses: readonly ColumnUse[], table: Table): readonly MappingDoubt[] {
  const expressions = new Map(uses.flatMap(({ path, expression: text }) => (text === undefined ? [] : [[path, text]])))
  return [...expressions].flatMap(([path, text]) => {
    const message = expressionDoubt(text, table, path.endsWith('.when'))
    return message === null ? [] : [{ code: 'expression_doubtful', path, message: `${message}.` }]
  })
}

function referenceDoubts(spec: MappingSpec, [users, ...children]: readonly Table[]): readonly MappingDoubt[] {
  return spec.children.flatMap(({ user }, at) => {
    const child = children[at]
    const references = users === undefined || child === undefined ? [] : userReferences(users, child)
    const [first] = references
    if (first === undefined || references.some((columns) => columns.join() === user.join())) return []
    const message = `names ${user.join(', ')}, but a foreign key refers to the users table by ${first.join(', ')}.`
    return [{ code: 'user_not_foreign_key', path: `children[${at}].user`, message }]
  })
}

/** Beside the key itself it is meant: a property as well as a channel. */
function withoutDollar(key: string, given: ReadonlySet<string>, path: string): readonly MappingDoubt[] {
  const meant = [...CHANNEL_KEYS, ...RESERVED_PROPERTIES].find((known) => known === `$${key}`)
  if (meant === undefined || given.has(meant)) return []
  const message = `is a custom property of that name: did you mean ${meant}?`
  return [{ code: 'property_named_like_channel', path, message }]
}
