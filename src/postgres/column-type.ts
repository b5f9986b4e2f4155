// Types of the catalogue as ColumnType: domains resolved to what they stand on, arrays with their elements, to any depth.
import type { Column, ColumnType } from '../core/row.ts'
import { type Queryable, queryRows } from './query.ts'

interface TypeRow {
  readonly oid: number
  readonly name: string
  readonly typtype: string
  readonly base: number
  readonly element: number | null
  readonly delimiter: string
}

// An array type is what its element names as its array: `typelem` alone is also set for name, point, box and int2vector,
// whose text has no braces. https://www.postgresql.org/docs/current/catalog-pg-type.html
const TYPES = `
WITH RECURSIVE reached(oid) AS (
  SELECT unnest($1::oid[])
  UNION
  SELECT next.oid
  FROM reached
  JOIN pg_catalog.pg_type t ON t.oid = reached.oid
  CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem)) next(oid)
  WHERE next.oid <> 0
)
SELECT t.oid, pg_catalog.format_type(t.oid, NULL) AS name, t.typtype::text, t.typbasetype AS base,
       e.oid AS element, coalesce(e.typdelim, t.typdelim)::text AS delimiter
FROM reached
JOIN pg_catalog.pg_type t ON t.oid = reached.oid
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid`

/** What a column declares beside its type. */
export type Declared = Pick<Column, 'modifier' | 'collation'>

/**
 * The same in SQL, of `pg_attribute a`. A column of a domain has no modifier of its own, and of domains on domains one at most
 * declares it.
 */
export const DECLARED = `
  greatest(a.atttypmod, (
    WITH RECURSIVE chain(base, typmod) AS (
      SELECT t.typbasetype, t.typtypmod FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid AND t.typtype = 'd'
      UNION ALL
      SELECT t.typbasetype, t.typtypmod FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.base AND t.typtype = 'd')
    SELECT max(typmod) FROM chain)) AS modifier,
  coalesce((SELECT CASE WHEN l.collisdeterministic THEN 'deterministic' ELSE 'nondeterministic' END
            FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation), 'none') AS collation`

const KINDS: Readonly<Record<string, ColumnType['kind']>> = {
  b: 'base',
  e: 'enum',
  r: 'range',
  m: 'range',
  c: 'composite',
}

/** By OID; an OID that no longer exists is absent. */
export async function resolveTypes(
  client: Queryable,
  oids: readonly number[],
): Promise<ReadonlyMap<number, ColumnType>> {
  const rows = new Map<number, TypeRow>()
  for (const row of await queryRows<TypeRow>(client, TYPES, [oids])) rows.set(row.oid, row)
  const resolved = new Map<number, ColumnType>()
  for (const oid of oids) {
    const type = build(oid, rows)
    if (type) resolved.set(oid, type)
  }
  return resolved
}

/** A type that a Relation message brought. Null when it was dropped in the meantime. */
export async function resolveType(client: Queryable, oid: number): Promise<ColumnType | null> {
  return (await resolveTypes(client, [oid])).get(oid) ?? null
}

function build(oid: number, rows: ReadonlyMap<number, TypeRow>): ColumnType | null {
  const row = rows.get(oid)
  if (!row) return null
  if (row.typtype === 'd') {
    const base = build(row.base, rows)
    return base && { ...base, oid, name: row.name }
  }
  const element = row.element === null ? null : build(row.element, rows)
  return {
    oid,
    name: row.name,
    baseOid: oid,
    baseName: row.name,
    kind: element ? 'array' : (KINDS[row.typtype] ?? 'unknown'),
    element,
    delimiter: row.delimiter,
  }
}
