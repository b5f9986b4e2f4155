// The command line as a whole: `suprsync`, its help, its version and the one command that was asked for. Everything that
// goes wrong, be it an argument, the configuration or the work itself, ends in `runProgram` as text on stderr and a code.
import { Command, CommanderError } from 'commander'
import { CATALOG, type CatalogEntry } from './catalog.ts'
import { EXIT, type ExitCode, exitCodeOf } from './exit-code.ts'
import { describeFailure } from './failure.ts'
import { packageInfo } from './package-info.ts'

const EXAMPLES = `
Examples:
  $ suprsync demo                                  see it work, nothing needed
  $ suprsync check --config config/suprsync.yaml   what is missing before the first start
  $ suprsync run --config config/suprsync.yaml     the service
  $ suprsync status --json                         for scripts
  $ suprsync failed retry --all                    after mending the cause

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 a check found problems.
`

export interface ProgramOptions {
  /** Without node and script: `['check', '--json']`. */
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly writeError: (text: string) => void
  readonly catalog?: readonly CatalogEntry[]
}

/** Never rejects. The code is null where the command ended well: its own `process.exitCode`, if it set one, stands. */
export async function runProgram(options: ProgramOptions): Promise<ExitCode | null> {
  const { args, env, writeError, catalog = CATALOG } = options
  try {
    const program = await buildProgram(args, catalog)
    await program.parseAsync([...args], { from: 'user' })
    return null
  } catch (error) {
    // Help and version come as errors too, and have been printed; so has the help that answers a missing command.
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage
    writeError(describeFailure(error, { json: has(args, '--json'), debug: isDebug(args, env) }))
    return exitCodeOf(error)
  }
}

export function isDebug(args: readonly string[], env: NodeJS.ProcessEnv): boolean {
  return has(args, '--debug') || (env.SUPRSYNC_DEBUG ?? '') !== ''
}

async function buildProgram(args: readonly string[], catalog: readonly CatalogEntry[]): Promise<Command> {
  const { description, version } = packageInfo()
  const program = new Command('suprsync')
    .description(description)
    .version(version, '-V, --version')
    .option('--debug', 'print the stack of an error (also SUPRSYNC_DEBUG=1)')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError()
    .exitOverride()
    // Printed once, by describeFailure.
    .configureOutput({ outputError: () => undefined })
  const asked = askedFor(args)
  for (const { name, summary, load } of catalog) {
    const command = name === asked ? await load() : new Command(name)
    program.addCommand(inheriting(command.summary(summary), program))
  }
  return program
}

/** The program's own options take no value, so the first argument that is no option names the command. */
function askedFor(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'))
  return first === 'help' ? second : first
}

/** addCommand, other than command(), leaves a command with commander's own ways of printing and exiting. */
function inheriting(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent)
  for (const child of command.commands) inheriting(child, command)
  return command
}

function has(args: readonly string[], flag: string): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).includes(flag)
}
