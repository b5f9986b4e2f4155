// `suprsync approve` and `suprsync reject`: what becomes of the deletions and emptied channels that the circuit breaker holds.
// What was shown is decided, and nothing that is lost later. Works with and without a running service, which notices within
// seconds. Counts only, never who (P8).
import { Command } from 'commander'
import {
  approveLosses,
  approveRejected,
  type Decided,
  lookAtLosses,
  rejectLosses,
  type Shown,
} from '../state/breaker-decision.ts'
import { countHeld, countRejected, readBreaker } from '../state/breaker-store.ts'
import type { StateDatabase } from '../state/database.ts'
import { notifyService } from '../state/notice.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { confirm } from './confirm.ts'
import { printJson, printLine } from './output.ts'
import { withState } from './with-state.ts'

interface Options {
  readonly config: string
  readonly yes?: true
  readonly json?: true
  readonly rejected?: true
}

interface Way {
  readonly name: 'approve' | 'reject'
  readonly description: string
  readonly question: (shown: Shown) => string
  readonly done: (users: number) => string
  readonly act: (db: StateDatabase, shown: Shown) => Promise<Decided>
}

const APPROVED = (users: number) => `${count(users)} let go: they are sent now, behind live edits.`

export function approveCommand(): Command {
  return command({
    name: 'approve',
    description: 'send the deletions and emptied channels that the circuit breaker holds',
    question: (shown) => `${shownText(shown)} Send that to SuprSend? It cannot be undone.`,
    done: APPROVED,
    act: approveLosses,
  }).option('--rejected', 'instead, send what was rejected before')
}

export function rejectCommand(): Command {
  return command({
    name: 'reject',
    description: 'keep the users whom the circuit breaker holds as SuprSend has them',
    question: (shown) => `${shownText(shown)} Keep that in SuprSend, until they lose more or have it again?`,
    done: (users) => `${count(users)} left as SuprSend has them.`,
    act: rejectLosses,
  })
}

function command({ name, description, question, done, act }: Way): Command {
  return new Command(name)
    .description(description)
    .addOption(configOption())
    .option('--yes', 'do not ask')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `\nExamples:\n  $ suprsync status            what is held, and since when\n  $ suprsync ${name}\n  $ suprsync ${name} --yes --json\n`,
    )
    .action(async (options: Options) => {
      const { yes, json } = options
      const config = await readConfig(options.config)
      await withState(config, async (db) => {
        if (options.rejected) return await sendRejected(db, config.state.schema, options)
        if ((await readBreaker(db)) === null) {
          if (json) return printJson({ open: false, users: 0 })
          return printLine('The breaker is closed: nothing is held.')
        }
        const shown = await lookAtLosses(db)
        await confirm(question(shown), { yes })
        const { users, open } = await act(db, shown)
        await notifyService(db, config.state.schema)
        if (json) printJson({ open, users })
        else printLine(`${done(users)} ${open ? await laterText(db) : 'The breaker is closed.'}`)
      })
    })
}

const COUNT_LIMIT = 1_000_000

async function sendRejected(db: StateDatabase, schema: string, { yes, json }: Options): Promise<void> {
  const rejected = await countRejected(db, COUNT_LIMIT)
  if (rejected.count > 0) {
    const what = `${count(rejected.count)}${rejected.atLeast ? ' or more' : ''} keep in SuprSend what they have lost.`
    await confirm(`${what} Send the loss after all? It cannot be undone.`, { yes })
  }
  const users = await approveRejected(db)
  await notifyService(db, schema)
  if (json) printJson({ users })
  else printLine(users === 0 ? 'Nobody is kept as rejected.' : APPROVED(users))
}

/** Of what nobody was asked. */
async function laterText(db: StateDatabase): Promise<string> {
  const { deletions, channels, atLeast } = await countHeld(db, COUNT_LIMIT)
  return `The breaker stays open: ${count(deletions + channels)}${atLeast ? ' or more' : ''} went meanwhile, and are held. Run it again to look at them.`
}

function shownText({ deletions, channels }: Shown): string {
  return `Held are ${count(deletions)} to be deleted, and ${count(channels)} who lose a channel.`
}

function count(users: number): string {
  return users === 1 ? '1 user' : `${users.toLocaleString('en-US')} users`
}
