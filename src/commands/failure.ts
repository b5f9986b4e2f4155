// What is printed when a command cannot go on: code, message and the next step, without a stack unless asked for, and
// never with a row's values (ops/error-report.ts). As one JSON document for a caller that asked for JSON.
import { CommanderError } from 'commander'
import { errorCode } from '../core/error.ts'
import { type ErrorReport, reportError } from '../ops/error-report.ts'
import { nextStep } from './next-step.ts'

export interface FailureOptions {
  readonly json: boolean
  readonly debug: boolean
}

/** Ends with a newline. */
export function describeFailure(error: unknown, options: FailureOptions): string {
  return options.json ? `${JSON.stringify(asJson(error, options))}\n` : asText(error, options)
}

function asText(error: unknown, { debug }: FailureOptions): string {
  if (error instanceof CommanderError) return `suprsync: ${usageMessage(error)}\n`
  const report = reportError(error)
  const lines = [`suprsync: ${report.code ?? report.type}: ${rootMessage(report)}`]
  const list = problemList(error)
  if (list) lines.push(list.text)
  const next = nextStep(error)
  if (next !== undefined) lines.push(`next: ${next}`)
  if (debug) lines.push(...stacks(report))
  return `${lines.join('\n')}\n`
}

function asJson(error: unknown, { debug }: FailureOptions): object {
  if (error instanceof CommanderError) return { error: { code: 'usage_invalid', message: usageMessage(error) } }
  const report = reportError(error)
  const list = problemList(error)
  const next = nextStep(error)
  return {
    error: {
      code: report.code ?? report.type,
      message: rootMessage(report),
      ...(report.details && { details: report.details }),
      ...(list && { problems: list.problems }),
      ...(next !== undefined && { next }),
      ...(debug && { stack: stacks(report) }),
    },
  }
}

function usageMessage(error: CommanderError): string {
  return error.message.replace(/^error: /, '')
}

/** An AggregateError's own message says nothing; the first of its members tells what happened. */
function rootMessage(report: ErrorReport): string {
  const [first] = report.errors ?? []
  return first ? first.message : report.message
}

function stacks(report: ErrorReport): string[] {
  const own = report.stack ?? `${report.type}: ${report.message}`
  return report.cause ? [own, ...stacks(report.cause).map((stack) => `caused by ${stack}`)] : [own]
}

/** ConfigError, told by its shape: importing config/ here would load its parsers for every command. */
function problemList(error: unknown): { readonly text: string; readonly problems: unknown } | null {
  if (errorCode(error) !== 'config_invalid' || typeof error !== 'object' || error === null) return null
  if (!('format' in error) || typeof error.format !== 'function' || !('problems' in error)) return null
  return { text: String(error.format()), problems: error.problems }
}
