// The whole catalogue as `init` needs it: every ordinary and partitioned table of the application, in three short
// statements that read no row of any table of its own. Needs no privilege on the tables.
import type { ForeignKey } from '../core/row.ts'
import type { QualifiedName, Survey, SurveyTable } from '../core/survey.ts'
import { DECLARED, type Declared, resolveTypes } from './column-type.ts'
import { FOREIGN_KEYS } from './foreign-keys.ts'
import { type Queryable, queryRows } from './query.ts'

/** Tables of about 20 columns each: 25 MB. Who has more (a schema for each tenant) names the table. */
const MAX_TABLES = 5_000

export interface SurveyOptions {
  readonly maxTables?: number
  /** A table that must be among them whatever the limit. */
  readonly first?: QualifiedName | null
}

export async function surveyTables(client: Queryable, options: SurveyOptions = {}): Promise<Survey> {
  const limit = options.maxTables ?? MAX_TABLES
  const first = options.first ?? null
  const found = await queryRows<TableRow>(client, TABLES, [limit + 1, first?.schema ?? null, first?.name ?? null])
  const tables = found.slice(0, limit)
  const columns = await queryRows<ColumnRow>(client, COLUMNS, [tables.map((table) => table.oid)])
  const types = await resolveTypes(client, [...new Set(columns.map((column) => column.typeOid))])
  const byTable = Map.groupBy(columns, (column) => column.table)
  return {
    truncated: found.length > limit,
    tables: tables.map((table): SurveyTable => {
      const { rows, ...facts } = table
      return {
        ...facts,
        // -1: never analysed.
        rowsEstimated: rows < 0 ? null : rows,
        columns: (byTable.get(table.oid) ?? []).flatMap((column) => {
          const type = types.get(column.typeOid)
          if (!type) return []
          const { name, notNull, generated, modifier, collation, labels, checks } = column
          return [
            {
              name,
              notNull,
              generated,
              modifier,
              collation,
              type,
              labels: labels.length > 0 ? labels : checks.flatMap(literals),
            },
          ]
        }),
      }
    }),
  }
}

/** Of a CHECK constraint's text: `((platform = ANY (ARRAY['ios'::text, 'android'::text])))` → ios, android. */
function literals(constraint: string): readonly string[] {
  if (!/= ANY|\) = '| = '|\bIN\b/.test(constraint)) return []
  return [...constraint.matchAll(/'((?:[^']|'')*)'::/g)].map(([, text = '']) => text.replaceAll("''", "'"))
}

interface TableRow {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly owner: string
  readonly owned: boolean
  readonly partitioned: boolean
  readonly rowSecurity: boolean
  readonly rows: number
  readonly key: readonly string[]
  readonly unique: readonly (readonly string[])[]
  readonly foreignKeys: readonly ForeignKey[]
}

// Schemas that belong to extensions and platforms hold no users of the application. Partitions stand for nothing of their own.
const TABLES = `
WITH uniques AS (
  SELECT i.indrelid AS relid, i.indisprimary AS is_primary,
         ARRAY(SELECT a.attname::text
               FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
               WHERE k.position <= i.indnkeyatts
               ORDER BY k.position) AS columns
  FROM pg_catalog.pg_index i
  WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
)
SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, pg_get_userbyid(c.relowner)::text AS owner,
       pg_has_role(c.relowner, 'USAGE') AS owned, c.relkind = 'p' AS partitioned, c.relrowsecurity AS "rowSecurity",
       c.reltuples::float8 AS rows,
       coalesce((SELECT to_json(u.columns) FROM uniques u WHERE u.relid = c.oid AND u.is_primary), '[]') AS key,
       coalesce((SELECT json_agg(u.columns) FROM uniques u WHERE u.relid = c.oid), '[]') AS unique,
       ${FOREIGN_KEYS} AS "foreignKeys"
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY (n.nspname, c.relname) IS NOT DISTINCT FROM ($2::name, $3::name) DESC, n.nspname <> 'public', n.nspname, c.relname
LIMIT $1`

interface ColumnRow extends Declared {
  readonly table: number
  readonly name: string
  readonly typeOid: number
  readonly notNull: boolean
  readonly generated: boolean
  readonly labels: readonly string[]
  readonly checks: readonly string[]
}

const COLUMNS = `
SELECT a.attrelid AS table, a.attname::text AS name, a.atttypid AS "typeOid", a.attnotnull AS "notNull",
       a.attgenerated <> '' AS generated, ${DECLARED},
       ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = a.atttypid
             ORDER BY e.enumsortorder LIMIT 100) AS labels,
       ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint k
             WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]) AS checks
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum`
