// Whether a statement failed because its connection or the server went away, and not because of what it says.

/** Stopping, crashed and starting servers, and the sockets to them. */
const CODES = new Set(['57P01', '57P02', '57P03', '08003', '08006', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'])
/** Of the client library, which gives them no code. */
const MESSAGES = /^Connection terminated|not queryable|Client was closed/

export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('code' in error && CODES.has(String(error.code))) || MESSAGES.test(error.message)
}
