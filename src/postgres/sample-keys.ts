// Primary keys of random rows of a table, without reading the table: blocks are drawn by TABLESAMPLE SYSTEM, and rows among
// theirs. Short statements whatever the table's size. Rows of one block come together somewhat more often than by pure chance.
// https://www.postgresql.org/docs/current/sql-select.html#SQL-FROM
import type pg from 'pg'
import type { Table, TextRow } from '../core/row.ts'
import { samplePercent } from '../core/sample.ts'
import { rawTypes } from './connection.ts'
import { quoteIdentifier, quoteTable } from './identifier.ts'
import { queryRows } from './query.ts'

/** Of one statement: from a large table it reads twice as many blocks, 8 MB. */
const AT_ONCE = 500
/** In a row; each has half a chance to be empty at the worst, of a table that is nearly empty. */
const MOST_EMPTY_DRAWS = 20

/** `limit` different ones, or fewer where the table has no more. In no particular order. */
export async function sampleKeys(pool: pg.Pool, table: Table, limit: number): Promise<readonly TextRow[]> {
  const found = new Map<string, TextRow>()
  const blocks = await countBlocks(pool, table)
  for (let fruitless = 0; found.size < limit && fruitless < MOST_EMPTY_DRAWS; ) {
    const wanted = Math.min(AT_ONCE, limit - found.size)
    const percent = samplePercent(wanted, blocks)
    const before = found.size
    // A table that is drawn whole need be drawn once.
    for (const key of await draw(pool, table, { percent, limit: percent === 100 ? limit : wanted })) {
      found.set(JSON.stringify(key), key)
    }
    if (percent === 100) break
    fruitless = found.size === before ? fruitless + 1 : 0
  }
  return [...found.values()].slice(0, limit)
}

async function draw(
  pool: pg.Pool,
  table: Table,
  { percent, limit }: { readonly percent: number; readonly limit: number },
): Promise<readonly TextRow[]> {
  const columns = table.key.map((name) => `t.${quoteIdentifier(name)}`).join(', ')
  const { rows } = await pool.query<(string | null)[]>({
    text: `select ${columns} from ${quoteTable(table)} t tablesample system ($1::float4) order by random() limit $2::int`,
    values: [percent, limit],
    rowMode: 'array',
    types: rawTypes,
  })
  return rows
}

/** Of a partitioned table those of its partitions. */
async function countBlocks(pool: pg.Pool, { oid }: Table): Promise<number> {
  const [row] = await queryRows<{ blocks: number }>(
    pool,
    `select ((pg_relation_size($1::oid) + coalesce((select sum(pg_relation_size(relid)) from pg_partition_tree($1::oid) where relid <> $1::oid), 0))
       / current_setting('block_size')::int)::float8 as blocks`,
    [oid],
  )
  return row?.blocks ?? 0
}
