// What the operator can do about an error that ended a command: one table from code to one sentence. An error may bring
// its own step in `details.next`; a code that is not here has none, and its message has to do.
import { errorCode, SuprsyncError } from '../core/error.ts'

const STEPS: { readonly [code: string]: string } = {
  // Ours
  config_invalid: 'correct the file or the environment; the commented config/suprsync.yaml explains every key',
  http_listen_failed: 'free the address, or set http.listen to another one (port 0 picks a free one, `off` disables)',
  preflight_failed: 'run `suprsync check`: it prints the SQL that mends each finding',
  // Node's, while connecting
  ECONNREFUSED: 'nothing listens there: check host and port, and that the server runs',
  ENOTFOUND: 'check the host name',
  EAI_AGAIN: 'the name server did not answer: try again, or check the network',
  ETIMEDOUT: 'check the network and the firewall between here and the server',
  EPIPE: 'the other side closed: try again',
  // PostgreSQL's: https://www.postgresql.org/docs/current/errcodes-appendix.html
  '28P01': 'check user and password in the connection URL',
  '28000': 'check pg_hba.conf and the role; a replication connection needs the REPLICATION attribute',
  '3D000': 'check the database name in the connection URL',
  '42501': 'run `suprsync check`: it prints the GRANT that is missing',
  '42P01': 'run `suprsync check`: the table or the state schema does not exist',
  '53300': 'the server has no free connection: raise max_connections or close some',
  '57P03': 'the server is starting up: try again in a moment',
}

export function nextStep(error: unknown): string | undefined {
  if (error instanceof SuprsyncError && typeof error.details.next === 'string') return error.details.next
  const code = errorCode(error)
  if (code !== undefined && Object.hasOwn(STEPS, code)) return STEPS[code]
  return error instanceof Error && error.cause !== undefined ? nextStep(error.cause) : undefined
}
