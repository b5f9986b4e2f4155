// Builds the running service out of the rooms: state, locks, source, client, and a sender (sender-wiring.ts). `run` and `demo` start the
// same thing. Disposing closes in the reverse order.
import type { Config } from '../config/config.ts'
import { errorCode } from '../core/error.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { Logger } from '../core/logger.ts'
import type { Lsn } from '../core/lsn.ts'
import type { Metrics } from '../core/metrics.ts'
import type { CaptureStatus, DeliveryStatus, ServiceStatus } from '../core/service-status.ts'
import { Wake } from '../core/wake.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { logRunningTransactions } from '../postgres/running-transactions.ts'
import { identifySystem } from '../postgres/system.ts'
import { failRun } from '../state/backfill-request.ts'
import type { BreakerRules } from '../state/breaker-store.ts'
import { CaptureLock } from '../state/capture-lock.ts'
import { openStateDatabase, type StateDatabase } from '../state/database.ts'
import { migrate } from '../state/migrations.ts'
import { takeOver } from '../state/ownership.ts'
import { Tidy } from '../state/tidy.ts'
import { WorkNotice } from '../state/work-notice.ts'
import { createClient } from '../suprsend/client.ts'
import type { BackfillReport } from '../sync/backfill.ts'
import { runCaptureSession } from '../sync/capture-session.ts'
import { type Roles, Service } from '../sync/service.ts'
import { userAgent } from './package-info.ts'
import { SenderWiring } from './sender-wiring.ts'
import { readSlotKnowledge } from './slot-knowledge.ts'
import { SourceWiring } from './source-wiring.ts'
import type { StartOptions } from './start-preflight.ts'
import { StateWatch } from './state-watch.ts'
import { WalGuard } from './wal-guard.ts'

export interface ServiceOptions {
  readonly config: Config
  readonly roles: Roles
  readonly metrics: Metrics
  readonly log: Logger
  readonly failPoints: FailPoints
  readonly onBackfill: (progress: BackfillReport) => void
}

const OFF = { kind: 'off' } as const

export class RunningService implements AsyncDisposable {
  readonly #service: Service
  readonly #closing: AsyncDisposableStack
  readonly #watch: StateWatch
  readonly #walGuard: WalGuard
  readonly state: StateDatabase
  readonly source: SourceWiring
  /** For what it needs to start; null: it may. */
  #waiting: Extract<CaptureStatus & DeliveryStatus, { kind: 'broken' }> | null = null
  readonly #sender: SenderWiring
  readonly #roles: Roles
  readonly #stuckAfterMs: number

