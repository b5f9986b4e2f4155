// What `init` sees of a database: its tables with columns, keys and references, as the catalogue tells them. No row is
// read. The edge fills it (postgres/survey.ts); the guess-*.ts files beside this one say what follows from it.
import type { Column, ColumnType, ForeignKey, Table } from './row.ts'
import { OID } from './values.ts'

export interface QualifiedName {
  readonly schema: string
  readonly name: string
}

export interface SurveyColumn extends Column {
  readonly generated: boolean
  /** The texts it may hold, where an enum or a CHECK constraint of this one column says so; else empty. */
  readonly labels: readonly string[]
}

export interface SurveyTable extends QualifiedName {
  readonly oid: number
  readonly owner: string
  /** We are the owner, or may act as it. */
  readonly owned: boolean
  readonly partitioned: boolean
  /** Policies may hide rows from who is neither the owner nor exempt. */
  readonly rowSecurity: boolean
  /** Null when the server never counted. */
  readonly rowsEstimated: number | null
  readonly columns: readonly SurveyColumn[]
  /** Primary key in key order; empty when there is none. */
  readonly key: readonly string[]
  /** Sets of columns that are unique at once and over all rows, the primary key among them. */
  readonly unique: readonly (readonly string[])[]
  readonly foreignKeys: readonly ForeignKey[]
}

export interface Survey {
  readonly tables: readonly SurveyTable[]
  /** There are more tables than were read. */
  readonly truncated: boolean
}

/** What guesses ask of a type. `other` is readable, but says nothing by itself: inet, ranges, intervals and the like. */
export type ColumnKind =
  | 'text'
  | 'enum'
  | 'uuid'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'instant'
  | 'json'
  | 'texts'
  | 'other'

const KINDS: ReadonlyMap<number, ColumnKind> = new Map<number, ColumnKind>([
  [25, 'text'],
  [1042, 'text'],
  [1043, 'text'],
  [19, 'text'],
  [OID.uuid, 'uuid'],
  [OID.int2, 'integer'],
  [OID.int4, 'integer'],
  [OID.int8, 'integer'],
  [OID.numeric, 'number'],
  [OID.float4, 'number'],
  [OID.float8, 'number'],
  [OID.bool, 'boolean'],
  [OID.date, 'instant'],
  [OID.timestamp, 'instant'],
  [OID.timestamptz, 'instant'],
  [OID.json, 'json'],
  [OID.jsonb, 'json'],
])

export function kindOf(type: ColumnType): ColumnKind {
  if (type.kind === 'enum') return 'enum'
  if (type.kind === 'array') return type.element !== null && kindOf(type.element) === 'text' ? 'texts' : 'other'
  // citext comes with an extension, so that its OID differs from database to database.
  if (type.kind === 'base' && /(^|\.)citext$/.test(type.baseName)) return 'text'
  return KINDS.get(type.baseOid) ?? 'other'
}

export function sameName(a: QualifiedName, b: QualifiedName): boolean {
  return a.schema === b.schema && a.name === b.name
}

/** For comments and messages, not SQL. */
export function plainName({ schema, name }: QualifiedName): string {
  return `${schema}.${name}`
}

/** As stream, pages and expressions know it, reading the given columns. */
export function asTable(table: SurveyTable, wanted: readonly string[]): Table {
  const byName = new Map(table.columns.map((column) => [column.name, column]))
  const names = [...new Set([...table.key, ...wanted])]
  return {
    oid: table.oid,
    schema: table.schema,
    name: table.name,
    key: table.key,
    unique: table.unique,
    foreignKeys: table.foreignKeys,
    columns: table.columns,
    wanted: names.flatMap((name) => byName.get(name) ?? []),
  }
}
