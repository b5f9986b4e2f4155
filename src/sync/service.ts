// The service: owns, captures and delivers for as long as it may. A term begins with the locks and ends with them: capture
// and delivery of one term are over before the next begins, so two of ours never work at once. Capture is begun again by
// cause-dependent backoff; delivery goes on meanwhile, and the other way round (neither SuprSend nor the source stops the other).
import { sleep } from '../core/abort.ts'
import { errorCode, errorMessage, SuprsyncError } from '../core/error.ts'
import type { Logger } from '../core/logger.ts'
import { reconnectDelayMs } from '../core/reconnect.ts'
import type { CaptureStatus } from '../core/service-status.ts'

export interface Ownership extends AsyncDisposable {
  /** Resolves with the reason when it is lost. */
  readonly lost: Promise<unknown>
  /** Asks the server whether it is still ours. */
  confirm(): Promise<boolean>
}

export interface TermDelivery {
  wake(): void
  /** `stop`: finish what is in hand. `destroy`: give it up. */
  run(stop: AbortSignal, destroy: AbortSignal): Promise<void>
  /** Compares users with SuprSend beside it, until the signal aborts. Never rejects. */
  reconcile(ending: AbortSignal): Promise<void>
}

export interface ServicePorts {
  /** null: another process owns the work. */
  acquire(): Promise<Ownership | null>
  /** One stretch of capturing; ends with an error, or when the signal aborts. */
  capture(
    hooks: { readonly onStreaming: () => void; readonly onPending: () => void },
    signal: AbortSignal,
  ): Promise<void>
  createDelivery(ownership: Pick<Ownership, 'confirm'>): TermDelivery
  /** Every minute of a term: what is no longer needed is removed. */
  tidy(): Promise<void>
}

const STANDBY_POLL_MS = 1_000
const TIDY_EVERY_MS = 60_000

export class Service {
  readonly #ports: ServicePorts
  readonly #log: Logger
  #capture: CaptureStatus = { kind: 'starting' }

  constructor(ports: ServicePorts, log: Logger) {
    this.#ports = ports
    this.#log = log
  }

  get capture(): CaptureStatus {
    return this.#capture
  }

  /** Until `stop` aborts. */
  async run(stop: AbortSignal): Promise<void> {
    await this.#repeat('ownership', stop, async (settled) => {
      await using ownership = await this.#ports.acquire()
      if (ownership === null) {
        this.#become({ kind: 'standby' })
        settled()
        await sleep(STANDBY_POLL_MS, stop)
        return
      }
      settled()
      await this.#term(ownership, stop)
    })
  }

  async #term(ownership: Ownership, stop: AbortSignal): Promise<void> {
    const lost = new AbortController()
    const over = new AbortController()
    void ownership.lost.then((reason) => {
      if (!over.signal.aborted && !stop.aborted) this.#log.warn({ err: reason }, 'lost the locks; beginning anew')
      lost.abort()
    })
    const ending = AbortSignal.any([stop, lost.signal, over.signal])
    const delivery = this.#ports.createDelivery(ownership)
    const capture = this.#captureAgainAndAgain(delivery, ending)
    const delivering = delivery.run(AbortSignal.any([stop, over.signal]), lost.signal)
    const tidying = this.#tidyNowAndThen(ending)
    const reconciling = delivery.reconcile(ending)
    try {
      await Promise.all([capture, delivering, tidying, reconciling])
    } finally {
      over.abort()
      await Promise.allSettled([capture, delivering, tidying, reconciling])
      this.#become({ kind: 'starting' })
    }
  }

  async #captureAgainAndAgain(delivery: TermDelivery, ending: AbortSignal): Promise<void> {
    await this.#repeat('capture', ending, async (settled) => {
      const onStreaming = () => {
        this.#become({ kind: 'streaming' })
        settled()
      }
      await this.#ports.capture({ onStreaming, onPending: () => delivery.wake() }, ending)
    })
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

  /** The one place where connecting is tried again. `settled` tells that it worked, so that the next failure is a first one. */
  async #repeat(what: string, signal: AbortSignal, run: (settled: () => void) => Promise<void>): Promise<void> {
    let failures = 0
    let downSince = 0
    while (!signal.aborted) {
      try {
        await run(() => {
          failures = 0
        })
      } catch (error) {
        if (signal.aborted) return
        if (failures === 0) downSince = performance.now()
        failures += 1
        const code = errorCode(error)
        this.#become({ kind: 'broken', code: code ?? 'unexpected', message: explain(error) })
        const delayMs = reconnectDelayMs({
          code,
          failures,
          downMs: performance.now() - downSince,
          random: Math.random(),
        })
        this.#log.warn({ err: error, what, failures, delayMs }, 'interrupted; trying again')
        await sleep(delayMs, signal)
      }
    }
  }

  #become(status: CaptureStatus): void {
    if (status.kind !== this.#capture.kind) this.#log.info({ capture: status.kind }, 'capture status')
    this.#capture = status
  }
}

/** Messages of PostgreSQL may quote a row; ours never do. */
function explain(error: unknown): string {
  return error instanceof SuprsyncError
    ? errorMessage(error)
    : `Capture was interrupted (${errorCode(error) ?? 'unexpected error'}); it is tried again by itself.`
}
