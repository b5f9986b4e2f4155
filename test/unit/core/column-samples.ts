// Column types and tables for the unit tests of core, as the catalogue would describe them.
import type { Column, ColumnType, Table } from '../../../src/core/row.ts'

export const OIDS = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  json: 114,
  float4: 700,
  float8: 701,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802,
} as const

export type TypeName = keyof typeof OIDS

export function type(name: TypeName): ColumnType {
  return { oid: OIDS[name], name, baseOid: OIDS[name], baseName: name, kind: 'base', element: null, delimiter: ',' }
}

export function arrayOf(element: ColumnType, delimiter = ','): ColumnType {
  return {
    oid: 99_999,
    name: `${element.name}[]`,
    baseOid: 99_999,
    baseName: `${element.name}[]`,
    kind: 'array',
    element,
    delimiter,
  }
}

export function ofKind(kind: ColumnType['kind'], name: string): ColumnType {
  return { oid: 88_888, name, baseOid: 88_888, baseName: name, kind, element: null, delimiter: ',' }
}

const plain = { modifier: -1, collation: 'none' } as const

/** `text?` is nullable. All columns are wanted, in this order; the first is the primary key. */
export function table(columns: { readonly [name: string]: TypeName | `${TypeName}?` | ColumnType }): Table {
  const described = Object.entries(columns).map(([name, given]): Column => {
    if (typeof given !== 'string') return { name, type: given, notNull: false, ...plain }
    const notNull = !given.endsWith('?')
    return { name, type: type((notNull ? given : given.slice(0, -1)) as TypeName), notNull, ...plain }
  })
  const key = described.slice(0, 1).map(({ name }) => name)
  return {
    ...{ oid: 16_384, schema: 'public', name: 'users', key, unique: [key], foreignKeys: [] },
    ...{ columns: described, wanted: described },
  }
}
