// What may be said about a caught error: code, message, stack and causes, never what can quote a row (P8). PostgreSQL puts
// values into `detail`, `where`, `hint` and, in some SQLSTATE classes, into the message; JSON.parse and BigInt quote their
// input. Only fields named here get out, so a field that a library adds later does not. Used by the log and by main.ts.
import { type ErrorDetails, SuprsyncError } from '../core/error.ts'

export interface ErrorReport {
  readonly type: string
  readonly code?: string
  readonly message: string
  readonly details?: ErrorDetails
  readonly postgres?: { readonly [field: string]: string }
  readonly stack?: string
  readonly cause?: ErrorReport
  /** The members of an AggregateError: one for each address that was tried. */
  readonly errors?: readonly ErrorReport[]
}

const MAX_DEPTH = 4

/**
 * SQLSTATE classes whose messages name objects, roles and settings, never a value: connection, authorization, catalogue,
 * transaction state, syntax and access rules, resources, limits, object state, operator intervention, system, internal.
 * Left out among others: 22 and 23 (data, constraints) and P0, 38, 39 (raised by the application's own functions).
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const VALUELESS_CLASSES = new Set([
  '08',
  '0A',
  '25',
  '26',
  '28',
  '34',
  '3B',
  '3D',
  '3F',
  '40',
  '42',
  '53',
  '54',
  '55',
  '57',
  '58',
  'XX',
])
const POSTGRES_FIELDS = ['severity', 'schema', 'table', 'column', 'dataType', 'constraint', 'routine'] as const

export function reportError(error: unknown, depth = 1): ErrorReport {
  if (!(error instanceof Error)) return { type: typeof error, message: 'something that is no Error was thrown' }
  const code = text(error, 'code')
  const message = safeMessage(error)
  const stack = safeStack(error, message)
  const postgres = isPostgresError(error) ? postgresFields(error) : undefined
  const deeper = depth < MAX_DEPTH
  return {
    type: error.constructor.name,
    ...(code !== undefined && { code }),
    message,
    ...(error instanceof SuprsyncError && Object.keys(error.details).length > 0 && { details: error.details }),
    ...(postgres && { postgres }),
    ...(stack !== undefined && { stack }),
    ...(deeper && error.cause !== undefined && { cause: reportError(error.cause, depth + 1) }),
    ...(deeper &&
      error instanceof AggregateError && { errors: error.errors.map((item) => reportError(item, depth + 1)) }),
  }
}

/** An error that the server sent, as `pg` builds it: Node's five-letter codes (EPIPE) have no severity. */
function isPostgresError(error: Error): boolean {
  return text(error, 'severity') !== undefined && /^[0-9A-Z]{5}$/.test(text(error, 'code') ?? '')
}

function safeMessage(error: Error): string {
  if (error instanceof SyntaxError) return 'message withheld: it can quote what was parsed'
  if (!isPostgresError(error)) {
    // Connecting to several addresses fails with an AggregateError whose own message is empty.
    return error.message === '' && error instanceof AggregateError ? 'all attempts failed' : error.message
  }
  const sqlstate = text(error, 'code') ?? ''
  return VALUELESS_CLASSES.has(sqlstate.slice(0, 2))
    ? error.message
    : `message withheld: SQLSTATE ${sqlstate} can quote values`
}

/** The stack under the safe message. Its head repeats the original one, so that is cut off, or nothing is shown. */
function safeStack(error: Error, message: string): string | undefined {
  const { stack } = error
  if (stack === undefined || error.message === '' || message === error.message) return stack
  const at = stack.indexOf(error.message)
  return at < 0 ? undefined : `${error.name}: ${message}${stack.slice(at + error.message.length)}`
}

function postgresFields(error: Error): { [field: string]: string } {
  const fields: { [field: string]: string } = {}
  for (const name of POSTGRES_FIELDS) {
    const value = text(error, name)
    if (value !== undefined) fields[name] = value
  }
  return fields
}

function text(error: object, name: string): string | undefined {
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' ? value : undefined
}
