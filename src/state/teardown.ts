// Taking the state away: the schema with its tables, if all of them are ours.
import { type Kysely, sql } from 'kysely'
import type { Schema, StateDatabase } from './database.ts'

export const STATE_TABLES: readonly string[] = [
  'backfill',
  'breaker',
  'breaker_look',
  'breaker_loss',
  'checkpoint',
  'erased',
  'mapped_table',
  'migration',
  'profile',
  'sender',
  'slot_intent',
  'source_row',
  'source_table',
]

/** Null when there is no such schema. */
export async function describeStateSchema(
  db: Kysely<Schema>,
  schema: string,
): Promise<{ readonly users: number; readonly foreign: readonly string[] } | null> {
  const { rows } = await sql<{ tables: readonly string[] }>`
    select array(select c.relname::text from pg_class c
      where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1) as tables
    from pg_namespace n where n.nspname = ${schema}`.execute(db)
  const tables = rows[0]?.tables
  if (tables === undefined) return null
  const foreign = tables.filter((table) => !STATE_TABLES.includes(table))
  if (!tables.includes('profile')) return { users: 0, foreign }
  const { rows: counted } = await sql<{ users: number }>`
    select (case when reltuples < 100000 then (select count(*) from profile) else reltuples end)::float8 as users
    from pg_class where oid = 'profile'::regclass`.execute(db)
  return { users: counted[0]?.users ?? 0, foreign }
}

export async function dropStateSchema(db: StateDatabase, schema: string): Promise<void> {
  await sql`drop schema if exists ${sql.id(schema)} cascade`.execute(db)
}
