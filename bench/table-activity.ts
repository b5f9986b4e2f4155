// What PostgreSQL says of the table of profiles: its size, how its updates went, and what was vacuumed.
import type pg from 'pg'
import { printTable } from './figures.ts'

export interface Activity {
  readonly tableMb: number
  readonly indexMb: ReadonlyMap<string, number>
  readonly updates: number
  readonly hotUpdates: number
  readonly live: number
  readonly dead: number
  readonly autovacuums: number
}

const MB = 1024 * 1024

export async function readActivity(client: pg.Client): Promise<Activity> {
  const { rows } = await client.query<Record<'bytes' | 'updates' | 'hot' | 'live' | 'dead' | 'vacuums', string>>(`
    select pg_table_size(relid) as bytes, n_tup_upd as updates, n_tup_hot_upd as hot, n_live_tup as live, n_dead_tup as dead,
      autovacuum_count as vacuums from pg_stat_user_tables where relid = 'suprsync.profile'::regclass`)
  const indexes = await client.query<{ name: string; bytes: string }>(`
    select indexrelname as name, pg_relation_size(indexrelid) as bytes from pg_stat_user_indexes
    where relid = 'suprsync.profile'::regclass and pg_relation_size(indexrelid) > ${MB} order by 1`)
  const row = rows[0]
  return {
    tableMb: Number(row?.bytes) / MB,
    indexMb: new Map(indexes.rows.map(({ name, bytes }) => [name, Number(bytes) / MB])),
    updates: Number(row?.updates),
    hotUpdates: Number(row?.hot),
    live: Number(row?.live),
    dead: Number(row?.dead),
    autovacuums: Number(row?.vacuums),
  }
}

/** At the start, in the middle, at the end. */
export function printSizes(seen: readonly Activity[]): void {
  const first = seen[0]
  const names = [...new Set(seen.flatMap(({ indexMb }) => [...indexMb.keys()]))]
  const row = (name: string, of: (activity: Activity) => string) => [name, ...seen.map(of)]
  const since = (of: (activity: Activity) => number, activity: Activity) => of(activity) - (first ? of(first) : 0)
  printTable(
    ['profile', 'start', 'middle', 'end'],
    [
      row('table, MB', ({ tableMb }) => tableMb.toFixed(0)),
      ...names.map((name) => row(`${name}, MB`, ({ indexMb }) => (indexMb.get(name) ?? 0).toFixed(0))),
      row('updates', (activity) => since(({ updates }) => updates, activity).toLocaleString('en')),
      row('HOT', (activity) => {
        const share = since(({ hotUpdates }) => hotUpdates, activity) / since(({ updates }) => updates, activity)
        return Number.isNaN(share) ? '' : share.toFixed(2)
      }),
      row('dead tuples', ({ dead }) => dead.toLocaleString('en')),
      row('autovacuum runs', (activity) => String(since(({ autovacuums }) => autovacuums, activity))),
    ],
  )
}
