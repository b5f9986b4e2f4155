// What is wrong with a configuration: every problem at once, each with its place. Messages state the shape of a value,
// never the value: it may be a credential (P8).
import { SuprsyncError } from '../core/error.ts'

export interface ConfigProblem {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
  /** The key in the file, `profile.$sms.region`; empty where the whole file is meant. */
  readonly path: string
  readonly message: string
}

export class ConfigError extends SuprsyncError {
  readonly problems: readonly ConfigProblem[]

  constructor(file: string, problems: readonly ConfigProblem[], cause?: unknown) {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
    super('config_invalid', `the configuration ${file} has ${count}`, { details: { file }, cause })
    this.name = 'ConfigError'
    this.problems = problems
  }

  /** One line a problem, in the file's order: `file:line:col path: message`. */
  format(): string {
    return this.problems.map(formatProblem).join('\n')
  }
}

function formatProblem({ file, line, column, path, message }: ConfigProblem): string {
  return `${file}:${line}:${column} ${path === '' ? '' : `${path}: `}${message}`
}

/** What a value is, without saying what it holds. */
export function shapeOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (value === '') return 'an empty text'
  if (typeof value === 'string') return `a text of ${value.length} ${value.length === 1 ? 'character' : 'characters'}`
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number'
  if (typeof value === 'boolean') return 'true or false'
  if (Array.isArray(value)) return `a list of ${value.length}`
  return 'a mapping of keys'
}
