// `suprsync failed retry` and `suprsync failed drop`: sending again whom SuprSend refused, once the cause is mended, or giving up
// what it refused. Works with and without a running service, which notices within a second. Says how many, never who (P8).
import { Command } from 'commander'
import { SuprsyncError } from '../core/error.ts'
import { isRowFailure, ROW_FAILURES } from '../core/failed-row.ts'
import type { StateDatabase } from '../state/database.ts'
import { type Remedy, remedyAllFailed, remedyUsers } from '../state/failed-store.ts'
import { notifyService } from '../state/notice.ts'
import { readSenders } from '../state/report.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { confirm } from './confirm.ts'
import { printJson, printLine } from './output.ts'
import { withState } from './with-state.ts'

const RETRY_EXAMPLES = `
Examples:
  $ suprsync failed retry user-42             after mending what was wrong with them
  $ suprsync failed retry --code invalid_value
  $ suprsync failed retry --all
`
const DROP_EXAMPLES = `
Examples:
  $ suprsync failed drop user-42              SuprSend keeps what it holds of them
  $ suprsync failed drop --code invalid_value --yes
  $ suprsync failed drop --all

They are listed and counted no more, and nothing is sent of them until their rows change.
`

interface Options {
  readonly config: string
  readonly code?: string
  readonly all?: true
  readonly yes?: true
  readonly json?: true
}

export function retryCommand(): Command {
  return remedyCommand('retry')
    .description('send users again that were set aside')
    .addHelpText('after', RETRY_EXAMPLES)
    .action(async (ids: readonly string[], options: Options) => {
      const retry = chosen('retry', ids, options)
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

export function dropCommand(): Command {
  return remedyCommand('drop')
    .description('give up what was refused: nothing is sent until the rows change')
    .option('--yes', 'do not ask')
    .addHelpText('after', DROP_EXAMPLES)
    .action(async (ids: readonly string[], options: Options) => {
      const drop = chosen('drop', ids, options)
      const config = await readConfig(options.config)
      await confirm(question(ids, options), options)
      const dropped = await withState(config, drop)
      if (options.json) printJson({ dropped })
      else printLine(dropText(dropped))
    })
}

function remedyCommand(remedy: Remedy): Command {
  return new Command(remedy)
    .argument('[ids...]', 'distinct_ids')
    .addOption(configOption())
    .option('--code <code>', 'all that were set aside with this code')
    .option('--all', 'all that were set aside')
    .option('--json', 'print the result as JSON')
}

type Change = (db: StateDatabase) => Promise<number>

function chosen(remedy: Remedy, ids: readonly string[], { code, all }: Options): Change {
  const ways = [ids.length > 0, code !== undefined, all === true].filter(Boolean).length
  if (ways !== 1) {
    const what = ways === 0 ? 'Nobody was chosen' : 'More than one choice was made'
    throw new SuprsyncError('usage_invalid', `${what}: give distinct_ids, or --code <code>, or --all.`)
  }
  if (ids.length > 0) return (db) => remedyUsers(db, remedy, ids)
  if (code !== undefined && isRowFailure(code)) {
    const nothing = remedy === 'retry' ? 'There is nothing to send again' : 'There is nothing to give up'
    throw new SuprsyncError('row_not_retriable', `${nothing}: ${ROW_FAILURES[code].message}.`, {
      details: { next: ROW_FAILURES[code].nextStep },
    })
  }
  return (db) => remedyAllFailed(db, remedy, code ?? null)
}

function retryText(retried: number, running: boolean): string {
  if (retried === 0) return 'Nobody was set aside for it: nothing to send again.'
  const users = retried === 1 ? '1 user is' : `${retried.toLocaleString('en-US')} users are`
  return `${users} due again; ${running ? 'the running service sends them now' : 'no service is running: they are sent when it starts'}.`
}

function question(ids: readonly string[], { code }: Options): string {
  const all = code === undefined ? 'everybody who is set aside' : `everybody who is set aside with ${code}`
  const whom = ids.length === 0 ? all : ids.length === 1 ? 'this user' : `these ${ids.length} users`
  return `Give up what SuprSend refused of ${whom}? Nothing of it is sent until the rows change.`
}

function dropText(dropped: number): string {
  if (dropped === 0) return 'Nobody was set aside for it: nothing to give up.'
  const users = dropped === 1 ? '1 user is' : `${dropped.toLocaleString('en-US')} users are`
  return `${users} set aside no more; nothing is sent of them until their rows change.`
}
