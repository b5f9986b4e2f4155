// Why a connection could not be opened, or was lost, told from the error: PostgreSQL's SQLSTATE, Node's code, and only where neither
// says anything the message (its sample stands beside the pattern). Pure. The cause decides how long to wait before the
// next attempt (a wrong password in a loop gets a host banned; docs/errors.md), the sentence is for a person.
import { errorCode, errorMessage } from '../core/error.ts'

export type FailureCause =
  | 'refused'
  | 'dns'
  | 'timeout'
  | 'network'
  | 'tls'
  | 'password'
  | 'role'
  | 'host_based'
  | 'database'
  | 'denied'
  | 'full'
  | 'starting'
  | 'pooler'
  | 'other'

export interface ConnectionFailure {
  readonly cause: FailureCause
  /** The server's or the system's code, if there was one. */
  readonly code: string | null
  /** One sentence, without credentials. */
  readonly message: string
}

const BY_CODE: Readonly<Record<string, FailureCause>> = {
  ECONNREFUSED: 'refused',
  ENOENT: 'refused', // the unix socket does not exist
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'network',
  ENETUNREACH: 'network',
  ECONNRESET: 'network',
  EPIPE: 'network',
  '28P01': 'password',
  '28000': 'role',
  '3D000': 'database',
  '42501': 'denied',
  '53300': 'full',
  '57P01': 'starting', // and whoever ends a session by hand
  '57P02': 'starting',
  '57P03': 'starting',
  '08003': 'network',
  '08006': 'network',
}

// Where the code is missing or says too little. In this order, before BY_CODE.
const BY_MESSAGE: readonly (readonly [RegExp, FailureCause])[] = [
  // pgbouncer, 08P01: "unsupported startup parameter: replication", "unsupported startup parameter in options: intervalstyle"
  [/unsupported startup parameter/i, 'pooler'],
  // 28000: 'no pg_hba.conf entry for host "10.0.0.1", user "app", database "app", no encryption'
  [/no pg_hba\.conf entry|pg_hba\.conf rejects/, 'host_based'],
  // pg, without a code: "The server does not support SSL connections"
  [/server does not support SSL/i, 'tls'],
  // pg-connection-string, without a code: "SECURITY WARNING: Using sslmode=verify-ca requires specifying a CA with sslrootcert. …"
  [/sslmode=verify-ca requires/, 'tls'],
  // pg, without a code: "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string"
  [/password must be a/, 'password'],
  // pg, without a code: "timeout expired"; "Connection terminated due to connection timeout"
  [/^timeout expired|connection timeout/i, 'timeout'],
  // pg, without a code: "Connection terminated unexpectedly"
  [/^connection terminated/i, 'network'],
  // pg, without a code, of the statement after that: "Client has encountered a connection error and is not queryable",
  // "Client was closed and is not queryable"
  [/is not queryable$/, 'network'],
]

// OpenSSL's verification results as Node names them, and Node's own.
const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO$)/

const ADVICE: Readonly<Record<FailureCause, string>> = {
  refused: 'nothing listens at that address: check host and port, and that the server runs',
  dns: 'the host name could not be resolved',
  timeout: 'there was no answer in time: check the network and the firewall',
  network: 'the connection was cut: check the network and the firewall',
  tls: 'the encrypted connection could not be set up: check sslmode and sslrootcert in the URL',
  password: 'the password was not accepted',
  role: 'the role does not exist or may not log in',
  host_based: 'pg_hba.conf of the server does not let this role connect from here, or not without TLS',
  database: 'the database does not exist',
  denied: 'the role may not connect to the database (GRANT CONNECT)',
  full: 'all connections of the server are in use',
  starting: 'the server is starting up or shutting down',
  pooler:
    'a pooler stands in the way and refuses what our sessions set: the URL must lead to PostgreSQL itself (ignore_startup_parameters of PgBouncer is no mend)',
  other: 'the connection failed',
}

export function connectionFailure(error: unknown): ConnectionFailure {
  const first = error instanceof AggregateError ? (error.errors[0] ?? error) : error
  const code = errorCode(error) ?? errorCode(first) ?? null
  const text = errorMessage(first)
  const cause = causeOf(code, text)
  return { cause, code, message: `PostgreSQL cannot be reached: ${ADVICE[cause]} (${said(code, text)}).` }
}

/** Whether a statement failed because its connection or the server went away, and not because of what it says. */
export function isLostConnection(error: unknown): boolean {
  return PASSING.has(connectionFailure(error).cause)
}
const PASSING: ReadonlySet<FailureCause> = new Set(['refused', 'timeout', 'network', 'starting'])

function causeOf(code: string | null, text: string): FailureCause {
  for (const [pattern, cause] of BY_MESSAGE) if (pattern.test(text)) return cause
  if (code === null) return 'other'
  if (TLS_CODE.test(code)) return 'tls'
  return BY_CODE[code] ?? 'other'
}

/** What the other side said, in one line; these messages name hosts, roles and databases, never a password. */
function said(code: string | null, text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '')
  return code === null || line.includes(code) ? line : `${code}: ${line}`
}
