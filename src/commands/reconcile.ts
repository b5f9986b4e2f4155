// `suprsync reconcile`: compares what SuprSend holds with what the table says, and with --repair has the service send again whom it
// finds otherwise. Asks by GET alone; what it writes is a mark in the state. Keys and counts, never a value (P8).
import { Command, InvalidArgumentError, Option } from 'commander'
import { SuprsyncError } from '../core/error.ts'
import { exclusiveKeys } from '../core/mapping-spec.ts'
import { namedKeys } from '../core/reconcile.ts'
import { driftedUsers } from '../core/reconcile-summary.ts'
import { isCaughtUp } from '../core/slot-lag.ts'
import { createLogger } from '../ops/log.ts'
import { Progress } from '../ops/progress.ts'
import { StatusLine } from '../ops/status-line.ts'
import { connectionConfig, openPool } from '../postgres/connection.ts'
import { readSlotReport } from '../postgres/slot-report.ts'
import { createClient } from '../suprsend/client.ts'
import { RemoteReader } from '../sync/remote-reader.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { EXIT } from './exit-code.ts'
import { printLine } from './output.ts'
import { userAgent } from './package-info.ts'
import { PlanSource } from './plan-source.ts'
import { type ReconciledBatch, ReconcileRun } from './reconcile-run.ts'
import { ReconcileState } from './reconcile-state.ts'
import {
  formatReconciled,
  formatReconcileSummary,
  isRemarkable,
  type ReconcileEnd,
  reconciledJson,
  reconcileSummaryJson,
} from './reconcile-text.ts'
import type { ScanScope } from './user-scan.ts'

type Scope = Exclude<ScanScope, { kind: 'first' }>

const EXAMPLES = `
Examples:
  $ suprsync reconcile --user 42
  $ suprsync reconcile --sample 1000 --exit-code   of random users, for a nightly job
  $ suprsync reconcile --all --repair              of everybody: one GET for each, at suprsend.max_requests_per_second
  $ suprsync reconcile --all --json | jq -r 'select(.result == "missing").id'

missing: SuprSend does not have the user. extra: it has what should be gone. different: it lacks, or has otherwise, what the
row says. Values that others added are left alone, except in channels that are \`exclusive\`. Who is pending or set aside is
said and counts as no difference. --repair makes users due again; the service sends them. Only --user and --all find users
whose row is gone. --json prints one JSON document a line: a user each, and the summary last.

Exit codes: 0 compared, with or without differences; 1 it could not be, or not for every user, or with --exit-code there was
a difference; 2 wrong usage or configuration.
`

interface ReconcileOptions {
  readonly config: string
  readonly user?: string
  readonly sample?: number
  readonly all?: true
  readonly repair?: true
  readonly exitCode?: true
  readonly json?: true
}

export function reconcileCommand(): Command {
  return new Command('reconcile')
    .description('compare what SuprSend holds with what the table says, and mend it')
    .addOption(configOption())
    .addOption(new Option('--user <id>', 'the user with this distinct_id').conflicts(['sample', 'all']))
    .addOption(new Option('--sample <n>', 'this many random users').argParser(parseSample).conflicts(['user', 'all']))
    .addOption(new Option('--all', 'everybody, also users whose row is gone').conflicts(['user', 'sample']))
    .option('--repair', 'have the service send again whom SuprSend holds otherwise')
    .option('--exit-code', 'exit with 1 when there is a difference')
    .option('--json', 'print JSON, one document a line')
    .addHelpText('after', EXAMPLES)
    .action(reconcile)
}

async function reconcile(options: ReconcileOptions): Promise<void> {
  const scope = scopeOf(options)
  const config = await readConfig(options.config)
  await using closing = new AsyncDisposableStack()
  const pool = openPool(
    connectionConfig(config.source.url.reveal(), { applicationName: 'suprsync reconcile' }),
    () => undefined, // The next statement tells.
  )
  closing.defer(() => pool.end())
  const source = await PlanSource.open(pool, config)
  const state = closing.use(await ReconcileState.open(config))
  const client = createClient({ ...config.suprsend, userAgent: userAgent() })
  closing.defer(() => client.destroy())
  const { maxInFlight, maxRequestsPerSecond: ratePerSecond } = config.suprsend
  const remote = closing.use(new RemoteReader(client, { maxInFlight, ratePerSecond }))
  const stopping = new AbortController()
  closing.defer(() => stopping.abort())

  const line = process.stderr.isTTY && scope.kind !== 'user' ? new StatusLine(process.stderr) : null
  const progress = line && closing.use(await showProgress(line, scope, source))
  const print = (text: string) => {
    line?.clear()
    printLine(text)
  }
  const onBatch = ({ rows, users }: ReconciledBatch) => {
    // Of many only those of whom there is something to say.
    const shown = options.json || scope.kind === 'user' ? users : users.filter(isRemarkable)
    for (const user of shown) print(options.json ? JSON.stringify(reconciledJson(user)) : formatReconciled(user))
    progress?.advance(rows)
  }
  const run = new ReconcileRun({
    source,
    state,
    remote,
    policy: {
      onDelete: config.mapping.onDelete,
      exclusive: exclusiveKeys(config.mapping),
      named: namedKeys(config.mapping),
    },
    repair: options.repair ?? false,
    isCaughtUp: async () => isCaughtUp(await readSlotReport(pool, config.source.slot)),
    onBatch,
  })
  const summary = await run.run(scope, stopping.signal)
  if (options.all && options.repair && summary.users.not_compared === 0 && !stopping.signal.aborted)
    await state.endDoubt()
  const end: ReconcileEnd = {
    summary,
    repair: options.repair ?? false,
    serviceRunning: await state.isServiceRunning(),
  }
  print(options.json ? JSON.stringify(reconcileSummaryJson(end)) : formatReconcileSummary(end))
  if (summary.users.not_compared > 0 || (options.exitCode && driftedUsers(summary) > 0)) process.exitCode = EXIT.failed
}

async function showProgress(line: StatusLine, scope: Scope, source: PlanSource): Promise<Progress> {
  const estimate = await source.estimateRows()
  const estimatedRows = scope.kind === 'sample' ? Math.min(scope.limit, estimate ?? scope.limit) : estimate
  const log = createLogger({ to: 'stderr', statusLine: line })
  return new Progress({ label: 'reconcile', estimatedRows, log, line })
}

function scopeOf({ user, sample, all }: ReconcileOptions): Scope {
  if (user !== undefined) {
    if (user.trim() === '') throw new SuprsyncError('usage_invalid', '--user wants a distinct_id.')
    return { kind: 'user', distinctId: user.trim() }
  }
  if (sample !== undefined) return { kind: 'sample', limit: sample }
  if (all) return { kind: 'all' }
  throw new SuprsyncError('usage_invalid', 'Nobody was chosen: give --user <id>, --sample <n> or --all.')
}

function parseSample(text: string): number {
  const limit = Number(text)
  if (!/^\d+$/.test(text) || limit < 1 || limit > 100_000) {
    throw new InvalidArgumentError('Expected a whole number from 1 to 100000; --all compares everybody.')
  }
  return limit
}
