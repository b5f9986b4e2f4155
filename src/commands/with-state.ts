// A command's own short connection to the state.
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { openStateDatabase, type StateDatabase } from '../state/database.ts'
import { findState } from '../state/report.ts'

/** @throws SuprsyncError `state_missing` */
export async function withState<T>({ state }: Config, work: (db: StateDatabase) => Promise<T>): Promise<T> {
  const { url, schema } = state
  const db = openStateDatabase({
    connection: connectionConfig(url.reveal()),
    schema,
    maxConnections: 1,
    onIdleError: () => undefined, // The next statement tells.
  })
  try {
    if ((await findState(db, schema)) === 'missing') {
      throw new SuprsyncError(
        'state_missing',
        `There is no state in the schema ${schema}: suprsync has never run here.`,
      )
    }
    return await work(db)
  } finally {
    await db.destroy()
  }
}
