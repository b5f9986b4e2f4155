// Builds a sender: its session among the others, its gate, its deliveries. One at a time in a process; what it is doing is asked here.
import { createHash } from 'node:crypto'
import type { Config } from '../config/config.ts'
import { mostSenders } from '../core/buckets.ts'
import type { FailPoints } from '../core/fail-points.ts'
import { HOST_OPEN, type HostState } from '../core/host-state.ts'
import type { LimiterSettings } from '../core/limiter.ts'
import type { Logger } from '../core/logger.ts'
import { exclusiveKeys } from '../core/mapping-spec.ts'
import type { Metrics } from '../core/metrics.ts'
import { namedKeys } from '../core/reconcile.ts'
import type { StateDatabase } from '../state/database.ts'
import { DeliveryStore, expectReadable } from '../state/delivery-store.ts'
import { ReconcileStore } from '../state/reconcile-store.ts'
import { type JoinOptions, StateSenderSession } from '../state/sender-session.ts'
import type { SuprsendClient } from '../suprsend/client.ts'
import { BucketShare } from '../sync/bucket-share.ts'
import { Deliver } from '../sync/deliver.ts'
import { deliveryTerm } from '../sync/delivery-term.ts'
import { FreezeGuard } from '../sync/freeze-guard.ts'
import { Gate } from '../sync/gate.ts'
import { HeldBuckets } from '../sync/held-buckets.ts'
import { Reconcile } from '../sync/reconcile.ts'
import type { DeliveryTerm } from '../sync/service.ts'

export interface SenderOptions {
  readonly config: Config
  readonly connection: JoinOptions['connection']
  readonly state: StateDatabase
  readonly client: SuprsendClient
  readonly metrics: Metrics
  readonly log: Logger
  readonly failPoints: FailPoints
}

export class SenderWiring {
  readonly #options: SenderOptions
  #host: HostState['kind'] = HOST_OPEN.kind
  #deliver: Deliver | null = null
  #share: BucketShare | null = null
  #isNew = true

  constructor(options: SenderOptions) {
    this.#options = options
  }

  get host(): HostState['kind'] {
    return this.#host
  }

  /** Users whose attempt has not been recorded yet. */
  get inHand(): number {
    return this.#deliver?.inHand ?? 0
  }

  /** Since its loops last went round; 0 where there is none. */
  get silentMs(): number {
    return this.#deliver === null ? 0 : performance.now() - this.#deliver.turnedAtMs
  }

  /** It is there, and nobody else. */
  get isAlone(): boolean {
    return this.#share?.senders === 1
  }

  wake(): void {
    this.#deliver?.wake()
  }

  /** @returns null while somebody needs everything to be still. */
  async join(): Promise<DeliveryTerm | null> {
    const { config, connection, state } = this.#options
    // Who cannot claim must own nobody: the session may be there where the pool gets no connection, or may not read.
    await expectReadable(state)
    const session = await StateSenderSession.join({
      connection,
      schema: config.state.schema,
      accountHash: hashOfAccount(config.suprsend),
      stuckAfterMs: config.delivery.stuckAfterMs,
      most: mostSenders(limitsOf(config)),
      isNew: this.#isNew,
      onWork: () => this.wake(),
      onSenders: () => this.#share?.call(),
    })
    if (session === null) return null
    this.#isNew = false
    return this.#term(session)
  }

  #term(session: StateSenderSession): DeliveryTerm {
    const { config, state, client, metrics, log, failPoints } = this.#options
    const deliverLog = log.child({ component: 'deliver' })
    const gate = new Gate({
      limits: limitsOf(config),
      metrics,
      guard: new FreezeGuard({ confirm: () => session.confirm() }),
      onHostChange: (host) => {
        this.#host = host.kind
        reportHost(deliverLog, host)
      },
      // One that is not heard is found out by each sender itself.
      onNews: (news) => void session.tell(news).catch(() => undefined),
    })
    this.#host = gate.host.kind
    const policy = {
      onDelete: config.mapping.onDelete,
      firstContact: config.suprsend.firstContact,
      exclusive: exclusiveKeys(config.mapping),
    }
    const buckets = new HeldBuckets()
    const deliver = new Deliver({
      buckets,
      state: new DeliveryStore(state, session),
      sink: client,
      gate,
      policy,
      secrets: config.mappingSecrets,
      giveUpAfterMs: config.suprsend.giveUpAfterMs,
      metrics,
      log: deliverLog,
      failPoints,
    })
    const share = new BucketShare({
      session,
      buckets,
      deliver,
      gate,
      stuckAfterMs: config.delivery.stuckAfterMs,
      metrics,
      log: deliverLog,
    })
    this.#deliver = deliver
    this.#share = share
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
            share: () => buckets.size,
            onRepaired: () => deliver.wake(),
            metrics,
            log: log.child({ component: 'reconcile' }),
          })
    return deliveryTerm({
      session,
      buckets,
      deliver,
      share,
      reconcile,
      onOver: () => {
        this.#deliver = null
        this.#share = null
      },
    })
  }
}

function limitsOf({ suprsend }: Config): LimiterSettings {
  return { maxInFlight: suprsend.maxInFlight, ratePerSecond: suprsend.maxRequestsPerSecond }
}

/** Of a key with much entropy: nothing of it can be told from its hash. */
function hashOfAccount({ baseUrl, apiKey }: Config['suprsend']): string {
  return createHash('sha256')
    .update(JSON.stringify([baseUrl, apiKey.reveal()]))
    .digest('hex')
    .slice(0, 16)
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
