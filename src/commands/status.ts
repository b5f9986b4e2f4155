// `suprsync status`: what an operator needs at three in the morning. Changes nothing, needs no running service. Exits with 0
// when everything could be read, whatever it says; with 1 when the source or the state could not.
import { Command } from 'commander'
import { problemsOf } from '../core/status-problems.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { EXIT } from './exit-code.ts'
import { printJson, printLine } from './output.ts'
import { gatherStatus } from './status-facts.ts'
import { statusJson } from './status-json.ts'
import { formatStatus } from './status-text.ts'

const EXAMPLES = `
Examples:
  $ suprsync status
  $ suprsync status --json | jq '.problems[].code'

Needs no running service. Exit codes: 0 everything could be read, whatever it says; 1 the source or the state could not be.
docs/operations.md says what to do about each problem.
`

export function statusCommand(): Command {
  return new Command('status')
    .description('show the checkpoint, the slot, what is pending and what failed')
    .addOption(configOption())
    .option('--json', 'print it as JSON; docs/operations.md explains the names')
    .addHelpText('after', EXAMPLES)
    .action(async ({ config: path, json }: { readonly config: string; readonly json?: true }) => {
      const config = await readConfig(path)
      const report = await gatherStatus(config)
      const problems = problemsOf(report, { slot: config.source.slot, recovery: config.recovery })
      if (json) printJson(statusJson(report, problems, config))
      else printLine(formatStatus(report, problems, { config, terminal: process.stdout.isTTY === true }))
      if (report.source.kind === 'unreadable' || report.state.kind === 'unreadable') process.exitCode = EXIT.failed
    })
}
