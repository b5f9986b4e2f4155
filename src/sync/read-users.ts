// Single rows of the users table, read by their keys beside the stream, and never in its way: who needs them goes on without.
import type { Logger } from '../core/logger.ts'
import { rowKey, rowKeyValues } from '../core/row.ts'
import type { Page, SourceTable } from '../core/source-port.ts'
import type { PagedRow } from '../core/source-row.ts'
import type { RowMapper } from './row-mapper.ts'

/** Rows of a page, mapped. */
export interface PagedRows extends Omit<Page, 'rows'> {
  readonly rows: readonly PagedRow[]
}

export interface UsersReader {
  readonly users: SourceTable
  readonly mapper: Pick<RowMapper, 'content'>
  /** Transactions up to this one may not be visible to a page yet. */
  readonly startXid: bigint
  readonly log: Logger
}

/** Null: they cannot be told just now. */
export async function readUsers(
  { users, mapper, startXid, log }: UsersReader,
  keys: readonly string[],
): Promise<PagedRows | null> {
  const { name, table, pages } = users
  try {
    const page = await pages.rows(keys.map((key) => rowKeyValues(table, key)).filter((values) => values !== null))
    if (page.snapshot.xmin <= startXid) return null
    return { ...page, rows: page.rows.map((row) => ({ key: rowKey(table, row), content: mapper.content(name, row) })) }
  } catch (error) {
    log.debug({ err: error, table: name }, 'users could not be read beside the stream')
    return null
  }
}
