// The connection to the state database: kysely over a small pool, every session with the state schema as its search_path.
// Everything else in this folder goes through it.
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { endWhenSilent } from '../core/silent-connection.ts'
import { SessionMark } from './pooler.ts'

/** The tables as SQL files define them; statements here are batched SQL, so kysely needs only their existence. */
export type Schema = Record<string, Record<string, unknown>>
export type StateDatabase = Kysely<Schema>

export interface StateDatabaseOptions {
  readonly connection: pg.ClientConfig
  readonly schema: string
  readonly maxConnections?: number
  /** A pooled connection that broke while idle; the next statement opens a new one. */
  readonly onIdleError: (error: Error) => void
}

const STATEMENT_TIMEOUT_MS = 30_000

/**
 * What a role or a database may have otherwise. Under a stricter isolation whoever waited for a row would fail instead of seeing what
 * became of it, as claims, records and the fence rely on; a lock_timeout would make failures of waits that are short by themselves.
 */
export const STATE_SETTINGS = '-c default_transaction_isolation=read\\ committed -c lock_timeout=0'

export function openStateDatabase(options: StateDatabaseOptions): StateDatabase {
  const mark = new SessionMark()
  const pool = new pg.Pool({
    ...options.connection,
    options: [
      options.connection.options,
      `-c search_path=${startupValue(options.schema)}`,
      // What a claim or a checkpoint says must outlive a crash of the server, whatever its default is.
      '-c synchronous_commit=on',
      STATE_SETTINGS,
      mark.option,
    ]
      .filter(Boolean)
      .join(' '),
    max: options.maxConnections ?? 6,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 60_000,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: 60_000,
    application_name: 'suprsync state',
    // Where a pooler drops what is set here, the application's tables would be found for ours.
    verify: (client, done) => {
      mark.assertDirect(client).then(() => done(), done)
    },
  })
  pool.on('error', options.onIdleError)
  // The pool listens to idle connections only. One that is lost within a transaction, between two statements, would end the
  // process; its next statement fails and tells whoever uses it.
  pool.on('connect', (client) => {
    client.on('error', () => undefined)
    endWhenSilent(client, STATEMENT_TIMEOUT_MS + 10_000)
  })
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

/** A quoted identifier as a value of `-c name=value` in startup options, where blanks and backslashes are escaped. */
export function startupValue(schema: string): string {
  return pg.escapeIdentifier(schema).replace(/[\\ ]/g, '\\$&')
}
