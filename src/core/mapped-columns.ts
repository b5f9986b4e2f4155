// Which columns of each table a mapping reads: what stream and pages decode, and no other.
import { expressionColumns } from './expression.ts'
import type { ChildSpec, From, MappingSpec, Source, TableMapping } from './mapping-spec.ts'

/** Every column of the users table that the mapping reads, once each, in the order of the file. */
export function mappedColumns(spec: MappingSpec): readonly string[] {
  const { distinctId } = spec
  const id = distinctId.kind === 'column' ? [distinctId.column] : expressionColumns(distinctId.expression)
  return [...new Set([...id, ...columnsOf(spec)])]
}

/** Every column of a child table that the mapping reads. */
export function childColumns(child: ChildSpec): readonly string[] {
  return [...new Set([...child.user, ...columnsOf(child)])]
}

function columnsOf({ when, profile, properties }: TableMapping): readonly string[] {
  return [
    ...(when === null ? [] : expressionColumns(when)),
    ...[...profile.values()].flat().flatMap(sourceColumns),
    ...properties.map(({ column }) => column),
  ]
}

function sourceColumns({ from, when, region, provider, bundleId }: Source): readonly string[] {
  const texts = [region, provider, bundleId].flatMap((text) => (text?.kind === 'column' ? [text.column] : []))
  return [...(when === null ? [] : expressionColumns(when)), ...fromColumns(from), ...texts]
}

function fromColumns(from: From): readonly string[] {
  switch (from.kind) {
    case 'column':
      return [from.column]
    case 'value':
      return expressionColumns(from.expression)
    case 'const':
      return []
    case 'object':
      return [...from.fields.values()].flatMap(sourceColumns)
  }
}
