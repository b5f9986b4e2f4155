// The port through which every room logs. What is behind it (ops/log.ts) writes JSON or a terminal's lines and keeps row
// values out of what is under `err`. Callers keep the message short, lower-case and constant, and put what varies, ids
// and positions only, into the fields (P8).

export interface LogFields {
  /** Whatever was caught. Printed as code, message and stack, without what can quote a row. */
  readonly err?: unknown
  /** A position; printed as PostgreSQL writes it. */
  readonly lsn?: bigint
  readonly [name: string]: unknown
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface Logger {
  /** One line per change. */
  debug(fields: LogFields, message: string): void
  /** A change of state. */
  info(fields: LogFields, message: string): void
  /** Will be retried. */
  warn(fields: LogFields, message: string): void
  /** A person must act. */
  error(fields: LogFields, message: string): void
  /** A logger that adds `fields` to every line: `child({component: 'capture'})`. */
  child(fields: LogFields): Logger
}

/** For tests and for commands that print their own results. */
export const SILENT_LOGGER: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT_LOGGER,
}
