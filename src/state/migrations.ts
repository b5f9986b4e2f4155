// Numbered, forward-only migrations: sql/NNNN_name.sql, each applied once, in order, in its own transaction, under an
// advisory lock so that any number of processes may start together.
import { readdir, readFile } from 'node:fs/promises'
import { type Kysely, sql } from 'kysely'
import { SuprsyncError } from '../core/error.ts'
import type { Schema, StateDatabase } from './database.ts'

const FOLDER = new URL('../../sql/', import.meta.url)
const FILE = /^(\d{4})_([a-z0-9_]+)\.sql$/

interface Migration {
  readonly number: number
  readonly file: string
}

async function listMigrations(): Promise<readonly Migration[]> {
  const files = (await readdir(FOLDER)).filter((file) => FILE.test(file)).sort()
  return files.map((file) => ({ number: Number(file.slice(0, 4)), file }))
}

/** Brings the state schema to this version; creates it when missing. @returns the files that were applied. */
export async function migrate(db: StateDatabase, schema: string): Promise<readonly string[]> {
  const migrations = await listMigrations()
  return await db.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(hashtextextended(${`suprsync migrate ${schema}`}, 0))`.execute(connection)
    try {
      return await applyMissing(connection, schema, migrations)
    } finally {
      await sql`select pg_advisory_unlock(hashtextextended(${`suprsync migrate ${schema}`}, 0))`.execute(connection)
    }
  })
}

async function applyMissing(
  connection: Kysely<Schema>,
  schema: string,
  migrations: readonly Migration[],
): Promise<readonly string[]> {
  // Asked first: CREATE SCHEMA IF NOT EXISTS needs the CREATE privilege even where the schema is there.
  const found = await sql`select 1 from pg_namespace where nspname = ${schema}`.execute(connection)
  if (found.rows.length === 0) await sql`create schema if not exists ${sql.id(schema)}`.execute(connection)
  await sql`create table if not exists migration (number integer primary key, file text not null, applied_at timestamptz not null default now())`.execute(
    connection,
  )
  const done = await sql<{ number: number }>`select number from migration order by number`.execute(connection)
  const newest = done.rows.at(-1)?.number ?? 0
  const known = migrations.at(-1)?.number ?? 0
  if (newest > known) {
    throw new SuprsyncError(
      'state_newer_than_program',
      `The state schema was written by a newer suprsync (migration ${newest}, this one knows ${known}); run that version or a newer one.`,
    )
  }
  const applied: string[] = []
  for (const { number, file } of migrations.filter((migration) => migration.number > newest)) {
    const text = await readFile(new URL(file, FOLDER), 'utf8')
    await connection.transaction().execute(async (transaction) => {
      await sql.raw(text).execute(transaction)
      await sql`insert into migration (number, file) values (${number}, ${file})`.execute(transaction)
    })
    applied.push(file)
  }
  return applied
}
