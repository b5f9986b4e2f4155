// `suprsync failed list` and `suprsync failed retry`: who was set aside and why, and sending them again once the cause is
// mended. Works with and without a running service, which notices within a second. Ids, codes and keys only (P8).
import { Command, InvalidArgumentError } from 'commander'
import { SuprsyncError } from '../core/error.ts'
import { isRowFailure, ROW_FAILURES } from '../core/failed-row.ts'
import type { StateDatabase } from '../state/database.ts'
import { listFailed, retryAllFailed, retryUsers } from '../state/failed-store.ts'
import { notifyService } from '../state/notice.ts'
import { readSenders } from '../state/report.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { failedJson, formatFailed } from './failed-text.ts'
import { printJson, printLine } from './output.ts'
import { withState } from './with-state.ts'

const EXAMPLES = `
Examples:
  $ suprsync failed                           the same as \`failed list\`
  $ suprsync failed list --code invalid_value
  $ suprsync failed retry --all               after mending the cause

docs/delivery-errors.md lists the codes.
`
const LIST_EXAMPLES = `
Examples:
  $ suprsync failed list
  $ suprsync failed list --code invalid_value --limit 1000 --json
`
const RETRY_EXAMPLES = `
Examples:
  $ suprsync failed retry user-42             after mending what was wrong with them
  $ suprsync failed retry --code invalid_value
  $ suprsync failed retry --all
`

export function failedCommand(): Command {
  return new Command('failed')
    .description('list the profiles that were set aside, or send them again')
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(retryCommand())
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
    .description('users set aside, duplicates and rows without a usable id, with the reason of each')
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

interface RetryOptions {
  readonly config: string
  readonly code?: string
  readonly all?: true
  readonly json?: true
}

function retryCommand(): Command {
  return new Command('retry')
    .description('send users again that were set aside')
    .argument('[ids...]', 'distinct_ids')
    .addOption(configOption())
    .option('--code <code>', 'all that were set aside with this code')
    .option('--all', 'all that were set aside')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', RETRY_EXAMPLES)
    .action(async (ids: readonly string[], options: RetryOptions) => {
      const retry = chosen(ids, options)
      const config = await readConfig(options.config)
      const { retried, running } = await withState(config, async (db) => ({
        retried: await retry(db),
        notified: await notifyService(db, config.state.schema),
        running: (await readSenders(db, config.state.schema)).length > 0,
      }))
      if (options.json) printJson({ retried, service_running: running })
      else printLine(retryText(retried, running))
    })
}

type Retry = (db: StateDatabase) => Promise<number>

function chosen(ids: readonly string[], { code, all }: RetryOptions): Retry {
  const ways = [ids.length > 0, code !== undefined, all === true].filter(Boolean).length
  if (ways !== 1) {
    const what = ways === 0 ? 'Nobody was chosen' : 'More than one choice was made'
    throw new SuprsyncError('usage_invalid', `${what}: give distinct_ids, or --code <code>, or --all.`)
  }
  if (ids.length > 0) return (db) => retryUsers(db, ids)
  if (code !== undefined && isRowFailure(code)) {
    throw new SuprsyncError('row_not_retriable', `There is nothing to send again: ${ROW_FAILURES[code].message}.`, {
      details: { next: ROW_FAILURES[code].nextStep },
    })
  }
  return (db) => retryAllFailed(db, code ?? null)
}

function retryText(retried: number, running: boolean): string {
  if (retried === 0) return 'Nobody was set aside for it: nothing to send again.'
  const users = retried === 1 ? '1 user is' : `${retried.toLocaleString('en-US')} users are`
  return `${users} due again; ${running ? 'the running service sends them now' : 'no service is running: they are sent when it starts'}.`
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (!/^\d+$/.test(text) || limit < 1 || limit > 1_000_000) {
    throw new InvalidArgumentError('Expected a whole number from 1 to 1000000.')
  }
  return limit
}
