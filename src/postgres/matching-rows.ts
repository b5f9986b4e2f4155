// Rows of a table by the values of any of its columns: child rows by their user, users by their distinct_id. One short statement,
// values as the server's own text, from the primary alone, as pages.ts reads them. Leaves to the caller what a cast makes of a
// text (`varchar(3)` cuts): the rows tell themselves what they hold.
import type pg from 'pg'
import { SuprsyncError } from '../core/error.ts'
import type { Table, TextRow } from '../core/row.ts'
import { rawTypes } from './connection.ts'
import { quoteIdentifier, quoteTable } from './identifier.ts'

export interface Match {
  /** Of `table.wanted`. */
  readonly columns: readonly string[]
  /** One text for each of `columns`. */
  readonly values: readonly TextRow[]
}

/** In no particular order, aligned to `table.wanted`. A NULL matches nothing. */
export async function matchingRows(
  pool: pg.Pool,
  table: Table,
  { columns, values }: Match,
): Promise<readonly TextRow[]> {
  if (values.length === 0) return []
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`)
  const names = columns.map((_, index) => `m${index}`)
  const match = columns.map((name, index) => `t.${quoteIdentifier(name)} = m.m${index}::${typeOf(table, name)}`)
  const wanted = table.wanted.map(({ name }) => `t.${quoteIdentifier(name)}`).join(', ')
  const { rows } = await pool.query<(string | null)[]>({
    text: `select s.standby, p.* from (select pg_is_in_recovery() as standby) s
      left join lateral (select ${wanted} from ${quoteTable(table)} t
        join unnest(${arrays.join(', ')}) as m (${names.join(', ')}) on ${match.join(' and ')}) p on true`,
    values: columns.map((_, index) => values.map((row) => row[index] ?? null)),
    rowMode: 'array',
    types: rawTypes,
  })
  if (rows[0]?.[0] !== 'f') {
    throw new SuprsyncError(
      'source_is_standby',
      'Rows can only be read from the primary server, and this one is a standby; point source.url at the primary.',
    )
  }
  // The key comes first and is never NULL: a row of nothing is what the outer join gives for no row.
  return rows.map((row) => row.slice(1)).filter((row) => row[0] !== null)
}

function typeOf(table: Table, name: string): string {
  const type = table.wanted.find((column) => column.name === name)?.type
  if (!type) throw new SuprsyncError('column_not_read', `The column ${name} is not among those that are read.`)
  return type.name
}
