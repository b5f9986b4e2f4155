// Rows of the users table together with the snapshot they were read in, in one short statement (DESIGN §6). Values are the
// server's own output text, as the stream's are. Owns the SQL of keyset pages and of single rows; refuses a standby, whose
// snapshots call open transactions visible.
import type pg from 'pg'
import { rowSize } from '../core/change-batch.ts'
import { SuprsyncError } from '../core/error.ts'
import { type Lsn, parseLsn } from '../core/lsn.ts'
import type { Table, TextRow } from '../core/row.ts'
import { parseSnapshot } from '../core/snapshot.ts'
import type { Page, Pages, WalkedPage } from '../core/source-port.ts'
import { quoteIdentifier, quoteTable } from './identifier.ts'
import { type Queryable, queryRows } from './query.ts'

const RAW = { getTypeParser: () => (text: string) => text }
const SNAPSHOT_COLUMNS = 3
/**
 * Of one statement: an ALTER TABLE of the application waits for it, and everybody else behind that. Only the page of a single row may
 * take as long as the connection allows.
 */
const PAGE_MS = 2_000

export class PageReader implements Pages {
  readonly #pool: pg.Pool
  readonly #table: Table

  constructor(pool: pg.Pool, table: Table) {
    this.#pool = pool
    this.#table = table
  }

  async page(cursor: TextRow | null, limit: number): Promise<Page> {
    return await this.#short(limit, (client) => this.#read(client, this.#after(cursor, limit)))
  }

  async filtered(cursor: TextRow | null, limit: number, filter: string): Promise<Page> {
    // Where no index serves the condition the table would be read from the start for each page, of however few rows.
    return await this.#short(null, (client) => this.#read(client, this.#after(cursor, limit, filter)))
  }

  async walked(cursor: TextRow | null, limit: number, filter: string): Promise<WalkedPage> {
    const { from, values } = this.#after(cursor, limit)
    // Of so many rows and no more the condition is asked, and the planner knows it.
    const walk = { from: `(select t.* from ${from}) t`, values, more: `, coalesce((${filter}\n), false)` }
    const { rows, ...page } = await this.#short(limit, (client) => this.#read(client, walk))
    return {
      ...page,
      rows: rows.filter((row) => row.at(-1) === 't').map((row) => row.slice(0, -1)),
      scanned: rows.length,
      sizeBytes: rows.reduce((sum, row) => sum + rowSize(row), 0),
      last: rows.at(-1)?.slice(0, this.#table.key.length) ?? null,
    }
  }

  async #short<T>(limit: number | null, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect()
    try {
      await client.query(limit === 1 ? 'begin read only' : `begin read only; set local statement_timeout = ${PAGE_MS}`)
      const result = await work(client)
      await client.query('commit')
      client.release()
      return result
    } catch (error) {
      client.release(true) // whatever became of it, nothing of it is left open
      throw error
    }
  }

  #after(cursor: TextRow | null, limit: number, filter: string | null = null) {
    const keys = this.#table.wanted.slice(0, this.#table.key.length)
    const order = keys.map((column) => `t.${quoteIdentifier(column.name)}`).join(', ')
    const bounds = keys.map((column, index) => `$${index + 1}::${column.type.name}`).join(', ')
    // A filter may end in a comment.
    const conditions = [
      ...(filter === null ? [] : [`(${filter}\n)`]),
      ...(cursor === null ? [] : [`(${order}) > (${bounds})`]),
    ]
    const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`
    const from = `${quoteTable(this.#table)} t ${where} order by ${order} limit ${Math.trunc(limit)}`
    return { from, values: cursor ?? [] }
  }

  /** Rows by their primary keys in one statement; missing ones are simply not there. */
  async rows(keys: readonly TextRow[]): Promise<Page> {
    const columns = this.#table.wanted.slice(0, this.#table.key.length)
    const arrays = columns.map((_, index) => `$${index + 1}::text[]`)
    const names = columns.map((_, index) => `k${index}`)
    const match = columns.map((column, index) => `t.${quoteIdentifier(column.name)} = k.k${index}::${column.type.name}`)
    const from = `${quoteTable(this.#table)} t join unnest(${arrays.join(', ')}) as k (${names.join(', ')}) on ${match.join(' and ')}`
    return await this.#read(this.#pool, {
      from,
      values: columns.map((_, index) => keys.map((key) => key[index] ?? null)),
    })
  }

  /** An estimate from the planner's statistics; null when the table was never analysed. */
  async estimateRows(): Promise<number | null> {
    const { rows } = await this.#pool.query<{ estimate: number }>(
      'select reltuples::float8 as estimate from pg_class where oid = $1',
      [this.#table.oid],
    )
    const estimate = rows[0]?.estimate ?? -1
    return estimate < 0 ? null : estimate
  }

  /** @param more further columns, each with its comma. */
  async #read(
    client: Pick<pg.Pool, 'query'>,
    { from, values, more = '' }: { readonly from: string; readonly values: readonly unknown[]; readonly more?: string },
  ): Promise<Page> {
    const columns = `${this.#table.wanted.map((column) => `t.${quoteIdentifier(column.name)}`).join(', ')}${more}`
    // A commit is in the WAL before a snapshot sees it; a standby has no insert position.
    const text = `select s.snapshot, s.standby, s.lsn, p.* from (select pg_current_snapshot() as snapshot, pg_is_in_recovery() as standby,
        case when not pg_is_in_recovery() then pg_current_wal_insert_lsn() end as lsn) s
      left join lateral (select ${columns} from ${from}) p on true`
    const { rows } = await client.query<(string | null)[]>({
      text,
      values: [...values],
      rowMode: 'array',
      types: RAW,
    })
    const first = rows[0]
    if (first?.[1] !== 'f') {
      throw new SuprsyncError(
        'source_is_standby',
        'Rows can only be read from the primary server, and this one is a standby; point source.url at the primary.',
      )
    }
    const found = rows.map((row) => row.slice(SNAPSHOT_COLUMNS)).filter((row) => row[0] !== null)
    return { snapshot: parseSnapshot(first[0] ?? ''), lsn: parseLsn(first[2] ?? ''), rows: found }
  }
}

/** The newest transaction id the source has given out: what a 32-bit id from the stream is widened by. */
export async function readCurrentXid(pool: pg.Pool): Promise<bigint> {
  const { rows } = await pool.query<{ xid: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text as xid')
  return BigInt(rows[0]?.xid ?? '0')
}

/** Whatever is committed later has a higher one. */
export async function readInsertLsn(pool: pg.Pool): Promise<Lsn> {
  const { rows } = await pool.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
  return parseLsn(rows[0]?.lsn ?? '0/0')
}

/** Every transaction that is open now has a lower one, or none yet. */
export async function readNewXid(client: Queryable): Promise<bigint> {
  const [row] = await queryRows<{ xid: string }>(client, 'select pg_current_xact_id()::text as xid')
  return BigInt(row?.xid ?? '0')
}
