// `suprsync backfill`: has the running service (or the next one) read rows of the followed tables again, beside the stream and
// behind live edits. Only users whose profile comes out different are sent. Shows how far it is, and can be called off.
import { setTimeout as delay } from 'node:timers/promises'
import { Command, Option } from 'commander'
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import { createLogger } from '../ops/log.ts'
import { Progress } from '../ops/progress.ts'
import { StatusLine } from '../ops/status-line.ts'
import { cancelRequests, type RequestedRun, readRequest, requestBackfill } from '../state/backfill-request.ts'
import type { StateDatabase } from '../state/database.ts'
import { notifyService } from '../state/notice.ts'
import { readLockHolder } from '../state/report.ts'
import { type Chosen, requestedTables } from './backfill-filter.ts'
import { CaptureTrouble } from './capture-trouble.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { EXIT } from './exit-code.ts'
import { printJson, printLine } from './output.ts'
import { withState } from './with-state.ts'

const EXAMPLES = `
Examples:
  $ suprsync backfill                                  every row; rows that are gone are found as well
  $ suprsync backfill --where "updated_at > '2026-01-01'"
  $ suprsync backfill --user 42
  $ suprsync backfill --detach                         ask for it and go
  $ suprsync backfill --cancel

--where is SQL over the rows of the users table; their child rows are read with them.
`

interface Options extends Chosen {
  readonly config: string
  readonly cancel?: true
  readonly detach?: true
  readonly json?: true
}

export function backfillCommand(): Command {
  return new Command('backfill')
    .description('read rows of the followed tables again while the service runs')
    .addOption(configOption())
    .addOption(new Option('--user <id>', 'only the row of this distinct_id').conflicts(['where', 'cancel']))
    .addOption(new Option('--where <sql>', 'only rows for which this SQL is true').conflicts(['user', 'cancel']))
    .addOption(
      new Option('--cancel', 'call off every reading that was asked for').conflicts(['user', 'where', 'detach']),
    )
    .option('--detach', 'do not wait for its end')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => {
      const config = await readConfig(options.config)
      await withState(config, async (db) => {
        if (options.cancel) await cancel(db, config, options)
        else await backfill(db, config, options)
      })
    })
}

async function cancel(db: StateDatabase, { state }: Config, { json }: Options): Promise<void> {
  const cancelled = await cancelRequests(db)
  await notifyService(db, state.schema)
  if (json) printJson({ cancelled })
  else printLine(cancelled === 0 ? 'Nothing was being read.' : 'Called off. What was read so far stays.')
}

async function backfill(db: StateDatabase, config: Config, options: Options): Promise<void> {
  const request = await requestBackfill(db, await requestedTables(config, db, options))
  if (request === null) {
    throw new SuprsyncError(
      'first_start_unfinished',
      'Nothing was read yet: the first start of `suprsync run` reads every row.',
    )
  }
  await notifyService(db, config.state.schema)
  const isRunning = async () => (await readLockHolder(db, config.state.schema)) !== null
  if (options.detach || !(await isRunning())) {
    const running = await isRunning()
    if (options.json)
      return printJson({ request, service_running: running, tables: tablesJson(await readRequest(db, request)) })
    return printLine(
      running
        ? 'Asked for; the service reads it now.'
        : 'Asked for; no service is running: it is read when one starts.',
    )
  }
  const runs = await follow(db, request, { config, quiet: options.json === true })
  if (options.json) printJson({ request, service_running: true, tables: tablesJson(runs) })
  else for (const run of runs) printLine(runText(run))
  if (runs.some(({ failure, cancelled }) => failure !== null || cancelled)) process.exitCode = EXIT.failed
}

const POLL_MS = 200

interface Shown {
  readonly source: string
  readonly progress: Progress
  rows: number
}

/** Until every run of the request is at its end. */
async function follow(
  db: StateDatabase,
  request: string,
  { config, quiet }: { readonly config: Config; readonly quiet: boolean },
): Promise<readonly RequestedRun[]> {
  const line = process.stderr.isTTY && !quiet ? new StatusLine(process.stderr) : null
  const log = createLogger({ to: 'stderr', ...(line && { statusLine: line }), ...(quiet && { level: 'warn' }) })
  const trouble = new CaptureTrouble(config, log)
  let shown: Shown | null = null
  try {
    for (;;) {
      const runs = await readRequest(db, request)
      const current = runs.find(({ finished }) => !finished)
      if (current === undefined) return runs
      if (shown?.source !== current.source) {
        shown?.progress.end()
        shown = show(current, { log, line })
      }
      shown.progress.advance(current.rowsRead - shown.rows)
      if (current.rowsRead !== shown.rows) trouble.moved()
      shown.rows = current.rowsRead
      await trouble.sayWhatIsNew()
      await delay(POLL_MS)
    }
  } finally {
    shown?.progress.end()
  }
}

function show(
  { source, rowsRead, rowsEstimated }: RequestedRun,
  to: Pick<ConstructorParameters<typeof Progress>[0], 'log' | 'line'>,
): Shown {
  const label = `backfill of ${source}`
  const progress = new Progress({ label, estimatedRows: rowsEstimated, resumedRows: rowsRead, ...to })
  return { source, progress, rows: rowsRead }
}

function tablesJson(runs: readonly RequestedRun[]): readonly object[] {
  return runs.map(({ source, rowsRead, finished, cancelled, failure }) => ({
    table: source,
    rows_read: rowsRead,
    finished,
    cancelled,
    failure,
  }))
}

function runText({ source, rowsRead, cancelled, failure }: RequestedRun): string {
  const rows = `${rowsRead.toLocaleString('en-US')} row${rowsRead === 1 ? '' : 's'} read`
  if (failure !== null) return `${source}: ended with ${failure}, ${rows}; the service's log says more`
  return `${source}: ${cancelled ? 'called off, ' : ''}${rows}`
}
