// The SQL that `init` prints: server settings, a role with no more than it needs, and the publication. Pure text, to be run by
// the owner of the tables or a superuser; holds no password. docs/postgres.md explains each statement.
import { quoteIdentifier, quoteTable, type TableName } from './identifier.ts'
import type { ServerFacts } from './preflight-facts.ts'
import { createPublicationSql, type PublishedTable } from './publication.ts'
import { serverFindings } from './server-findings.ts'

export interface GrantedTable extends PublishedTable {
  readonly columns: readonly string[]
  readonly owner: string
  readonly rowSecurity: boolean
}

export interface RoleSqlOptions {
  readonly role: string
  readonly schema: string
  readonly publication: string
  /** The users table first. */
  readonly tables: readonly GrantedTable[]
  readonly server: Pick<ServerFacts, 'database' | 'rds' | 'walLevel' | 'walKeepMb' | 'standby'>
  readonly supabase: boolean
}

/** Ends without a newline. */
export function roleSql(options: RoleSqlOptions): string {
  const { tables, server } = options
  const role = quoteIdentifier(options.role)
  const schemas = [...new Set(tables.map(({ name }) => name.schema))]
  return [
    ...settings(server),
    '-- A role for suprsync. Its password: \\password in psql, so that it stands in no file and no log.',
    server.rds ? `CREATE ROLE ${role} WITH LOGIN;` : `CREATE ROLE ${role} WITH LOGIN REPLICATION;`,
    ...(server.rds ? [`GRANT rds_replication TO ${role};`] : []),
    ...bypass(tables, role),
    `GRANT CONNECT ON DATABASE ${quoteIdentifier(server.database)} TO ${role};`,
    ...schemas.map((schema) => `GRANT USAGE ON SCHEMA ${quoteIdentifier(schema)} TO ${role};`),
    '-- Only the columns that are read: after a change of the mapping `suprsync check` prints what is missing.',
    ...tables.map(({ name, columns }) => {
      const names = columns.map(quoteIdentifier).join(', ')
      return `GRANT SELECT (${names}) ON ${quoteTable(name)} TO ${role};`
    }),
    '-- Where suprsync keeps what it knows.',
    // Who is no superuser may make a schema only for a role that he is a member of.
    ...(server.rds || options.supabase ? [`GRANT ${role} TO CURRENT_USER;`] : []),
    `CREATE SCHEMA ${quoteIdentifier(options.schema)} AUTHORIZATION ${role};`,
    `-- The publication: only who owns ${tables.length === 1 ? 'the table' : 'all of the tables'} can make it${owners(tables)}.`,
    `${createPublicationSql(options.publication, tables)};`,
    ...(options.supabase ? SUPABASE : []),
  ].join('\n')
}

const SUPABASE = [
  '-- Supabase: run this in the SQL editor, as postgres. A table of the schema auth belongs to supabase_auth_admin: where the',
  '-- publication is refused with "must be owner of table users", ask Supabase, or follow a table of your own instead.',
  '-- suprsync has to connect directly (db.<project>.supabase.co:5432), not through the pooler.',
]

function settings(server: RoleSqlOptions['server']): readonly string[] {
  const facts = { ...server, version: 0, maxSlots: 0, usedSlots: 0, maxSenders: 0, usedSenders: 0, role: '' }
  return serverFindings({ ...facts, canReplicate: true, canCreate: true }).flatMap(({ message, sql }) => [
    `-- ${message}`,
    ...(sql === undefined ? [] : [sql]),
    '',
  ])
}

/** Hidden rows would look like deleted users. */
function bypass(tables: readonly GrantedTable[], role: string): readonly string[] {
  const hiding = tables.filter(({ rowSecurity }) => rowSecurity)
  if (hiding.length === 0) return []
  const names = hiding.map(({ name }) => inComment(name)).join(', ')
  return [
    `-- Row security (${names}) would hide rows, and hidden users would look deleted.`,
    `ALTER ROLE ${role} WITH BYPASSRLS;`,
  ]
}

function owners(tables: readonly GrantedTable[]): string {
  const names = [...new Set(tables.map(({ owner }) => owner))]
  return ` (${names.map((name) => quoteIdentifier(name).replaceAll(/\p{C}/gu, '?')).join(', ')})`
}

/** A name with a line break must not end the comment. */
function inComment(name: TableName): string {
  return quoteTable(name).replaceAll(/\p{C}|\p{Zl}|\p{Zp}/gu, '?')
}
