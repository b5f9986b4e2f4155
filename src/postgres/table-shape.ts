// How a followed table looks to us right now, as texts that are compared: what changes them may have changed rows without a word in
// the stream (a column that was rewritten, a partition that came with its rows), or kept changes out of it (the publication).
// One cheap question to the catalogue for each table.
import type { Table } from '../core/row.ts'
import type { TableShape } from '../core/table-shape.ts'
import type { TableName } from './identifier.ts'
import { type Queryable, queryRows } from './query.ts'

// An enum's value that is renamed is another text in every row. xmin: each change of the publication's own row, and each time that a partition is attached, is a new version of it. A longer varchar changes no value.
const shapeSql = (schemas: boolean) => `
WITH family AS (
  SELECT c.oid, c.relfilenode, c.relreplident, (SELECT string_agg(i.inhparent || '.' || i.xmin::text, '+') FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid) AS since
  FROM pg_catalog.pg_class root
  JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
  CROSS JOIN LATERAL (
    SELECT root.oid AS relid UNION SELECT relid FROM pg_catalog.pg_partition_tree(root.oid)
    UNION SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = root.oid) tree
  JOIN pg_catalog.pg_class c ON c.oid = tree.relid
  WHERE rn.nspname = $1 AND root.relname = $2)
SELECT c.oid,
  (SELECT json_agg(a.attname ORDER BY k.position)::text FROM pg_catalog.pg_index i
   CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
   JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
   WHERE i.indrelid = c.oid AND i.indisprimary AND k.position <= i.indnkeyatts) AS key,
  (SELECT json_object_agg(a.attname, concat_ws(' ', a.attnum, a.atttypid, CASE WHEN a.atttypid <> 1043 THEN a.atttypmod END,
     (SELECT md5(string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)) FROM pg_catalog.pg_enum e
      WHERE e.enumtypid IN (t.oid, t.typbasetype, t.typelem))))::text
   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY ($3::text[])) AS columns,
  (SELECT md5(string_agg(concat(f.oid, ' ', f.since), ',' ORDER BY f.oid)) FROM family f WHERE f.oid <> c.oid) AS partitions,
  (SELECT md5(string_agg(f.relfilenode::text, ',' ORDER BY f.oid)) FROM family f) AS storage,
  (SELECT md5(string_agg(f.relreplident::text, ',' ORDER BY f.oid)) FROM family f) AS identity,
  (SELECT concat_ws(' ', p.oid, p.xmin::text,
     (SELECT string_agg(r.oid::text, ',' ORDER BY r.oid) FROM pg_catalog.pg_publication_rel r JOIN family f ON f.oid = r.prrelid
      WHERE r.prpubid = p.oid)
     ${schemas ? `, (SELECT string_agg(s.oid::text, ',' ORDER BY s.oid) FROM pg_catalog.pg_publication_namespace s WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace)` : ''})
   FROM pg_catalog.pg_publication p WHERE p.pubname = $4) AS membership
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2`

interface ShapeRow {
  readonly oid: number
  readonly key: string | null
  readonly columns: string | null
  readonly partitions: string | null
  readonly storage: string
  readonly identity: string
  readonly membership: string | null
}

/** Null when there is no table of that name. */
export async function readTableShape(
  client: Queryable,
  publication: string,
  { schema, name, wanted }: TableName & Pick<Table, 'wanted'>,
): Promise<TableShape | null> {
  // Whole schemas are published since PostgreSQL 15.
  const [server] = await queryRows<{ schemas: boolean }>(
    client,
    "SELECT to_regclass('pg_catalog.pg_publication_namespace') IS NOT NULL AS schemas",
  )
  const columns = wanted.map((column) => column.name)
  const text = shapeSql(server?.schemas ?? false)
  const [row] = await queryRows<ShapeRow>(client, text, [schema, name, columns, publication])
  if (row === undefined) return null
  return {
    oid: row.oid,
    key: row.key ?? '[]',
    columns: JSON.parse(row.columns ?? '{}') as TableShape['columns'],
    partitions: row.partitions ?? '',
    storage: row.storage,
    identity: row.identity,
    membership: row.membership,
  }
}
