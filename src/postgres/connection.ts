// How we connect to PostgreSQL: one configuration from a URL for pages, catalogue and the walsender alike, with the
// settings that make a value's text the same on all of them (DESIGN §9). `sslmode` means what it means to
// libpq. Leaves retries to the callers and the naming of failures to connection-failure.ts.
import pg from 'pg'
import { endWhenSilent } from '../core/silent-connection.ts'

export interface ConnectionOptions {
  readonly applicationName?: string
  readonly connectTimeoutMs?: number
  /** Added to the session's settings: `{statement_timeout: '5s'}`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Opens a walsender for logical replication: only replication commands and simple queries work on it. */
  readonly replication?: boolean
}

const SESSION_SETTINGS = {
  DateStyle: 'ISO',
  TimeZone: 'UTC',
  IntervalStyle: 'iso_8601',
  extra_float_digits: '3',
  bytea_output: 'hex',
  // Row security that is switched on later must be an error: rows it hides would look deleted.
  row_security: 'off',
}

/** Leaves every value as the server's own output text. */
export const rawTypes: pg.CustomTypesConfig = { getTypeParser: () => (value: string) => value }

// The modes that pg-connection-string knows only in its own meaning unless told to follow libpq.
const LIBPQ_MODES = new Set(['disable', 'prefer', 'require', 'verify-ca', 'verify-full'])

/** `options` is always set; who adds session settings appends to it. */
export function connectionConfig(url: string, options: ConnectionOptions = {}): pg.ClientConfig {
  const { connectionString, startupOptions } = splitUrl(url)
  const settings = Object.entries({ ...SESSION_SETTINGS, ...options.settings })
  const ours = settings.map(([name, value]) => `-c ${name}=${escapeOption(value)}`)
  return {
    connectionString,
    application_name: options.applicationName ?? 'suprsync',
    client_encoding: 'UTF8',
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // The operator's first: ours must win, both roads depend on them.
    options: [startupOptions, ...ours].filter((part) => part !== '').join(' '),
    ...(options.replication && { replication: 'database' }),
  }
}

/** Connects; the caller ends the client. An idle connection's loss shows at the next statement. */
export async function openClient(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config)
  client.on('error', () => undefined) // Without a listener the loss of an idle connection would end the process.
  try {
    await client.connect()
  } catch (error) {
    await client.end().catch(() => undefined) // It was never open: the connection's own error says why.
    throw error
  }
  return client
}

const STATEMENT_TIMEOUT_MS = 30_000

/**
 * Connections for short statements on the application's database: none of ours may be long, nor wait long for a lock (P5).
 * An idle connection that broke is told and replaced by the next statement.
 */
export function openPool(config: pg.ClientConfig, onIdleError: (error: Error) => void): pg.Pool {
  const pool = new pg.Pool({
    ...config,
    max: 3,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: 10_000,
    idle_in_transaction_session_timeout: 30_000,
  })
  pool.on('error', onIdleError)
  // One that breaks in use: its statement tells.
  pool.on('connect', (client) => {
    client.on('error', () => undefined)
    endWhenSilent(client, STATEMENT_TIMEOUT_MS + 5_000)
  })
  return pool
}

/** `pg` lets the URL's `options` replace ours and warns on stderr about `sslmode`: both are settled here. */
function splitUrl(url: string): { readonly connectionString: string; readonly startupOptions: string } {
  const parsed = URL.parse(url)
  if (!parsed) return { connectionString: url, startupOptions: '' } // A socket path, say: pg reads more than URLs.
  const params = parsed.searchParams
  const startupOptions = params.get('options') ?? ''
  const follow = LIBPQ_MODES.has(params.get('sslmode') ?? '') && !params.has('uselibpqcompat')
  if (startupOptions === '' && !follow) return { connectionString: url, startupOptions }
  params.delete('options')
  if (follow) params.set('uselibpqcompat', 'true')
  return { connectionString: parsed.href, startupOptions }
}

/** Blanks and backslashes separate and escape in the startup packet's `options`. */
function escapeOption(value: string): string {
  return value.replace(/[\\ ]/g, '\\$&')
}
