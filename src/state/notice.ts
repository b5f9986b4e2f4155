// How processes tell one another that they have changed something in the state: by NOTIFY, heard by the sessions that hold the locks. A
// notice may be missed: everybody looks by itself every other second.
import { type Kysely, sql } from 'kysely'
import type { Schema } from './database.ts'

/** The payload is the schema: something is due, or was decided, or asked for. */
export const CHANNEL = 'suprsync'

/** Of what concerns senders among one another alone. */
export function sendersPayload(schema: string): string {
  return `${schema} senders`
}

export async function notifyService(db: Kysely<Schema>, schema: string): Promise<void> {
  await sql`select pg_notify(${CHANNEL}, ${schema})`.execute(db)
}
