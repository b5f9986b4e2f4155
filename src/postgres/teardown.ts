// What `teardown` reads and drops at the source beside the slot (slot.ts).
import { quoteIdentifier } from './identifier.ts'
import { type Queryable, queryRows } from './query.ts'

/** `schema.table` of each table that was put into it; `all`: it was made for all tables or for whole schemas; null: there is none. */
export async function readPublishedTables(client: Queryable, name: string): Promise<readonly string[] | 'all' | null> {
  const [row] = await queryRows<{ all: boolean; schemas: boolean; tables: readonly string[] }>(
    client,
    `SELECT p.puballtables AS all, to_regclass('pg_catalog.pg_publication_namespace') IS NOT NULL AS schemas,
       ARRAY(SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_publication_rel r
             JOIN pg_catalog.pg_class c ON c.oid = r.prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE r.prpubid = p.oid ORDER BY 1) AS tables
     FROM pg_catalog.pg_publication p WHERE p.pubname = $1`,
    [name],
  )
  if (row === undefined) return null
  if (row.all || (row.schemas && (await publishesSchemas(client, name)))) return 'all'
  return row.tables
}

/** Since PostgreSQL 15. */
async function publishesSchemas(client: Queryable, name: string): Promise<boolean> {
  const rows = await queryRows(
    client,
    `SELECT FROM pg_catalog.pg_publication_namespace s JOIN pg_catalog.pg_publication p ON p.oid = s.pnpubid
     WHERE p.pubname = $1 LIMIT 1`,
    [name],
  )
  return rows.length > 0
}

export async function dropPublication(client: Queryable, name: string): Promise<void> {
  await client.query('SET lock_timeout = 10000')
  await client.query(`DROP PUBLICATION IF EXISTS ${quoteIdentifier(name)}`)
}
