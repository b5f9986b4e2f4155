// The publication: what the server says of it with respect to each table, and making it. We never write column lists or
// row filters (they make the application's own UPDATEs and DDL fail, DESIGN §5.1), and never alter a publication that
// exists: whether it fits is publicationProblems' pure decision, and the operator's to mend.
import { errorCode, SuprsyncError } from '../core/error.ts'
import { quoteIdentifier, quoteTable, type TableName } from './identifier.ts'
import { type Queryable, queryRows } from './query.ts'

export interface PublicationFacts {
  readonly insert: boolean
  readonly update: boolean
  readonly delete: boolean
  readonly truncate: boolean
  readonly viaRoot: boolean
  /** The table itself, or some partition of it, is published. */
  readonly hasTable: boolean
  readonly hasColumnList: boolean
  readonly hasRowFilter: boolean
}

// Column lists and row filters exist since PostgreSQL 15: read as JSON, they are null before. Both of a partitioned
// table may also stand at its partitions.
const PUBLICATION = `
SELECT p.pubinsert AS insert, p.pubupdate AS update, p.pubdelete AS delete, p.pubtruncate AS truncate, p.pubviaroot AS "viaRoot",
       EXISTS (SELECT FROM pg_catalog.pg_publication_tables t JOIN family f ON f.schema = t.schemaname AND f.name = t.tablename
               WHERE t.pubname = p.pubname) AS "hasTable",
       EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN family f ON f.oid = r.prrelid
               WHERE r.prpubid = p.oid AND to_jsonb(r) ->> 'prattrs' IS NOT NULL) AS "hasColumnList",
       EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN family f ON f.oid = r.prrelid
               WHERE r.prpubid = p.oid AND to_jsonb(r) ->> 'prqual' IS NOT NULL) AS "hasRowFilter"
FROM pg_catalog.pg_publication p
WHERE p.pubname = $1`

const FAMILY = `
WITH family AS (
  SELECT c.oid, n.nspname AS schema, c.relname AS name
  FROM pg_catalog.pg_class root
  JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
  CROSS JOIN LATERAL (SELECT root.oid AS relid UNION SELECT relid FROM pg_catalog.pg_partition_tree(root.oid)) tree
  JOIN pg_catalog.pg_class c ON c.oid = tree.relid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE rn.nspname = $2 AND root.relname = $3
)`

/** Null when there is no such publication. */
export async function describePublication(
  client: Queryable,
  name: string,
  table: TableName,
): Promise<PublicationFacts | null> {
  const rows = await queryRows<PublicationFacts>(client, FAMILY + PUBLICATION, [name, table.schema, table.name])
  return rows[0] ?? null
}

export interface PublicationProblem {
  readonly message: string
  readonly sql: string
}

export interface PublishedTable {
  readonly name: TableName
  readonly partitioned: boolean
}

/** Why an existing publication does not serve us; empty = it does. Pure. */
export function publicationProblems(
  name: string,
  facts: PublicationFacts,
  table: PublishedTable,
): readonly PublicationProblem[] {
  const publication = quoteIdentifier(name)
  const relation = quoteTable(table.name)
  const problems: PublicationProblem[] = []
  if (!facts.hasTable) {
    problems.push({
      message: `The publication ${publication} does not contain the table ${relation}.`,
      sql: `ALTER PUBLICATION ${publication} ADD TABLE ONLY ${relation};`,
    })
  }
  if (facts.hasColumnList || facts.hasRowFilter) {
    const what = [facts.hasColumnList ? 'a column list' : '', facts.hasRowFilter ? 'a row filter' : '']
    problems.push({
      message: `The publication ${publication} has ${what.filter(Boolean).join(' and ')} on ${relation}, which makes the application's own UPDATEs and DDL fail.`,
      sql: `ALTER PUBLICATION ${publication} DROP TABLE ONLY ${relation};\nALTER PUBLICATION ${publication} ADD TABLE ONLY ${relation};`,
    })
  }
  const unpublished = (['insert', 'update', 'delete', 'truncate'] as const).filter((operation) => !facts[operation])
  if (unpublished.length > 0) {
    problems.push({
      message: `The publication ${publication} does not publish ${unpublished.join(', ')}.`,
      sql: `ALTER PUBLICATION ${publication} SET (publish = 'insert, update, delete, truncate');`,
    })
  }
  if (table.partitioned && !facts.viaRoot) {
    problems.push({
      message: `The publication ${publication} publishes the partitions of ${relation} under their own names.`,
      sql: `ALTER PUBLICATION ${publication} SET (publish_via_partition_root = true);`,
    })
  }
  return problems
}

/** The statement for us or, where our role may not, for the table's owner. */
export function createPublicationSql(name: string, tables: readonly PublishedTable[]): string {
  // ONLY: a table that inherits from this one is no part of it. Partitions are, whatever is written.
  const options = [
    "publish = 'insert, update, delete, truncate'",
    ...(tables.some(({ partitioned }) => partitioned) ? ['publish_via_partition_root = true'] : []),
  ]
  const names = tables.map((table) => `ONLY ${quoteTable(table.name)}`)
  return `CREATE PUBLICATION ${quoteIdentifier(name)} FOR TABLE ${names.join(', ')} WITH (${options.join(', ')})`
}

export interface EnsurePublicationOptions {
  readonly name: string
  readonly tables: readonly PublishedTable[]
  /** Make it when it is missing. */
  readonly create: boolean
  /** CREATE PUBLICATION waits for VACUUM and DDL on the table, which must not be for ever. */
  readonly lockTimeoutMs?: number
}

/**
 * One statement, so a crash leaves it done or not done; a second process that was quicker is as good. The client must be
 * a connection of its own, not a pool.
 * @throws SuprsyncError `publication_missing`, `publication_mismatch`; the server's error when it may not be created.
 */
export async function ensurePublication(
  client: Queryable,
  options: EnsurePublicationOptions,
): Promise<'exists' | 'created'> {
  const { name, tables } = options
  if (await fits(client, name, tables)) return 'exists'
  if (!options.create) {
    throw new SuprsyncError('publication_missing', `There is no publication ${quoteIdentifier(name)}.`)
  }
  await client.query(`SET lock_timeout = ${options.lockTimeoutMs ?? 10_000}`)
  try {
    await client.query(createPublicationSql(name, tables))
    return 'created'
  } catch (error) {
    // duplicate_object, or the unique index when both inserted at the same instant.
    const raced = errorCode(error) === '42710' || errorCode(error) === '23505'
    if (raced && (await fits(client, name, tables))) return 'exists'
    throw error
  } finally {
    await client.query('RESET lock_timeout').catch(() => undefined) // A broken connection keeps no setting.
  }
}

async function fits(client: Queryable, name: string, tables: readonly PublishedTable[]): Promise<boolean> {
  for (const table of tables) {
    const facts = await describePublication(client, name, table.name)
    if (!facts) return false
    const [problem] = publicationProblems(name, facts, table)
    if (problem) throw new SuprsyncError('publication_mismatch', problem.message)
  }
  return true
}
