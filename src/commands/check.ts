// `suprsync check`: every precondition of `run`, and the SQL that mends what is missing. Changes nothing anywhere. Exits
// with 3 when something stands against starting; warnings alone pass.
import { Command } from 'commander'
import { hasErrors } from '../core/finding.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { EXIT } from './exit-code.ts'
import { formatFindings } from './finding-text.ts'
import { printJson, printLine } from './output.ts'
import { checkApi, checkDatabases } from './preflight.ts'

/** Longer than any single time-out within the checks: only a host that swallows every packet gets here. */
const DEADLINE_MS = 60_000

const EXAMPLES = `
Examples:
  $ suprsync check
  $ suprsync check --config /etc/suprsync/users.yaml --json

Changes nothing anywhere. Exit codes: 0 nothing stands against starting (warnings may be printed), 3 something does.
docs/errors.md lists every finding.
`

export function checkCommand(): Command {
  return new Command('check')
    .description('verify every precondition and print the SQL that mends what is missing')
    .addOption(configOption())
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async ({ config: path, json }: { readonly config: string; readonly json?: true }) => {
      const config = await readConfig(path)
      const [databases, api] = await Promise.all([
        checkDatabases(config),
        checkApi(config, AbortSignal.timeout(DEADLINE_MS)),
      ])
      const findings = [...databases, ...api]
      const failed = hasErrors(findings)
      if (json) printJson({ ok: !failed, findings })
      else printLine(formatFindings(findings, { terminal: process.stdout.isTTY === true }))
      if (failed) process.exitCode = EXIT.problems
    })
}
