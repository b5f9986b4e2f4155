// How commands tell the running service that they have changed something for it in the state: by NOTIFY, heard by the session that
// holds the locks. A notice may be missed: the service looks by itself every other second.
import { type Kysely, sql } from 'kysely'
import type { Schema } from './database.ts'

/** The payload is the schema. */
export const CHANNEL = 'suprsync'

export async function notifyService(db: Kysely<Schema>, schema: string): Promise<void> {
  await sql`select pg_notify(${CHANNEL}, ${schema})`.execute(db)
}
