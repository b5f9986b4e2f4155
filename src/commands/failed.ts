// `suprsync failed` and `suprsync failed list`: who was set aside and why. Works with and without a running service. Ids, codes
// and keys only (P8). What is done about them is in failed-remedies.ts.
import { Command, InvalidArgumentError } from 'commander'
import { listFailed } from '../state/failed-store.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { dropCommand, retryCommand } from './failed-remedies.ts'
import { failedJson, formatFailed } from './failed-text.ts'
import { printJson, printLine } from './output.ts'
import { withState } from './with-state.ts'

const EXAMPLES = `
Examples:
  $ suprsync failed                           the same as \`failed list\`
  $ suprsync failed list --code invalid_value
  $ suprsync failed retry --all               after mending the cause
  $ suprsync failed drop user-42              what was refused is given up

docs/delivery-errors.md lists the codes.
`
const LIST_EXAMPLES = `
Examples:
  $ suprsync failed list
  $ suprsync failed list --code invalid_value --limit 1000 --json
`

export function failedCommand(): Command {
  return new Command('failed')
    .description('list the profiles that were set aside, send them again, or give them up')
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(retryCommand())
    .addCommand(dropCommand())
    .addHelpText('after', EXAMPLES)
}

interface ListOptions {
  readonly config: string
  readonly code?: string
  readonly limit: number
  readonly json?: true
}

function listCommand(): Command {
  return new Command('list')
    .description('users and keys set aside, duplicates and rows without a usable id, with the reason of each')
    .addOption(configOption())
    .option('--code <code>', 'only those with this code')
    .option('--limit <n>', 'how many at most', parseLimit, 100)
    .option('--json', 'print them as JSON')
    .addHelpText('after', LIST_EXAMPLES)
    .action(async ({ config: path, code, limit, json }: ListOptions) => {
      const failed = await withState(await readConfig(path), (db) =>
        listFailed(db, { code: code ?? null, limit: limit + 1 }),
      )
      const shown = failed.slice(0, limit)
      const more = failed.length > limit
      if (json) printJson({ failed: shown.map(failedJson), more })
      else printLine(formatFailed(shown, { more }))
    })
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (!/^\d+$/.test(text) || limit < 1 || limit > 1_000_000) {
    throw new InvalidArgumentError('Expected a whole number from 1 to 1000000.')
  }
  return limit
}
