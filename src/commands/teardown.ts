// `suprsync teardown`: takes away what suprsync made, after saying what that is: the slot first, so that the application's WAL is freed
// whatever fails later, then the publication, then the state. What is not ours alone is left, and said. Run again after a
// kill it finishes. Users stay in SuprSend.
import { Command } from 'commander'
import { sleep } from '../core/abort.ts'
import { SuprsyncError } from '../core/error.ts'
import type { SlotOfName } from '../core/slot-ownership.ts'
import { decideTeardown, type TeardownPlan } from '../core/teardown.ts'
import { connectionConfig, openClient } from '../postgres/connection.ts'
import type { Queryable } from '../postgres/query.ts'
import { describeSlot, dropSlot } from '../postgres/slot.ts'
import { dropPublication, readPublishedTables } from '../postgres/teardown.ts'
import { acquireEverything } from '../state/capture-lock.ts'
import { openStateDatabase } from '../state/database.ts'
import { findState } from '../state/report.ts'
import { describeStateSchema, dropStateSchema } from '../state/teardown.ts'
import { sourceName, wantedTables } from './compiled-tables.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { confirm } from './confirm.ts'
import { printJson, printLine } from './output.ts'
import { readSlotKnowledge } from './slot-knowledge.ts'

const EXAMPLES = `
Examples:
  $ suprsync teardown                  says what it will do, and asks
  $ suprsync teardown --keep-state     slot and publication only
  $ suprsync teardown --yes --json

Users stay in SuprSend. Stop the service first.
`

const LEFT_OVER_MS = 10_000
const LOOK_MS = 200

interface Options {
  readonly config: string
  readonly yes?: true
  readonly keepState?: true
  readonly json?: true
}

export function teardownCommand(): Command {
  return new Command('teardown')
    .description('drop the slot, the publication and the state')
    .addOption(configOption())
    .option('--keep-state', 'leave the state schema')
    .option('--yes', 'do not ask')
    .option('--json', 'print what was done as JSON')
    .addHelpText('after', EXAMPLES)
    .action(teardown)
}

async function teardown({ config: path, yes, keepState, json }: Options): Promise<void> {
  const config = await readConfig(path)
  const { source, state } = config
  await using closing = new AsyncDisposableStack()
  const stateConnection = connectionConfig(state.url.reveal())
  const db = openStateDatabase({
    connection: stateConnection,
    schema: state.schema,
    maxConnections: 1,
    onIdleError: () => undefined, // The next statement tells.
  })
  closing.defer(() => db.destroy())
  // Held to the end: no service begins while its state is taken away.
  const locks = await acquireEverything(stateConnection, state.schema)
  if (locks === null) {
    throw new SuprsyncError('service_running', 'A service is running: stop it first, every process of it.')
  }
  closing.use(locks)
  const client = await openClient(connectionConfig(source.url.reveal(), { applicationName: 'suprsync teardown' }))
  closing.defer(() => client.end())

  const plan = decideTeardown({
    slotName: source.slot,
    publicationName: source.publication,
    schemaName: state.schema,
    database: client.database ?? '',
    slot: await readIdleSlot(client, source.slot),
    known: (await findState(db, state.schema)) === 'there' ? await readSlotKnowledge(client, db, source.slot) : null,
    published: await readPublishedTables(client, source.publication),
    followed: wantedTables(config).map(({ name }) => sourceName(name)),
    schema: keepState ? 'kept' : await describeStateSchema(db, state.schema),
  })
  if (!json) for (const line of planText(plan)) printLine(line)
  if (plan.steps.length > 0) await confirm('Go on? It cannot be undone.', { yes })
  for (const step of plan.steps) {
    switch (step.kind) {
      case 'drop_slot':
        await dropSlot(client, { name: step.name, signal: AbortSignal.timeout(10_000) })
        break
      case 'drop_publication':
        await dropPublication(client, step.name)
        break
      case 'drop_schema':
        await dropStateSchema(db, step.name)
    }
    if (!json) printLine(`Done: ${step.what}.`)
  }
  if (json) printJson({ done: plan.steps.map(({ kind, name }) => ({ kind, name })), left: plan.left })
}

/** A walsender of a service that was killed ends soon. One that goes on is somebody's. */
async function readIdleSlot(client: Queryable, name: string): Promise<SlotOfName | null> {
  const over = AbortSignal.timeout(LEFT_OVER_MS)
  for (;;) {
    const slot = await describeSlot(client, name)
    if (!slot?.active || over.aborted) return slot && { ...slot, confirmedLsn: slot.confirmedFlushLsn }
    await sleep(LOOK_MS, over)
  }
}

function planText({ steps, left }: TeardownPlan): readonly string[] {
  return [
    ...(steps.length === 0 ? ['There is nothing to take away.'] : ['This will be done:']),
    ...steps.map(({ what }) => `  ${what}`),
    ...(left.length === 0 ? [] : ['This is left:', ...left.map(({ name, why }) => `  ${name}: ${why}`)]),
    'Users stay in SuprSend.',
  ]
}
