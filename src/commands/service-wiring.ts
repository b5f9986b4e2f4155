// Builds the running service out of the rooms: state, locks, source, client, gate, delivery. `run` and `demo` start the
// same thing. Disposing closes in the reverse order.
import { randomUUID } from 'node:crypto'
import type { Config } from '../config/config.ts'
import { errorCode } from '../core/error.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { HostState } from '../core/host-state.ts'
import type { Logger } from '../core/logger.ts'
import type { Lsn } from '../core/lsn.ts'
import { exclusiveKeys } from '../core/mapping-spec.ts'
import type { Metrics } from '../core/metrics.ts'
import { namedKeys } from '../core/reconcile.ts'
import type { CaptureStatus, ServiceStatus } from '../core/service-status.ts'
import { Wake } from '../core/wake.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { logRunningTransactions } from '../postgres/running-transactions.ts'
import { identifySystem } from '../postgres/system.ts'
import { failRun } from '../state/backfill-request.ts'
import type { BreakerRules } from '../state/breaker-store.ts'
import { openStateDatabase, type StateDatabase } from '../state/database.ts'
import { DeliveryStore } from '../state/delivery-store.ts'
import { LockSession } from '../state/lock-session.ts'
import { migrate } from '../state/migrations.ts'
import { takeOver } from '../state/ownership.ts'
import { ReconcileStore } from '../state/reconcile-store.ts'
import { Tidy } from '../state/tidy.ts'
import { createClient } from '../suprsend/client.ts'
import type { BackfillReport } from '../sync/backfill.ts'
import { runCaptureSession } from '../sync/capture-session.ts'
import { Deliver } from '../sync/deliver.ts'
import { FreezeGuard } from '../sync/freeze-guard.ts'
import { Gate } from '../sync/gate.ts'
import { Reconcile } from '../sync/reconcile.ts'
import { Service } from '../sync/service.ts'
import { userAgent } from './package-info.ts'
import { readSlotKnowledge } from './slot-knowledge.ts'
import { SourceWiring } from './source-wiring.ts'
import type { StartOptions } from './start-preflight.ts'
import { StateWatch } from './state-watch.ts'
import { WalGuard } from './wal-guard.ts'

export interface ServiceOptions {
  readonly config: Config
  readonly metrics: Metrics
  readonly log: Logger
  readonly failPoints: FailPoints
  readonly onBackfill: (progress: BackfillReport) => void
}

export class RunningService implements AsyncDisposable {
  readonly #service: Service
  readonly #closing: AsyncDisposableStack
  readonly #watch: StateWatch
  readonly #walGuard: WalGuard
  readonly state: StateDatabase
  readonly source: SourceWiring
  /** For what it needs to start; null: it may. */
  #waiting: CaptureStatus | null = null
  #host: HostState['kind'] = 'open'
  #inHand: () => number = () => 0

  constructor(options: ServiceOptions) {
    const { config, metrics, log, failPoints } = options
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
    let wakeDelivery: () => void = () => undefined
    let migrated = false
    let endedBy: string | null = null
    this.#service = new Service(
      {
        async acquire() {
          if (!migrated) {
            const applied = await migrate(state, config.state.schema)
            if (applied.length > 0) stateLog.info({ applied }, 'migrated the state')
            migrated = true
          }
          return await LockSession.acquire(stateUrl, config.state.schema, () => {
            wake.ring()
            wakeDelivery()
          })
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
              mostRowsPerSecond: config.backfill.maxRowsPerSecond,
              ...hooks,
            },
            signal,
          ).catch((error: unknown) => {
            endedBy = errorCode(error) ?? null
            throw error
          }),
        createDelivery: (ownership) => {
          const deliverLog = log.child({ component: 'deliver' })
          const { maxInFlight, maxRequestsPerSecond: ratePerSecond } = config.suprsend
          const gate = new Gate({
            limits: { maxInFlight, ratePerSecond },
            metrics,
            guard: new FreezeGuard({ confirm: () => ownership.confirm() }),
            onHostChange: (host) => {
              this.#host = host.kind
              reportHost(deliverLog, host)
            },
          })
          this.#host = gate.host.kind
          const policy = {
            onDelete: config.mapping.onDelete,
            firstContact: config.suprsend.firstContact,
            exclusive: exclusiveKeys(config.mapping),
          }
          const deliver = new Deliver({
            owner: randomUUID(),
            state: new DeliveryStore(state),
            sink: client,
            gate,
            policy,
            secrets: config.mappingSecrets,
            maxInFlight,
            giveUpAfterMs: config.suprsend.giveUpAfterMs,
            metrics,
            log: deliverLog,
            failPoints,
          })
          this.#inHand = () => deliver.inHand
          wakeDelivery = () => deliver.wake()
          const { usersPerHour } = config.reconcile
          const reconcile =
            usersPerHour === null
              ? null
              : new Reconcile({
                  state: new ReconcileStore(state),
                  sink: client,
                  gate,
                  policy: { ...policy, named: namedKeys(config.mapping) },
                  usersPerHour,
                  onRepaired: () => deliver.wake(),
                  metrics,
                  log: log.child({ component: 'reconcile' }),
                })
          return {
            wake: () => deliver.wake(),
            run: (stop, destroy) => deliver.run(stop, destroy),
            reconcile: async (ending) => await reconcile?.run(ending),
          }
        },
        tidy: () => tidy.run(),
      },
      log,
    )
    this.#closing = closing
  }

  get status(): ServiceStatus {
    return {
      capture: this.#waiting ?? this.#service.capture,
      host: this.#host,
      breaker: this.#watch.breaker,
      wal: this.#walGuard.state,
    }
  }

  /** Users whose attempt has not been recorded yet. */
  get inHand(): number {
    return this.#inHand()
  }

  /** @param ready resolves when it may start, or `stop` aborts; what the slot costs is watched from the first moment on. */
  async run(stop: AbortSignal, ready: (onWaiting: StartOptions['onWaiting']) => Promise<void>): Promise<void> {
    const over = new AbortController()
    const ending = AbortSignal.any([stop, over.signal])
    const watching = Promise.all([this.#watch.run(ending), this.#walGuard.run(ending)])
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

function reportHost(log: Logger, host: HostState): void {
  switch (host.kind) {
    case 'open':
      return log.info({}, 'suprsend takes requests')
    case 'unreachable':
      return log.warn({}, 'suprsend is not reachable; one probe stands for all, changes are still captured')
    case 'throttled':
      return log.warn({}, 'suprsend asks to slow down')
    case 'unauthorized':
      return log.error(
        {},
        'suprsend refuses the API key; nothing is sent until it is right, changes are still captured',
      )
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
