// Which rows of which tables a `backfill` reads: the operator's SQL, or one user's row, and the child rows that belong to them. The
// filter is tried out on the source before anything is asked for.
import type { Config } from '../config/config.ts'
import { errorMessage, SuprsyncError } from '../core/error.ts'
import { rowKeyValues, type Table } from '../core/row.ts'
import { describeTable } from '../postgres/catalogue.ts'
import { connectionConfig, openClient } from '../postgres/connection.ts'
import { quoteIdentifier, quoteLiteral, quoteTable } from '../postgres/identifier.ts'
import { type Queryable, queryRows } from '../postgres/query.ts'
import type { RequestedTable } from '../state/backfill-request.ts'
import type { StateDatabase } from '../state/database.ts'
import { readRowKeys } from '../state/known-users.ts'
import { sourceName } from './compiled-tables.ts'

export interface Chosen {
  readonly user?: string
  readonly where?: string
}

/** Child tables first: a user is then told with all that belongs to it. */
export async function requestedTables(
  config: Config,
  db: StateDatabase,
  chosen: Chosen,
): Promise<readonly RequestedTable[]> {
  const { source, mapping } = config
  const connection = connectionConfig(source.url.reveal(), {
    applicationName: 'suprsync backfill',
    settings: { statement_timeout: '10s', lock_timeout: '5s' },
  })
  const client = await openClient(connection)
  try {
    const described = await describeTable(client, source.table, [])
    if (described.kind !== 'ok')
      throw new SuprsyncError('table_missing', `There is no table ${sourceName(source.table)}.`)
    const users = quoteTable(source.table)
    const key = described.table.key.map(quoteIdentifier)
    const filter = await filterOf(config, db, { chosen, table: described.table })
    if (filter !== null) await tryOut(client, `SELECT 1 FROM ${users} u WHERE (${filter}\n)`)
    // The pages of a child table call it `t`. The condition has been tried on users alone, so none of its names means the child's.
    const ofChild = (user: readonly string[]) =>
      `EXISTS (SELECT FROM ${users} u WHERE (${user.map((name) => `t.${quoteIdentifier(name)}`).join(', ')}) = (${key.map((name) => `u.${name}`).join(', ')}) AND (${filter}\n))`
    const tables = [
      ...mapping.children.map(({ table, user }) => ({
        name: table,
        filter: filter === null ? null : ofChild(user),
      })),
      { name: source.table, filter },
    ]
    return await Promise.all(
      tables.map(async ({ name, filter: each }) => ({
        source: sourceName(name),
        filter: each,
        rowsEstimated: each === null ? await estimate(client, quoteTable(name)) : null,
      })),
    )
  } finally {
    await client.end()
  }
}

async function filterOf(
  { mapping }: Config,
  db: StateDatabase,
  { chosen: { user, where }, table }: { readonly chosen: Chosen; readonly table: Table },
): Promise<string | null> {
  if (where !== undefined) return where
  if (user === undefined) return null
  const { distinctId } = mapping
  if (distinctId.kind === 'column') return `${quoteIdentifier(distinctId.column)} = ${quoteLiteral(user)}`
  // Whom an expression names is known by the rows that state has of it.
  const keys = (await readRowKeys(db, [user])).flatMap((text) => [rowKeyValues(table, text) ?? []])
  if (keys.length === 0 || keys.some((values) => values.length === 0)) {
    throw new SuprsyncError('user_unknown', `No row of this distinct_id is known; choose its row with --where.`)
  }
  const values = keys.map((texts) => `(${texts.map((text) => quoteLiteral(text ?? '')).join(', ')})`)
  return `(${table.key.map(quoteIdentifier).join(', ')}) IN (${values.join(', ')})`
}

/** @throws SuprsyncError `where_invalid` */
async function tryOut(client: Queryable, select: string): Promise<void> {
  try {
    await queryRows(client, `EXPLAIN ${select}`)
  } catch (error) {
    throw new SuprsyncError('where_invalid', `PostgreSQL does not take the condition: ${errorMessage(error)}.`, {
      cause: error,
    })
  }
}

async function estimate(client: Queryable, table: string): Promise<number | null> {
  const [row] = await queryRows<{ estimate: number }>(
    client,
    'SELECT reltuples::float8 AS estimate FROM pg_class WHERE oid = $1::regclass',
    [table],
  )
  return row === undefined || row.estimate < 0 ? null : Math.round(row.estimate)
}
