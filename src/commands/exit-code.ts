// What the process's exit codes mean, in one place. A command that ends well but has something to say sets
// `process.exitCode`; one that cannot go on throws, and main.ts chooses the code with `exitCodeOf`.
import { errorCode } from '../core/error.ts'

export const EXIT = {
  done: 0,
  /** The command could not do what it was asked. */
  failed: 1,
  /** Wrong arguments or configuration: nothing was tried. */
  usage: 2,
  /** A check ran and found problems. */
  problems: 3,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export function exitCodeOf(error: unknown): ExitCode {
  const code = errorCode(error) ?? ''
  if (code.startsWith('config_') || code.startsWith('usage_') || code.startsWith('commander.')) return EXIT.usage
  if (code.startsWith('preflight_')) return EXIT.problems
  return EXIT.failed
}
