// `suprsync approve` and `suprsync reject`: what becomes of the deletions and emptied channels that the circuit breaker holds.
// Works with and without a running service, which notices within seconds. Counts only, never who (P8).
import { Command } from 'commander'
import type { HeldUsers } from '../core/status-report.ts'
import { approveLosses, countHeld, readBreaker, rejectLosses } from '../state/breaker-store.ts'
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
}

interface Way {
  readonly name: 'approve' | 'reject'
  readonly description: string
  readonly question: (held: HeldUsers) => string
  readonly done: (users: number) => string
  readonly act: (db: StateDatabase) => Promise<number>
}

export function approveCommand(): Command {
  return command({
    name: 'approve',
    description: 'send the deletions and emptied channels that the circuit breaker holds',
    question: (held) => `${heldText(held)} Send that to SuprSend? It cannot be undone.`,
    done: (users) => `${count(users)} let go: they are sent now, behind live edits. The breaker is closed.`,
    act: approveLosses,
  })
}

export function rejectCommand(): Command {
  return command({
    name: 'reject',
    description: 'keep the users whom the circuit breaker holds as SuprSend has them',
    question: (held) => `${heldText(held)} Keep them in SuprSend as they are, until their rows change again?`,
    done: (users) => `${count(users)} left as SuprSend has them. The breaker is closed.`,
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
    .action(async ({ config: path, yes, json }: Options) => {
      const config = await readConfig(path)
      await withState(config, async (db) => {
        const held = await countHeld(db)
        const total = held.deletions + held.channels
        if (total === 0 && (await readBreaker(db)) === null) {
          if (json) return printJson({ open: false, users: 0 })
          return printLine('The breaker is closed: nothing is held.')
        }
        await confirm(question(held), { yes })
        const users = await act(db)
        await notifyService(db, config.state.schema)
        if (json) printJson({ open: false, users })
        else printLine(done(users))
      })
    })
}

function heldText({ deletions, channels }: HeldUsers): string {
  return `Held are ${count(deletions)} to be deleted, and ${count(channels)} who lose a channel.`
}

function count(users: number): string {
  return users === 1 ? '1 user' : `${users.toLocaleString('en-US')} users`
}