  constructor(options: ServiceOptions) {
    const { config, metrics, log, failPoints, roles } = options
    this.#roles = roles
    this.#stuckAfterMs = config.delivery.stuckAfterMs
    const closing = new AsyncDisposableStack()
    const stateUrl = connectionConfig(config.state.url.reveal())
    const sourceUrl = connectionConfig(config.source.url.reveal(), { applicationName: 'suprsync setup' })
    const stateLog = log.child({ component: 'state' })
    this.state = openStateDatabase({
      connection: stateUrl,
      schema: config.state.schema,
      onIdleError: (error) => stateLog.debug({ err: error }, 'an idle connection to the state was lost'),
    })
    closing.defer(() => this.state.destroy())
    const captureLog = log.child({ component: 'capture' })
    this.source = closing.use(new SourceWiring({ config, state: this.state, log: captureLog, failPoints }))
    const client = createClient({ ...config.suprsend, userAgent: userAgent() })
    closing.defer(() => client.destroy())

    const { state, source } = this
    const tidy = new Tidy(state, source.pool)
    /** Up to where this process knows the slot to be captured; the state itself may be out of reach. */
    let captured: Lsn | null = null
    /** The server's system identifier. */
    let capturedFrom: bigint | null = null
    this.#watch = new StateWatch(state, stateLog)
    this.#walGuard = new WalGuard({
      source: source.pool,
      slot: config.source.slot,
      maxRetainedBytes: config.safety.maxRetainedWalBytes,
      capturing: () => {
        const { kind } = this.status.capture
        return kind === 'streaming' || kind === 'broken' ? kind : 'neither'
      },
      known: async () => {
        if (captured === null) return await readSlotKnowledge(source.pool, state, config.source.slot)
        const { systemIdentifier } = await identifySystem(source.pool)
        const isSame = systemIdentifier === capturedFrom
        return { intended: isSame, lsn: isSame ? captured : null }
      },
      release: () => logRunningTransactions(sourceUrl, `${config.source.slot.slice(0, 55)}_release`),
      log: captureLog,
    })
    const wake = new Wake()
    const sender = new SenderWiring({ config, connection: stateUrl, state, client, metrics, log, failPoints })
    this.#sender = sender
    const notice = new WorkNotice(state, config.state.schema)
    const migrated = once(async () => {
      const applied = await migrate(state, config.state.schema)
      if (applied.length > 0) stateLog.info({ applied }, 'migrated the state')
    })
    const captureLock = closing.use(
      new CaptureLock({ connection: stateUrl, schema: config.state.schema, onNotice: () => wake.ring() }),
    )
    let endedBy: string | null = null
    this.#service = new Service(
      {
        async acquireCapture() {
          await migrated()
          return await captureLock.acquire()
        },
        capture: (hooks, signal) =>
          runCaptureSession(
            {
              ports: {
                prepare: async () => {
                  await source.prepare(endedBy)
                  endedBy = null
                },
                openSource: () => source.openSource(),
                takeOver: async () => {
                  const { systemIdentifier } = await identifySystem(source.pool)
                  const taken = await takeOver(state, breakerRules(config, captureLog))
                  captured = taken.lsn
                  capturedFrom = systemIdentifier
                  return taken
                },
                owed: (store, compiled) => source.owed(store, compiled),
                watch: (opened, ending) => source.watch(opened, ending),
                nextBackfills: (store, compiled, ending) =>
                  source.nextBackfills(store, compiled, { wake, signal: ending }),
                endBackfill: (run, code) => failRun(state, run.id, code),
              },
              wal: this.#walGuard,
              metrics: {
                ...metrics,
                lastCommitLsn: (lsn) => {
                  captured = lsn
                  metrics.lastCommitLsn(lsn)
                },
              },
              log: captureLog,
              failPoints,
              onBackfill: options.onBackfill,
              onPending: () => {
                sender.wake()
                if (!sender.isAlone) notice.ring()
              },
              mostRowsPerSecond: config.backfill.maxRowsPerSecond,
              ...hooks,
            },
            signal,
          ).catch((error: unknown) => {
            endedBy = errorCode(error) ?? null
            throw error
          }),
        joinSenders: async () => {
          await migrated()
          return await sender.join()
        },
        tidy: () => tidy.run(),
      },
      roles,
      log,
    )
    this.#closing = closing
  }

  get status(): ServiceStatus {
    return {
      capture: this.#service.capture.kind === 'off' ? OFF : (this.#waiting ?? this.#service.capture),
      delivery: this.#deliveryStatus,
      host: this.#sender.host,
      breaker: this.#watch.breaker,
      wal: this.#walGuard.state,
    }
  }

  get #deliveryStatus(): DeliveryStatus {
    const { delivery } = this.#service
    if (delivery.kind === 'off') return delivery
    if (this.#waiting !== null) return this.#waiting
    const { silentMs } = this.#sender
    return delivery.kind === 'sending' && silentMs > this.#stuckAfterMs ? { kind: 'stuck', silentMs } : delivery
  }

  /** Users whose attempt has not been recorded yet. */
  get inHand(): number {
    return this.#sender.inHand
  }

  /** @param ready resolves when it may start, or `stop` aborts; what the slot costs is watched from the first moment on. */
  async run(stop: AbortSignal, ready: (onWaiting: StartOptions['onWaiting']) => Promise<void>): Promise<void> {
    const over = new AbortController()
    const ending = AbortSignal.any([stop, over.signal])
    const watching = Promise.all([this.#watch.run(ending), this.#roles.capture && this.#walGuard.run(ending)])
    try {
      await ready(({ code, message }) => {
        this.#waiting = { kind: 'broken', code, message }
      })
      this.#waiting = null
      await this.#service.run(stop)
    } finally {
      over.abort()
      await watching
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closing.disposeAsync()
  }
}

/** Until it has worked. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null
  return () => {
    done ??= work().catch((error: unknown) => {
      done = null
      throw error
    })
    return done
  }
}

function breakerRules({ safety, mapping }: Config, log: Logger): BreakerRules | null {
  if (safety.breaker === null) return null
  const code = 'breaker_open'
  return {
    settings: safety.breaker,
    countsDeletions: mapping.onDelete !== 'keep',
    onTrip: () =>
      log.error(
        { code },
        'the circuit breaker opened: deletions and emptied channels are held until somebody decides; everything else is sent. See `suprsync status`, then `suprsync approve` or `suprsync reject`',
      ),
  }
}
