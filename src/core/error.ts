// The one base class of our errors. Callers branch on `code`, never on a message. Details carry ids and positions,
// never a row's values (P8).

export interface ErrorDetails {
  readonly [name: string]: string | number | boolean | null | readonly string[]
}

export class SuprsyncError extends Error {
  readonly code: string
  readonly details: ErrorDetails

  constructor(code: string, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SuprsyncError'
    this.code = code
    this.details = options.details ?? {}
  }
}

/** The `code` of ours, of Node's system errors and of PostgreSQL's SQLSTATEs alike; undefined when there is none. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
