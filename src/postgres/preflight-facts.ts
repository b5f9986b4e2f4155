// What the checks need to know, read from the server in a few short statements and without changing anything. What
// follows from it is decided in server-findings.ts and table-findings.ts.
import { readTableFacts, type TableFacts } from './catalogue.ts'
import type { TableName } from './identifier.ts'
import type { PublicationFacts } from './publication.ts'
import { type Queryable, queryRows } from './query.ts'
import type { Slot } from './slot.ts'

export interface ServerFacts {
  /** As `server_version_num`: 180004. */
  readonly version: number
  readonly standby: boolean
  readonly walLevel: string
  readonly maxSlots: number
  readonly usedSlots: number
  readonly maxSenders: number
  readonly usedSenders: number
  /** max_slot_wal_keep_size in MB; -1 = no limit. */
  readonly walKeepMb: number
  /** Amazon's RDS or Aurora: WAL level and replication are granted in their own way. */
  readonly rds: boolean
  readonly database: string
  readonly role: string
  readonly canReplicate: boolean
  /** CREATE on the database: needed for a publication and for the state schema. */
  readonly canCreate: boolean
}

export interface TableAccess {
  readonly owner: string
  readonly isOwner: boolean
  readonly schemaUsage: boolean
  /** Columns that our role may not read. */
  readonly unreadable: readonly string[]
  /** Row security applies to our role. */
  readonly rowSecurity: boolean
}

/** What came of opening a replication connection and asking it who it is. */
export type ReplicationProbe =
  | { readonly kind: 'ok' }
  /** Not tried, because something else already stands against it. */
  | { readonly kind: 'skipped' }
  | { readonly kind: 'failed'; readonly code: string | null; readonly message: string }

export interface FoundTable {
  readonly table: TableFacts | null
  /** A table with a similar name, when there is none of this one. */
  readonly nearest: string | null
  readonly access: TableAccess | null
  /** What the publication says of the table; null: there is no such publication. */
  readonly publication: PublicationFacts | null
}

export interface SourceFacts {
  readonly server: ServerFacts
  /** In the order in which they were asked for. */
  readonly tables: readonly FoundTable[]
  readonly slot: Slot | null
  readonly replication: ReplicationProbe
}

const VERSION = `SELECT current_setting('server_version_num')::int AS version`

const SERVER = `
SELECT current_setting('server_version_num')::int AS version,
       pg_is_in_recovery() AS standby,
       current_setting('wal_level') AS "walLevel",
       current_setting('max_replication_slots')::int AS "maxSlots",
       (SELECT count(*)::int FROM pg_catalog.pg_replication_slots) AS "usedSlots",
       current_setting('max_wal_senders')::int AS "maxSenders",
       (SELECT count(*)::int FROM pg_catalog.pg_stat_replication) AS "usedSenders",
       (SELECT setting::float8 FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS "walKeepMb",
       to_regrole('rds_replication') IS NOT NULL AS rds,
       current_database()::text AS database,
       current_user::text AS role,
       r.rolsuper OR r.rolreplication OR coalesce(pg_has_role(to_regrole('rds_replication')::oid, 'MEMBER'), false) AS "canReplicate",
       has_database_privilege(current_database(), 'CREATE') AS "canCreate"
FROM pg_catalog.pg_roles r
WHERE r.rolname = current_user`

const ACCESS = `
SELECT pg_get_userbyid(c.relowner)::text AS owner,
       pg_has_role(c.relowner, 'USAGE') AS "isOwner",
       has_schema_privilege(c.relnamespace, 'USAGE') AS "schemaUsage",
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = ANY ($2::text[]) AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')
             ORDER BY a.attnum) AS unreadable,
       row_security_active(c.oid) AS "rowSecurity"
FROM pg_catalog.pg_class c
WHERE c.oid = $1`

/** First of all, because nothing else may be asked of a server that is too old for it. */
export async function readVersion(client: Queryable): Promise<number> {
  const [row] = await queryRows<{ version: number }>(client, VERSION)
  return row?.version ?? 0
}

export async function readServerFacts(client: Queryable): Promise<ServerFacts | null> {
  const [row] = await queryRows<ServerFacts>(client, SERVER)
  return row ?? null
}

export interface TableQuestion {
  readonly table: TableName
  /** Columns that are read besides the primary key. */
  readonly columns: readonly string[]
  readonly publication: string
}

export async function readTableAndAccess(
  client: Queryable,
  question: TableQuestion,
): Promise<{ readonly table: TableFacts; readonly access: TableAccess | null } | null> {
  const table = await readTableFacts(client, question.table)
  if (!table) return null
  const [access] = await queryRows<TableAccess>(client, ACCESS, [table.oid, [...table.key, ...question.columns]])
  return { table, access: access ?? null }
}
