// The users table as the catalogue describes it: the Table that stream, pages and mapping share, and the further facts
// that only the checks need. One table, read without any privilege on it. Names are exact catalogue names.
import { nearest } from '../core/nearest.ts'
import type { Column, ForeignKey, Table } from '../core/row.ts'
import { DECLARED, type Declared, resolveTypes } from './column-type.ts'
import { FOREIGN_KEYS } from './foreign-keys.ts'
import type { TableName } from './identifier.ts'
import { type Queryable, queryRows } from './query.ts'

export { resolveType } from './column-type.ts'

export type RelationKind = 'table' | 'partitioned' | 'view' | 'materialized view' | 'foreign table' | 'other'
export type ReplicaIdentity = 'default' | 'nothing' | 'full' | 'index'

/** A relation that holds rows of the table: the table itself, or each leaf of a partitioned one. */
export interface Storage {
  readonly name: TableName
  readonly kind: RelationKind
  readonly unlogged: boolean
  readonly identity: ReplicaIdentity
  /** What identifies a row in the WAL of an UPDATE or DELETE; empty = nothing, and then those statements fail. */
  readonly identityColumns: readonly string[]
  /** The primary key is deferrable, which PostgreSQL does not take as a replica identity. */
  readonly deferrableKey: boolean
}

