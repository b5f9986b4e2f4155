// `suprsync run`: the service. Checks first, waits for an unreachable database, refuses to start on what only a person can
// mend, and then captures and delivers until it is told to stop (P10).
import { Command, Option } from 'commander'
import type { Config } from '../config/config.ts'
import { type FailPoints, NO_FAIL_POINTS, scriptedFailPoints } from '../core/fail-points.ts'
import type { LogLevel } from '../core/logger.ts'
import { readinessOf, type ServiceStatus } from '../core/service-status.ts'
import { startHttpServer } from '../ops/http.ts'
import { createLogger } from '../ops/log.ts'
import { createMetrics } from '../ops/metrics.ts'
import { installSignals } from '../ops/signals.ts'
import { StatusLine } from '../ops/status-line.ts'
import { ALL_ROLES, type Roles } from '../sync/service.ts'
import { BackfillProgress } from './backfill-progress.ts'
import { readConfig, readKey } from './config-file.ts'
import { configOption } from './config-option.ts'
import { KeyWatch } from './key-watch.ts'
import { logLevelOption } from './log-option.ts'
import { collectReadings } from './readings.ts'
import { Reload } from './reload.ts'
import { checkReload } from './reload-check.ts'
import { RunningService } from './service-wiring.ts'
import { passPreflight } from './start-preflight.ts'

const EXAMPLES = `
Examples:
  $ suprsync run
  $ suprsync run --config /etc/suprsync/users.yaml --log-level debug
  $ suprsync run --recover
  $ suprsync run --role deliver        one more sender, on any machine that reaches the state and SuprSend

Endpoints, on http.listen (127.0.0.1:9464 by default): /livez /readyz /metrics
Any number of processes may run: one captures and the others stand by, while all that deliver share the users.
SIGHUP reads the configuration again; one that cannot be used changes nothing, and its problems are in the log.
SIGTERM or Ctrl-C stops: requests under way are finished and recorded first. A second signal exits at once.
`

export function runCommand(): Command {
  return new Command('run')
    .description('follow the users table and keep SuprSend equal to it')
    .addOption(configOption())
    .addOption(logLevelOption())
    .addOption(
      new Option('--role <role>', 'what this process does: capture changes, deliver them, or both')
        .choices(['all', 'capture', 'deliver'])
        .default('all'),
    )
    .option('--recover', 'read everything again where changes may have been missed, whatever `recovery` says')
    .addHelpText('after', EXAMPLES)
    .action(run)
}

const ROLES = {
  all: ALL_ROLES,
  capture: { capture: true, deliver: false },
  deliver: { capture: false, deliver: true },
} as const

function startingAs({ capture, deliver }: Roles): ServiceStatus {
  return {
    capture: { kind: capture ? 'starting' : 'off' },
    delivery: { kind: deliver ? 'starting' : 'off' },
    host: 'open',
    breaker: null,
    wal: null,
  }
}

interface RunOptions {
  readonly config: string
  readonly logLevel?: LogLevel
  readonly recover?: true
  readonly role: keyof typeof ROLES
}

async function run({ config: path, logLevel, recover, role }: RunOptions): Promise<void> {
  const read = async (): Promise<Config> => {
    const config = await readConfig(path)
    return recover ? { ...config, recovery: 'auto' } : config
  }
  const roles = ROLES[role]
  const first = await read()
  const failPoints = failPointsOf(process.env.SUPRSYNC_FAIL_POINT)
  const statusLine = process.stderr.isTTY ? new StatusLine(process.stderr) : null
  const log = createLogger({ to: 'stdout', level: logLevel ?? first.log.level, ...(statusLine && { statusLine }) })
  let service: RunningService | null = null
  const stillOpen = () => (service ? [`${service.inHand} users in hand`] : [])
  using signals = installSignals({ shutdownTimeoutMs: first.shutdownTimeoutMs, log, stillOpen })
  using reload = new Reload({ config: first, read, check: (was, is) => checkReload(was, is, roles), log })
  const metrics = createMetrics({ log })
  const readiness = () => readinessOf(service?.status ?? startingAs(roles))

  await using closing = new AsyncDisposableStack()
  if (first.http) {
    const http = closing.use(await startHttpServer({ ...first.http, readiness, metrics, log }))
    log.info({ url: http.url }, 'listening for health checks and metrics')
  }
  const progress = closing.use(new BackfillProgress(log, statusLine))
  for (let isChecked = false; !signals.signal.aborted; ) {
    const { config, superseded } = reload.begin()
    const ending = AbortSignal.any([signals.signal, superseded])
    await using round = new RunningService({
      config,
      roles,
      metrics,
      log,
      failPoints,
      onBackfill: (report) => progress.show(report),
    })
    service = round
    const { apiKey, apiKeyFile } = config.suprsend
    await using _ =
      apiKeyFile === null
        ? null
        : new KeyWatch({
            key: apiKey,
            read: () => readKey(apiKeyFile),
            isRefused: () => round.status.host === 'unauthorized',
            onKey: (key) => reload.takeKey(key),
            log,
          })
    const { state, source } = round
    metrics.onCollect(
      collectReadings({ state, source: roles.capture ? source.pool : null, slot: config.source.slot, log }),
    )
    await round.run(ending, async (onWaiting) => {
      if (isChecked) return // a reading again has checked what it brings
      await passPreflight({ config, roles, log, onWaiting }, ending)
      isChecked = !ending.aborted
    })
  }
  log.info({}, 'stopped')
}

function failPointsOf(script: string | undefined): FailPoints {
  return script ? scriptedFailPoints(script, () => process.kill(process.pid, 'SIGKILL')) : NO_FAIL_POINTS
}
