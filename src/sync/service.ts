// The service: captures and delivers for as long as it may, each by a lock of its own. A term begins with the lock and ends with it: what
// worked in one is over before the next begins. Neither waits for the other: SuprSend never stops capture, nor the source delivery.
import { sleep } from '../core/abort.ts'
import type { Logger } from '../core/logger.ts'
import type { CaptureStatus, DeliveryStatus } from '../core/service-status.ts'
import { type RepeatOptions, repeat } from './repetition.ts'

export interface Ownership extends AsyncDisposable {
  /** Resolves with the reason when it is lost. */
  readonly lost: Promise<unknown>
}

export interface DeliveryTerm extends Ownership {
  /** How many buckets it owns. */
  readonly buckets: number
  /** `stop`: finish what is in hand. `destroy`: give it up. Rejects when it cannot go on. */
  run(stop: AbortSignal, destroy: AbortSignal): Promise<void>
}

export interface ServicePorts {
  /** null: another process captures. */
  acquireCapture(): Promise<Ownership | null>
  /** One stretch of capturing; ends with an error, or when the signal aborts. */
  capture(hooks: { readonly onStreaming: () => void }, signal: AbortSignal): Promise<void>
  /** Every minute of a term of capture: what is no longer needed is removed. */
  tidy(): Promise<void>
  /** null: somebody needs everything to be still. */
  joinSenders(): Promise<DeliveryTerm | null>
}

export interface Roles {
  readonly capture: boolean
  readonly deliver: boolean
}

export const ALL_ROLES: Roles = { capture: true, deliver: true }

const STANDBY_POLL_MS = 1_000
const TIDY_EVERY_MS = 60_000
/** A term that breaks sooner has not worked: others are called at each joining, and must not be ten times a second. */
const WORKS_AFTER_MS = 5_000

export class Service {
  readonly #ports: ServicePorts
  readonly #roles: Roles
  readonly #log: Logger
  #capture: CaptureStatus
  #delivery: DeliveryStatus
  #sending: DeliveryTerm | null = null

  constructor(ports: ServicePorts, roles: Roles, log: Logger) {
    this.#ports = ports
    this.#roles = roles
    this.#log = log
    this.#capture = { kind: roles.capture ? 'starting' : 'off' }
    this.#delivery = { kind: roles.deliver ? 'starting' : 'off' }
  }

  get capture(): CaptureStatus {
    return this.#capture
  }

  get delivery(): DeliveryStatus {
    if (this.#sending === null) return this.#delivery
    return this.#sending.buckets > 0 ? { kind: 'sending', buckets: this.#sending.buckets } : { kind: 'standby' }
  }

  /** Until `stop` aborts. */
  async run(stop: AbortSignal): Promise<void> {
    const { capture, deliver } = this.#roles
    await Promise.all([capture && this.#captureTerms(stop), deliver && this.#deliveryTerms(stop)])
  }

  async #captureTerms(stop: AbortSignal): Promise<void> {
    await repeat(this.#captureOptions('ownership', stop), async (settled) => {
      await using ownership = await this.#ports.acquireCapture()
      settled()
      if (ownership !== null) return await this.#captureTerm(ownership, stop)
      this.#becomeCapture({ kind: 'standby' })
      await sleep(STANDBY_POLL_MS, stop)
    })
  }

  async #captureTerm(ownership: Ownership, stop: AbortSignal): Promise<void> {
    const { lost, over } = this.#watch(ownership, { stop, what: 'capture' })
    const ending = AbortSignal.any([stop, lost, over.signal])
    const capture = repeat(this.#captureOptions('capture', ending), async (settled) => {
      const onStreaming = () => {
        this.#becomeCapture({ kind: 'streaming' })
        settled()
      }
      await this.#ports.capture({ onStreaming }, ending)
    })
    const tidying = this.#tidyNowAndThen(ending)
    try {
      await Promise.all([capture, tidying])
    } finally {
      over.abort()
      await Promise.allSettled([capture, tidying])
      this.#becomeCapture({ kind: 'starting' })
    }
  }

  #captureOptions(what: string, signal: AbortSignal): RepeatOptions {
    const onTrouble: RepeatOptions['onTrouble'] = (trouble) => this.#becomeCapture({ kind: 'broken', ...trouble })
    return { what, signal, onTrouble, log: this.#log }
  }

  async #deliveryTerms(stop: AbortSignal): Promise<void> {
    const onTrouble: RepeatOptions['onTrouble'] = (trouble) => this.#becomeDelivery({ kind: 'broken', ...trouble })
    await repeat({ what: 'delivery', signal: stop, onTrouble, log: this.#log }, async (settled) => {
      await using term = await this.#ports.joinSenders()
      if (term !== null) return await this.#deliveryTerm(term, { stop, settled })
      settled()
      this.#becomeDelivery({ kind: 'standby' })
      await sleep(STANDBY_POLL_MS, stop)
    })
  }

  async #deliveryTerm(
    term: DeliveryTerm,
    { stop, settled }: { readonly stop: AbortSignal; readonly settled: () => void },
  ): Promise<void> {
    const { lost, over } = this.#watch(term, { stop, what: 'delivery' })
    this.#sending = term
    const working = sleep(WORKS_AFTER_MS, over.signal).then(() => {
      if (!over.signal.aborted) settled()
    })
    try {
      await term.run(stop, lost)
    } finally {
      over.abort()
      await working
      this.#sending = null
      this.#becomeDelivery({ kind: 'starting' })
    }
  }

  #watch(
    ownership: Ownership,
    { stop, what }: { readonly stop: AbortSignal; readonly what: string },
  ): { readonly lost: AbortSignal; readonly over: AbortController } {
    const lost = new AbortController()
    const over = new AbortController()
    void ownership.lost.then((reason) => {
      if (!over.signal.aborted && !stop.aborted) this.#log.warn({ err: reason, what }, 'lost the locks; beginning anew')
      lost.abort()
    })
    return { lost: lost.signal, over }
  }

  async #tidyNowAndThen(ending: AbortSignal): Promise<void> {
    while (!ending.aborted) {
      await sleep(TIDY_EVERY_MS, ending)
      if (ending.aborted) return
      await this.#ports
        .tidy()
        .catch((error: unknown) => this.#log.warn({ err: error }, 'tidying up failed; trying again later'))
    }
  }

  #becomeCapture(status: CaptureStatus): void {
    if (status.kind !== this.#capture.kind) this.#log.info({ capture: status.kind }, 'capture status')
    this.#capture = status
  }

  #becomeDelivery(status: DeliveryStatus): void {
    if (status.kind !== this.#delivery.kind) this.#log.info({ delivery: status.kind }, 'delivery status')
    this.#delivery = status
  }
}
