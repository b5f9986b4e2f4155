// The logger behind the port of core/logger.ts: pino, JSON lines for machines and pretty ones on a terminal. Guarantees
// that whatever is logged as an error went through error-report.ts (P8) and that a bigint never breaks a line. Writes are
// synchronous: the last line before an exit or a kill is the one that matters. Fields' values are the callers' duty.
import { type DestinationStream, type Logger as Pino, pino } from 'pino'
import pretty from 'pino-pretty'
import type { LogFields, Logger, LogLevel } from '../core/logger.ts'
import { formatLsn, type Lsn } from '../core/lsn.ts'
import { reportError } from './error-report.ts'
import type { StatusLine } from './status-line.ts'

export interface LogOptions {
  /** Default `info`. */
  readonly level?: LogLevel
  /** `stdout` for the service, whose log is its output; `stderr` beside a command's results. */
  readonly to: 'stdout' | 'stderr'
  /** Default: whether `to` is a terminal. */
  readonly pretty?: boolean
  /** A line on the same terminal that log lines must not be appended to. */
  readonly statusLine?: StatusLine
}

export function createLogger(options: LogOptions): Logger {
  const { fd, isTTY } = process[options.to]
  const stream = (options.pretty ?? isTTY) ? terminal(fd, isTTY) : pino.destination({ dest: fd, sync: true })
  return loggerTo(options.statusLine ? above(options.statusLine, stream) : stream, options.level)
}

/** A logger that writes JSON lines to `stream`. */
export function loggerTo(stream: DestinationStream, level: LogLevel = 'info'): Logger {
  const options = {
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // pino's own serializer would copy every enumerable field of the error; ours has already replaced it by a report.
    serializers: { err: (report: unknown) => report },
  }
  return new PinoLogger(pino(options, stream))
}

function above(statusLine: StatusLine, stream: DestinationStream): DestinationStream {
  return {
    write(line) {
      statusLine.clear()
      stream.write(line)
    },
  }
}

function terminal(fd: 1 | 2, colorize: boolean): DestinationStream {
  // A stream and not a transport: a transport is a worker thread, whose last lines are lost when the process is ended.
  return pretty({
    destination: fd,
    sync: true,
    colorize,
    singleLine: true,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
  })
}

// Not pino's `formatters.log`: that one does not see the fields of child loggers.
class PinoLogger implements Logger {
  readonly #pino: Pino

  constructor(target: Pino) {
    this.#pino = target
  }

  debug(fields: LogFields, message: string): void {
    if (this.#pino.isLevelEnabled('debug')) this.#pino.debug(printable(fields), message)
  }

  info(fields: LogFields, message: string): void {
    this.#pino.info(printable(fields), message)
  }

  warn(fields: LogFields, message: string): void {
    this.#pino.warn(printable(fields), message)
  }

  error(fields: LogFields, message: string): void {
    this.#pino.error(printable(fields), message)
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(printable(fields)))
  }
}

function printable(fields: LogFields): { [name: string]: unknown } {
  const result: { [name: string]: unknown } = {}
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'err' || value instanceof Error) result[name] = reportError(value)
    else if (typeof value !== 'bigint') result[name] = value
    else result[name] = /lsn$/i.test(name) ? formatLsn(value as Lsn) : value.toString()
  }
  return result
}
