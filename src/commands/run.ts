// `suprsync run`: the service. Checks first, waits for an unreachable database, refuses to start on what only a person can
// mend, and then captures and delivers until it is told to stop (P10).
import { Command } from 'commander'
import type { Config } from '../config/config.ts'
import { sleep } from '../core/abort.ts'
import { SuprsyncError } from '../core/error.ts'
import { type FailPoints, NO_FAIL_POINTS, scriptedFailPoints } from '../core/fail-points.ts'
import { type Finding, hasErrors } from '../core/finding.ts'
import type { Logger, LogLevel } from '../core/logger.ts'
import { reconnectDelayMs } from '../core/reconnect.ts'
import { readinessOf, type ServiceStatus } from '../core/service-status.ts'
import { startHttpServer } from '../ops/http.ts'
import { createLogger } from '../ops/log.ts'
import { createMetrics } from '../ops/metrics.ts'
import { Progress } from '../ops/progress.ts'
import { installSignals } from '../ops/signals.ts'
import { StatusLine } from '../ops/status-line.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { logLevelOption } from './log-option.ts'
import { checkApi, checkDatabases } from './preflight.ts'
import { collectReadings } from './readings.ts'
import { RunningService } from './service-wiring.ts'

const EXAMPLES = `
Examples:
  $ suprsync run
  $ suprsync run --config /etc/suprsync/users.yaml --log-level debug

Endpoints, on http.listen (127.0.0.1:9464 by default): /livez /readyz /metrics
SIGTERM or Ctrl-C stops: requests under way are finished and recorded first. A second signal exits at once.
`

export function runCommand(): Command {
  return new Command('run')
    .description('follow the users table and keep SuprSend equal to it')
    .addOption(configOption())
    .addOption(logLevelOption())
    .addHelpText('after', EXAMPLES)
    .action(async ({ config: path, logLevel }: { config: string; logLevel?: LogLevel }) => {
      const config = await readConfig(path)
      await run(config, logLevel)
    })
}

async function run(config: Config, logLevel: LogLevel | undefined): Promise<void> {
  const statusLine = process.stderr.isTTY ? new StatusLine(process.stderr) : null
  const level = logLevel ?? levelOf(config)
  const log = createLogger({ to: 'stdout', ...(level && { level }), ...(statusLine && { statusLine }) })
  let service: RunningService | null = null
  const stillOpen = () => (service ? [`${service.inHand} users in hand`] : [])
  using signals = installSignals({ shutdownTimeoutMs: config.shutdownTimeoutMs, log, stillOpen })
  const metrics = createMetrics({ log })
  const readiness = () => readinessOf(service?.status ?? STARTING)

  await using closing = new AsyncDisposableStack()
  if (config.http) {
    const http = closing.use(await startHttpServer({ ...config.http, readiness, metrics, log }))
    log.info({ url: http.url }, 'listening for health checks and metrics')
  }
  await passPreflight(config, log, signals.signal)
  if (signals.signal.aborted) return
  let progress: Progress | null = null
  closing.defer(() => progress?.end())
  service = closing.use(
    new RunningService({
      config,
      metrics,
      log,
      failPoints: failPointsOf(process.env.SUPRSYNC_FAIL_POINT),
      onBackfill: ({ rowsRead, rowsEstimated, rowsInPage, finished }) => {
        progress ??= new Progress({
          label: 'backfill',
          estimatedRows: rowsEstimated,
          resumedRows: rowsRead - rowsInPage,
          log,
          line: statusLine,
        })
        progress.advance(rowsInPage)
        if (finished) {
          progress.end()
          log.info({ rows: rowsRead }, 'backfill finished')
        }
      },
    }),
  )
  const { state, source } = service
  metrics.onCollect(collectReadings({ state, source: source.pool, slot: config.source.slot, log }))
  await service.run(signals.signal)
  log.info({}, 'stopped')
}

const STARTING: ServiceStatus = { capture: { kind: 'starting' }, host: 'open' }

/** pino's outermost levels have no counterpart among ours. */
function levelOf({ log: { level } }: Config): LogLevel | undefined {
  if (level === 'trace') return 'debug'
  return level === 'fatal' || level === 'silent' ? 'error' : level
}

/** Waits for databases, warns about SuprSend (which never stops capture), throws for everything else. */
async function passPreflight(config: Config, log: Logger, stop: AbortSignal): Promise<void> {
  const startedAt = performance.now()
  for (let failures = 1; !stop.aborted; failures += 1) {
    const findings = await checkDatabases(config)
    for (const finding of findings) if (finding.level === 'warning') log.warn(fieldsOf(finding), finding.message)
    const errors = findings.filter(({ level }) => level === 'error')
    if (errors.length === 0) break
    const waitable = errors.every(isPassing)
    for (const finding of errors) log[waitable ? 'warn' : 'error'](fieldsOf(finding), finding.message)
    if (!waitable) {
      throw new SuprsyncError(
        'preflight_failed',
        `${errors.length === 1 ? 'A precondition is' : `${errors.length} preconditions are`} not met: ${errors.map(({ code }) => code).join(', ')}.`,
        {
          details: { next: 'Run `suprsync check` for what to do about each.' },
        },
      )
    }
    const code = errors[0]?.cause === 'password' ? '28P01' : errors[0]?.cause === 'dns' ? 'ENOTFOUND' : undefined
    await sleep(
      reconnectDelayMs({ code, failures, downMs: performance.now() - startedAt, random: Math.random() }),
      stop,
    )
  }
  void checkApi(config, stop).then(
    (findings) => {
      for (const finding of findings) if (hasErrors([finding])) log.error(fieldsOf(finding), finding.message)
    },
    (error: unknown) => log.debug({ err: error }, 'suprsend could not be checked'),
  )
}

/** A database that is down or starting comes back by itself; so does a free slot when a former process lets go of it. */
function isPassing({ code }: Finding): boolean {
  return code === 'server_unreachable' || code === 'no_free_sender'
}

function fieldsOf({ code, sql, cause }: Finding): { readonly [name: string]: string } {
  return { code, ...(sql !== undefined && { sql }), ...(cause !== undefined && { cause }) }
}

function failPointsOf(script: string | undefined): FailPoints {
  return script ? scriptedFailPoints(script, () => process.kill(process.pid, 'SIGKILL')) : NO_FAIL_POINTS
}
