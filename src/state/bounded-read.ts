// A look at the state that never becomes a burden: read-only, in a transaction of its own, ended by the server when it takes
// too long. `status` and the metrics read through it.
import { type Kysely, sql } from 'kysely'
import { errorCode } from '../core/error.ts'
import type { Schema, StateDatabase } from './database.ts'

/** Of query_canceled, which is what a time-out is. */
const CANCELED = '57014'

/** Null when it took longer than `timeoutMs`. */
export async function readBounded<T>(
  db: StateDatabase,
  timeoutMs: number,
  read: (db: Kysely<Schema>) => Promise<T>,
): Promise<T | null> {
  try {
    return await db
      .transaction()
      .setAccessMode('read only')
      .execute(async (transaction) => {
        await sql`select set_config('statement_timeout', ${String(timeoutMs)}, true)`.execute(transaction)
        return await read(transaction)
      })
  } catch (error) {
    if (errorCode(error) === CANCELED) return null
    throw error
  }
}
