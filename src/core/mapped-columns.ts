// Which columns of each table a mapping reads, and where the file says so: what stream and pages decode, and no other.
import { expressionColumns } from './expression.ts'
import type { ChildSpec, From, MappingSpec, Source, TableMapping } from './mapping-spec.ts'

export interface ColumnUse {
  readonly column: string
  /** The configuration's key: `profile.$slack[1].access_token`. */
  readonly path: string
  /** What stands there: a source, of which a column is but one kind; a name and nothing else; or CEL. */
  readonly as: 'source' | 'name' | 'expression'
  /** The CEL in which it stands. */
  readonly expression?: string
}

/** Every column of the users table that the mapping reads, once each, in the order of the file. */
export function mappedColumns(spec: MappingSpec): readonly string[] {
  return columnsOf(usersUses(spec))
}

/** Every column of a child table that the mapping reads. */
export function childColumns(child: ChildSpec): readonly string[] {
  return columnsOf(childUses(child, 0))
}

export function usersUses(spec: MappingSpec): readonly ColumnUse[] {
  const { distinctId } = spec
  const path = 'user.distinct_id'
  const id = distinctId.kind === 'column' ? name(distinctId.column, path) : uses(distinctId.expression, `${path}.value`)
  return [...id, ...tableUses(spec, '', 'user.when')]
}

/** @param at its place in `children`. */
export function childUses(child: ChildSpec, at: number): readonly ColumnUse[] {
  const path = `children[${at}].`
  return [...child.user.flatMap((column) => name(column, `${path}user`)), ...tableUses(child, path, `${path}when`)]
}

function columnsOf(all: readonly ColumnUse[]): readonly string[] {
  return [...new Set(all.map(({ column }) => column))]
}

function tableUses({ when, profile, properties }: TableMapping, path: string, whenPath: string): readonly ColumnUse[] {
  return [
    ...uses(when, whenPath),
    ...[...profile].flatMap(([key, sources]) =>
      sources.flatMap((source, index) =>
        sourceUses(source, `${path}profile.${key}${sources.length > 1 ? `[${index}]` : ''}`),
      ),
    ),
    ...properties.flatMap(({ column }) => name(column, `${path}properties.from`)),
  ]
}

function sourceUses({ from, when, region, provider, bundleId }: Source, path: string): readonly ColumnUse[] {
  const texts = Object.entries({ region, provider, bundle_id: bundleId })
  return [
    ...uses(when, `${path}.when`),
    ...fromUses(from, path),
    ...texts.flatMap(([key, text]) => (text?.kind === 'column' ? name(text.column, `${path}.${key}`) : [])),
  ]
}

function fromUses(from: From, path: string): readonly ColumnUse[] {
  switch (from.kind) {
    case 'column':
      return [{ column: from.column, path, as: 'source' }]
    case 'value':
      return uses(from.expression, `${path}.value`)
    case 'const':
      return []
    case 'object':
      return [...from.fields].flatMap(([field, source]) => sourceUses(source, `${path}.${field}`))
  }
}

function name(column: string, path: string): readonly ColumnUse[] {
  return [{ column, path, as: 'name' }]
}

function uses(expression: string | null, path: string): readonly ColumnUse[] {
  const columns = expression === null ? [] : expressionColumns(expression)
  return columns.map((column) => ({ column, path, as: 'expression', expression: expression ?? '' }))
}
