// `suprsync erase ID`: deletes one user in SuprSend, whatever `user.on_delete` says, looks whether it is gone, and removes every trace of
// it from the state. Through the running service, or by itself where none runs. Prints a receipt that names nobody.
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import { outcomeOf } from '../core/outcome.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { acquireEverything } from '../state/capture-lock.ts'
import type { StateDatabase } from '../state/database.ts'
import {
  type Order,
  orderErasure,
  purgeUser,
  readErasure,
  readErasureClaim,
  readLiveKeys,
  readPosition,
} from '../state/erase-store.ts'
import { notifyService } from '../state/notice.ts'
import { readSenders } from '../state/report.ts'
import { createClient } from '../suprsend/client.ts'
import { attemptUser } from '../sync/attempt.ts'
import { RemoteReader } from '../sync/remote-reader.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { confirm } from './confirm.ts'
import { expectErasable, stillLive } from './erasable.ts'
import { printJson, printLine } from './output.ts'
import { userAgent } from './package-info.ts'
import { withState } from './with-state.ts'

const EXAMPLES = `
Examples:
  $ suprsync erase user-42
  $ suprsync erase user-42 --yes --json > receipt.json

The user's row has to be gone first, or to be no user any more (user.when): else it would come back.
`

interface Options {
  readonly config: string
  readonly yes?: true
  readonly json?: true
}

const POLL_MS = 200
const MOST_MS = 120_000
const ATTEMPTS = 5
/** Without any sender, which may be being replaced. */
const NOBODY_MS = 5_000

export function eraseCommand(): Command {
  return new Command('erase')
    .description('delete a user in SuprSend and every trace of it in the state')
    .argument('<id>', 'the distinct_id')
    .addOption(configOption())
    .option('--yes', 'do not ask')
    .option('--json', 'print the receipt as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (id: string, { config: path, yes, json }: Options) => {
      const config = await readConfig(path)
      await withState(config, async (db) => {
        await expectErasable(db, config, id)
        await confirm('Erase this user in SuprSend and in the state? It cannot be undone.', { yes })
        // A person may have taken their time: it counts what is so now.
        await erase(db, config, { distinctId: id, lsn: await expectErasable(db, config, id) })
        const receipt = await receiptOf(db, config, id)
        if (json) printJson(receipt)
        else for (const [name, value] of Object.entries(receipt)) printLine(`${name.padEnd(10)}  ${value}`)
      })
    })
}

async function erase(db: StateDatabase, config: Config, ordered: Order): Promise<void> {
  const { distinctId: id } = ordered
  if (!(await orderErasure(db, ordered))) throw stillLive(config, await readLiveKeys(db, id))
  const locks = await acquireEverything(connectionConfig(config.state.url.reveal()), config.state.schema)
  if (locks !== null) {
    await using _held = locks
    await eraseOurselves(db, config, id)
    return await purge(db, id, { told: true })
  }
  await notifyService(db, config.state.schema)
  let sentAtMs = performance.now()
  for (const deadline = performance.now() + MOST_MS; ; await delay(POLL_MS)) {
    const erasure = await readErasure(db, id)
    if (erasure.kind === 'done') break
    if (erasure.kind === 'returned') throw returned()
    if ((await readSenders(db, config.state.schema)).length > 0) sentAtMs = performance.now()
    if (performance.now() - sentAtMs > NOBODY_MS) throw nobodySends()
    if (erasure.kind === 'set_aside' || performance.now() > deadline) {
      const why = erasure.failure === null ? 'it is still pending' : `the last attempt ended with ${erasure.failure}`
      throw new SuprsyncError('erase_unfinished', `SuprSend has not deleted the user: ${why}. Run it again.`)
    }
  }
  await purge(db, id, { told: false })
}

/** No service runs, and none can begin: the locks are ours. */
async function eraseOurselves(db: StateDatabase, config: Config, id: string): Promise<void> {
  await using client = createClient({ ...config.suprsend, userAgent: userAgent() })
  const { signal } = new AbortController()
  const policy = {
    onDelete: 'delete',
    firstContact: config.suprsend.firstContact,
    exclusive: new Set<never>(),
  } as const
  const claim = await readErasureClaim(db, id)
  if (claim === null) throw returned()
  for (let attempts = 1; ; attempts += 1) {
    const end = await attemptUser(claim, {
      policy,
      secrets: config.mappingSecrets,
      send: async (distinctId, request) =>
        outcomeOf(request, await client.send(distinctId, request, signal, () => true)),
    })
    if (end.kind === 'accepted') return
    const code = end.kind === 'failed' && 'failure' in end.outcome ? end.outcome.failure.code : 'unsent'
    if (attempts >= ATTEMPTS || (end.kind === 'failed' && end.outcome.kind !== 'retry')) {
      throw new SuprsyncError('erase_unfinished', `SuprSend has not deleted the user: ${code}. Run it again.`)
    }
    await delay(500 * 2 ** attempts)
  }
}

/** What is captured meanwhile may bring the user back: only a sender's claim can tell. */
function nobodySends(): SuprsyncError {
  return new SuprsyncError(
    'erase_unfinished',
    'No process sends: changes are captured, and the user waits to be deleted. Start `suprsync run` or `suprsync run --role deliver`, and run it again.',
  )
}

function returned(): SuprsyncError {
  return new SuprsyncError('user_returned', 'A row of this user came back meanwhile.')
}

/** @param how told: the locks are ours, and a reading that is owed waits for the service, which waits for them. */
async function purge(db: StateDatabase, id: string, how: { readonly told: boolean }): Promise<void> {
  const deadline = performance.now() + (how.told ? 0 : MOST_MS)
  for (; !(await purgeUser(db, id, how)); await delay(POLL_MS)) {
    if (performance.now() < deadline) continue
    const then = how.told ? 'A reading of the table is owed: start `suprsync run`, and run' : 'Run'
    throw new SuprsyncError(
      'erase_unfinished',
      `The user is deleted in SuprSend; its trace in the state goes when the reading of the table is over. ${then} it again then.`,
    )
  }
}

/** SuprSend is asked whether the user is gone. */
async function receiptOf(
  db: StateDatabase,
  config: Config,
  id: string,
): Promise<{ readonly [name: string]: string | null }> {
  await using client = createClient({ ...config.suprsend, maxInFlight: 1, userAgent: userAgent() })
  using reader = new RemoteReader(client, { maxInFlight: 1, ratePerSecond: null })
  const looked = await reader.look(id, new AbortController().signal)
  if (looked.kind === 'found')
    throw new SuprsyncError('erase_unfinished', 'SuprSend still answers with this user. Run it again.')
  return {
    id_sha256: createHash('sha256').update(id).digest('hex'),
    erased_at: new Date().toISOString(),
    lsn: await readPosition(db),
    answer: looked.kind === 'missing' ? 'not found (404)' : `unknown (${looked.failure.code})`,
  }
}
