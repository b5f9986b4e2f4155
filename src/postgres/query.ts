// One statement, typed rows. Uses the client's default parsers whatever types the client was opened with, so that the
// catalogue reads the same on a connection that leaves the pages' values as text.
import pg from 'pg'

/** A client or a pool. */
export type Queryable = Pick<pg.ClientBase, 'query'>

export async function queryRows<Row extends object>(
  client: Queryable,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const result = await client.query<Row>({ text, values: [...values], types: pg.types })
  return result.rows
}
