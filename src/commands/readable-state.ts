// A command's own connection to a state that it reads in short statements: opened once, with the reason where it cannot be read.
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { readBounded } from '../state/bounded-read.ts'
import { openStateDatabase, type StateDatabase } from '../state/database.ts'
import { findState } from '../state/report.ts'

const TIMEOUT_MS = 15_000

export interface ReadableState {
  readonly db: StateDatabase
  /** The service has run here. */
  readonly made: boolean
}

/** @throws SuprsyncError `state_denied` */
export async function openReadableState({ state }: Config): Promise<ReadableState> {
  const db = openStateDatabase({
    connection: connectionConfig(state.url.reveal()),
    schema: state.schema,
    maxConnections: 1,
    onIdleError: () => undefined, // The next statement tells.
  })
  try {
    const found = await findState(db, state.schema)
    if (found !== 'denied') return { db, made: found === 'there' }
    throw new SuprsyncError('state_denied', `The role may not read the schema ${state.schema}.`, {
      details: { next: "use the service's role, or GRANT USAGE on the schema and SELECT on its tables" },
    })
  } catch (error) {
    await db.destroy()
    throw error
  }
}

/** @param read never null, which stands for no answer. @throws SuprsyncError `state_unreadable` */
export async function readState<T extends NonNullable<unknown>>(
  db: StateDatabase,
  read: Parameters<typeof readBounded<T>>[2],
): Promise<T> {
  const answer = await readBounded(db, TIMEOUT_MS, read)
  if (answer !== null) return answer
  throw new SuprsyncError(
    'state_unreadable',
    `The state's database did not answer within ${TIMEOUT_MS / 1000} s; look at the load and the locks there.`,
  )
}
