// `suprsync plan`: what would be sent for each user, and why a value was left out. Sends GETs alone, writes nothing anywhere, and
// needs neither a running service nor its state. Values are masked unless asked for (P8).
import { Command, InvalidArgumentError, Option } from 'commander'
import { SuprsyncError } from '../core/error.ts'
import type { Masking } from '../core/masking.ts'
import { hasDifferences } from '../core/plan-summary.ts'
import { createLogger } from '../ops/log.ts'
import { Progress } from '../ops/progress.ts'
import { StatusLine } from '../ops/status-line.ts'
import { connectionConfig, openPool } from '../postgres/connection.ts'
import { createClient } from '../suprsend/client.ts'
import { RemoteReader } from '../sync/remote-reader.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { EXIT } from './exit-code.ts'
import { printLine } from './output.ts'
import { userAgent } from './package-info.ts'
import { type PlanBatch, PlanRun, type PlanScope } from './plan-run.ts'
import { PlanSource } from './plan-source.ts'
import { PlanState } from './plan-state.ts'
import {
  formatSummary,
  formatUnsent,
  formatUser,
  isRemarkable,
  summaryJson,
  unsentJson,
  userJson,
} from './plan-text.ts'

const DEFAULT_LIMIT = 20

const EXAMPLES = `
Examples:
  $ suprsync plan                          of the first ${DEFAULT_LIMIT} rows
  $ suprsync plan --user 42 --show-values  of one user, with the values
  $ suprsync plan --all --exit-code        of everybody: one GET for each, at suprsend.max_requests_per_second
  $ suprsync plan --all --json | jq -r 'select(.action == "delete").id'

Sends nothing and changes nothing. Users whom the service has sent are planned from its state, all others by what SuprSend
holds; only --all also finds users whose row is gone. --json prints one JSON document a line: a user each, rows that make
no user, and the summary last (docs/operations.md explains the names). Secrets of the environment are never printed.

Exit codes: 0 planned, with or without differences; 1 it could not be, or not for every user, or with --exit-code
something would be sent; 2 wrong usage or configuration.
`

interface PlanOptions {
  readonly config: string
  readonly user?: string
  readonly limit?: number
  readonly all?: true
  readonly showValues?: true
  readonly exitCode?: true
  readonly json?: true
}

export function planCommand(): Command {
  return new Command('plan')
    .description('show what would be sent for each user, and why a value is left out; send nothing')
    .addOption(configOption())
    .addOption(new Option('--user <id>', 'the user with this distinct_id').conflicts(['limit', 'all']))
    .addOption(
      new Option('--limit <n>', `this many rows in the order of their keys (default: ${DEFAULT_LIMIT})`).argParser(
        parseLimit,
      ),
    )
    .addOption(new Option('--all', 'every row, and users whose row is gone').conflicts(['limit', 'user']))
    .option('--show-values', 'print values as they would be sent instead of masked')
    .option('--exit-code', 'exit with 1 when something would be sent')
    .option('--json', 'print JSON, one document a line')
    .addHelpText('after', EXAMPLES)
    .action(plan)
}

async function plan(options: PlanOptions): Promise<void> {
  const scope = scopeOf(options)
  const masking: Masking = options.showValues ? 'clear' : 'masked'
  const config = await readConfig(options.config)
  await using closing = new AsyncDisposableStack()
  const pool = openPool(
    connectionConfig(config.source.url.reveal(), { applicationName: 'suprsync plan' }),
    () => undefined, // The next statement tells.
  )
  closing.defer(() => pool.end())
  const source = await PlanSource.open(pool, config)
  const state = closing.use(await PlanState.open(config))
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
  const onBatch = (batch: PlanBatch) => {
    for (const text of options.json ? jsonLines(batch, masking) : textBlocks(batch, { masking, scope })) print(text)
    progress?.advance(batch.rows)
  }
  const end = await new PlanRun({ config, source, state, remote, onBatch }).run(scope, stopping.signal)
  print(options.json ? JSON.stringify(summaryJson(end, masking)) : formatSummary(end, masking))
  const failed = end.summary.failures.length > 0
  if (failed || (options.exitCode && hasDifferences(end.summary))) process.exitCode = EXIT.failed
}

function jsonLines({ users, unsent }: PlanBatch, masking: Masking): readonly string[] {
  return [...users.map((user) => userJson(user, masking)), ...unsent.map(unsentJson)].map((each) =>
    JSON.stringify(each),
  )
}

/** Of everybody only those of whom there is something to say. */
function textBlocks(
  { users, unsent }: PlanBatch,
  { masking, scope }: { readonly masking: Masking; readonly scope: PlanScope },
): readonly string[] {
  const shown = scope.kind === 'all' ? users.filter(isRemarkable) : users
  return [...shown.map((user) => formatUser(user, masking)), ...unsent.map(formatUnsent)]
}

async function showProgress(line: StatusLine, scope: PlanScope, source: PlanSource): Promise<Progress> {
  const estimate = await source.estimateRows()
  const estimatedRows = scope.kind === 'first' ? Math.min(scope.limit, estimate ?? scope.limit) : estimate
  const log = createLogger({ to: 'stderr', statusLine: line })
  return new Progress({ label: 'plan', estimatedRows, log, line })
}

function scopeOf({ user, limit, all }: PlanOptions): PlanScope {
  if (user !== undefined) {
    if (user.trim() === '') throw new SuprsyncError('usage_invalid', '--user wants a distinct_id.')
    return { kind: 'user', distinctId: user.trim() }
  }
  return all ? { kind: 'all' } : { kind: 'first', limit: limit ?? DEFAULT_LIMIT }
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (!/^\d+$/.test(text) || limit < 1 || limit > 1_000_000) {
    throw new InvalidArgumentError('Expected a whole number from 1 to 1000000; --all reads every row.')
  }
  return limit
}
