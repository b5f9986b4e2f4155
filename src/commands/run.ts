// `suprsync run`: the service. Checks first, waits for an unreachable database, refuses to start on what only a person can
// mend, and then captures and delivers until it is told to stop (P10).
import { Command } from 'commander'
import type { Config } from '../config/config.ts'
import { type FailPoints, NO_FAIL_POINTS, scriptedFailPoints } from '../core/fail-points.ts'
import type { Finding } from '../core/finding.ts'
import type { LogLevel } from '../core/logger.ts'
import { type CaptureStatus, readinessOf } from '../core/service-status.ts'
import { startHttpServer } from '../ops/http.ts'
import { createLogger } from '../ops/log.ts'
import { createMetrics } from '../ops/metrics.ts'
import { Progress } from '../ops/progress.ts'
import { installSignals } from '../ops/signals.ts'
import { StatusLine } from '../ops/status-line.ts'
import { readConfig } from './config-file.ts'
import { configOption } from './config-option.ts'
import { logLevelOption } from './log-option.ts'
import { collectReadings } from './readings.ts'
import { RunningService } from './service-wiring.ts'
import { passPreflight } from './start-preflight.ts'

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
  const failPoints = failPointsOf(process.env.SUPRSYNC_FAIL_POINT)
  const statusLine = process.stderr.isTTY ? new StatusLine(process.stderr) : null
  const log = createLogger({ to: 'stdout', level: logLevel ?? config.log.level, ...(statusLine && { statusLine }) })
  let service: RunningService | null = null
  const stillOpen = () => (service ? [`${service.inHand} users in hand`] : [])
  using signals = installSignals({ shutdownTimeoutMs: config.shutdownTimeoutMs, log, stillOpen })
  const metrics = createMetrics({ log })
  let beforeStart: CaptureStatus = { kind: 'starting' }
  const readiness = () => readinessOf(service?.status ?? { capture: beforeStart, host: 'open' })

  await using closing = new AsyncDisposableStack()
  if (config.http) {
    const http = closing.use(await startHttpServer({ ...config.http, readiness, metrics, log }))
    log.info({ url: http.url }, 'listening for health checks and metrics')
  }
  const onWaiting = ({ code, message }: Finding) => {
    beforeStart = { kind: 'broken', code, message }
  }
  await passPreflight({ config, log, onWaiting }, signals.signal)
  if (signals.signal.aborted) return
  let progress: Progress | null = null
  closing.defer(() => progress?.end())
  service = closing.use(
    new RunningService({
      config,
      metrics,
      log,
      failPoints,
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

function failPointsOf(script: string | undefined): FailPoints {
  return script ? scriptedFailPoints(script, () => process.kill(process.pid, 'SIGKILL')) : NO_FAIL_POINTS
}