export interface TableFacts {
  readonly oid: number
  readonly name: TableName
  readonly kind: RelationKind
  readonly isPartition: boolean
  /** Other tables inherit from it (not partitions): their rows show in it, their changes do not. */
  readonly hasChildren: boolean
  readonly columns: readonly Column[]
  /** In key order; empty when there is none. */
  readonly key: readonly string[]
  /** Columns that are unique on their own, at once and over all rows. */
  readonly uniqueColumns: readonly string[]
  /** Sets of columns that are unique together, single ones and the primary key among them. */
  readonly uniqueSets: readonly (readonly string[])[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly generatedColumns: readonly string[]
  readonly storages: readonly Storage[]
}

export interface MissingName {
  readonly what: 'table' | 'column'
  readonly name: string
  /** What was probably meant. */
  readonly nearest: string | null
}

export type TableDescription =
  | { readonly kind: 'ok'; readonly table: Table }
  | { readonly kind: 'missing'; readonly missing: readonly MissingName[] }

/** The table with the columns we read: its primary key, then `wantedColumns` in their order. */
export async function describeTable(
  client: Queryable,
  name: TableName,
  wantedColumns: readonly string[],
): Promise<TableDescription> {
  const facts = await readTableFacts(client, name)
  if (facts) return tableFrom(facts, wantedColumns)
  return { kind: 'missing', missing: [await missingTable(client, name)] }
}

export function tableFrom(facts: TableFacts, wantedColumns: readonly string[]): TableDescription {
  const byName = new Map(facts.columns.map((column) => [column.name, column]))
  const names = [...byName.keys()]
  const missing = [...new Set(wantedColumns)]
    .filter((name) => !byName.has(name))
    .map((name) => ({ what: 'column' as const, name, nearest: nearest(name, names) }))
  if (missing.length > 0) return { kind: 'missing', missing }
  const wanted = [...new Set([...facts.key, ...wantedColumns])].flatMap((name) => byName.get(name) ?? [])
  const { oid, key, columns, uniqueSets: unique, foreignKeys } = facts
  const { schema, name } = facts.name
  return { kind: 'ok', table: { oid, schema, name, key, unique, foreignKeys, columns, wanted } }
}

/** Null when there is no such relation. */
export async function readTableFacts(client: Queryable, name: TableName): Promise<TableFacts | null> {
  const [relation] = await queryRows<RelationRow>(client, RELATION, [name.schema, name.name])
  if (!relation) return null
  const columns = await queryRows<ColumnRow>(client, COLUMNS, [relation.oid])
  const types = await resolveTypes(client, [...new Set(columns.map((column) => column.typeOid))])
  const storages = await queryRows<StorageRow>(client, STORAGES, [relation.oid])
  return {
    oid: relation.oid,
    name,
    kind: relationKind(relation.kind),
    isPartition: relation.isPartition,
    hasChildren: relation.hasChildren,
    key: relation.key,
    uniqueColumns: relation.uniqueColumns,
    uniqueSets: JSON.parse(relation.uniqueSets) as string[][],
    foreignKeys: JSON.parse(relation.foreignKeys) as ForeignKey[],
    columns: columns.flatMap((column) => {
      const type = types.get(column.typeOid)
      if (!type) return []
      const { name, notNull, modifier, collation } = column
      return [{ name, type: { ...type, name: column.typeName }, notNull, modifier, collation }]
    }),
    generatedColumns: columns.filter((column) => column.generated).map((column) => column.name),
    storages: storages.map((row) => ({
      name: { schema: row.schema, name: row.name },
      kind: relationKind(row.kind),
      unlogged: row.unlogged,
      identity: IDENTITIES[row.identity] ?? 'nothing',
      identityColumns: row.identityColumns,
      deferrableKey: row.deferrableKey,
    })),
  }
}

export async function missingTable(client: Queryable, name: TableName): Promise<MissingName> {
  const rows = await queryRows<{ name: string }>(client, TABLE_NAMES)
  const wanted = `${name.schema}.${name.name}`
  return {
    what: 'table',
    name: wanted,
    nearest: nearest(
      wanted,
      rows.map((row) => row.name),
    ),
  }
}

interface RelationRow {
  readonly oid: number
  readonly kind: string
  readonly isPartition: boolean
  readonly hasChildren: boolean
  readonly key: readonly string[]
  readonly uniqueColumns: readonly string[]
  /** JSON: a list of lists of columns. */
  readonly uniqueSets: string
  /** Likewise: a list of ForeignKey. */
  readonly foreignKeys: string
}

const RELATION = `
SELECT c.oid, c.relkind::text AS kind, c.relispartition AS "isPartition",
       c.relkind <> 'p' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid) AS "hasChildren",
       ARRAY(SELECT a.attname::text
             FROM pg_catalog.pg_index i
             CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
             WHERE i.indrelid = c.oid AND i.indisprimary AND k.position <= i.indnkeyatts
             ORDER BY k.position) AS key,
       ARRAY(SELECT DISTINCT a.attname::text
             FROM pg_catalog.pg_index i
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
               AND i.indnkeyatts = 1 AND i.indpred IS NULL) AS "uniqueColumns",
       (SELECT coalesce(json_agg(keys.names), '[]')
        FROM pg_catalog.pg_index i
        CROSS JOIN LATERAL (
          SELECT json_agg(a.attname ORDER BY k.position) AS names, count(*) AS named
          FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
          WHERE k.position <= i.indnkeyatts) keys
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
          AND i.indpred IS NULL AND keys.named = i.indnkeyatts)::text AS "uniqueSets",
       (${FOREIGN_KEYS})::text AS "foreignKeys"
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind NOT IN ('i', 'I', 't')`

interface ColumnRow extends Declared {
  readonly name: string
  readonly typeOid: number
  readonly typeName: string
  readonly notNull: boolean
  readonly generated: boolean
}

const COLUMNS = `
SELECT a.attname::text AS name, a.atttypid AS "typeOid", pg_catalog.format_type(a.atttypid, a.atttypmod) AS "typeName",
       a.attnotnull AS "notNull", a.attgenerated <> '' AS generated,
       ${DECLARED}
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`

interface StorageRow {
  readonly schema: string
  readonly name: string
  readonly kind: string
  readonly unlogged: boolean
  readonly identity: string
  readonly identityColumns: readonly string[]
  readonly deferrableKey: boolean
}

// pg_partition_tree gives nothing for what has to do with no partition: that holds its rows itself.
const STORAGES = `
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind, c.relpersistence = 'u' AS unlogged,
       c.relreplident::text AS identity,
       ARRAY(SELECT a.attname::text
             FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND (c.relreplident = 'f' OR EXISTS (
                 SELECT FROM pg_catalog.pg_index i
                 WHERE i.indrelid = c.oid AND i.indimmediate AND i.indisvalid AND a.attnum = ANY (i.indkey::int2[])
                   AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)))
             ORDER BY a.attnum) AS "identityColumns",
       EXISTS (SELECT FROM pg_catalog.pg_index i
               WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate) AS "deferrableKey"
FROM (SELECT $1::oid AS relid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1::oid) WHERE isleaf) tree
JOIN pg_catalog.pg_class c ON c.oid = tree.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind <> 'p'
ORDER BY 1, 2`

const TABLE_NAMES = `
SELECT n.nspname || '.' || c.relname AS name
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY 1
LIMIT 10000`

const IDENTITIES: Readonly<Record<string, ReplicaIdentity>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }

function relationKind(relkind: string): RelationKind {
  switch (relkind) {
    case 'r':
      return 'table'
    case 'p':
      return 'partitioned'
    case 'v':
      return 'view'
    case 'm':
      return 'materialized view'
    case 'f':
      return 'foreign table'
    default:
      return 'other'
  }
}
