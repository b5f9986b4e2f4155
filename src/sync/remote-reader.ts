// Looks users up in SuprSend for a person who waits for the result: GETs alone, through the same gate as deliveries (rate,
// requests in flight, back-pressure). Guarantees an end: passing trouble of one user is retried a few times and then told
// as that user's, trouble of the address, the host or the key ends the whole at once, with a sentence that says which.
import { sleep } from '../core/abort.ts'
import type { Failure, Outcome } from '../core/api.ts'
import type { ProfileSink } from '../core/delivery-port.ts'
import { SuprsyncError } from '../core/error.ts'
import { ERROR_POLICY } from '../core/error-policy.ts'
import type { LimiterSettings } from '../core/limiter.ts'
import { NO_METRICS } from '../core/metrics.ts'
import { lookedAt, outcomeOf } from '../core/outcome.ts'
import type { Looked } from '../core/plan-report.ts'
import { retryDelayMs } from '../core/retry.ts'
import { FreezeGuard } from './freeze-guard.ts'
import { Gate } from './gate.ts'

const MOST_ATTEMPTS = 6
/** Nobody sits before a terminal for longer: what asks for more is told instead. */
const LONGEST_WAIT_MS = 120_000
/** Answers of something else than the user API; before any other answer they are about the address. */
const NOT_THE_API: readonly string[] = ['redirected', 'not_the_api', 'gateway_refused']

export class RemoteReader implements Disposable {
  readonly #sink: ProfileSink
  readonly #gate: Gate
  /** The API itself has answered: the address and the key are right. */
  #answered = false

  constructor(sink: ProfileSink, limits: LimiterSettings) {
    this.#sink = sink
    // Nobody owns what is only read: no locks to lose.
    const guard = new FreezeGuard({ confirm: async () => true })
    this.#gate = new Gate({ limits, metrics: NO_METRICS, guard, onHostChange: () => undefined })
    this.#gate.hold(1, { settled: true })
  }

  /** @throws SuprsyncError `suprsend_unreachable`, `suprsend_wrong_address`, `suprsend_busy`, `api_key_rejected`, `aborted` */
  async look(distinctId: string, signal: AbortSignal): Promise<Looked> {
    for (let attempts = 1; ; attempts += 1) {
      const outcome = await this.#ask(distinctId, signal)
      switch (outcome.kind) {
        case 'accepted':
        case 'missing':
        case 'rejected':
          this.#answered = true
          return lookedAt(outcome)
        case 'stop':
          throw ended('api_key_rejected', outcome.failure)
        case 'retry':
          this.#refuse(outcome, attempts)
          if (attempts >= MOST_ATTEMPTS || NOT_THE_API.includes(outcome.failure.code)) {
            return lookedAt(outcome)
          }
          await sleep(retryDelayMs({ attempts, floorMs: outcome.floorMs, random: Math.random() }), signal)
      }
    }
  }

  [Symbol.dispose](): void {
    this.#gate.close()
  }

  async #ask(distinctId: string, signal: AbortSignal): Promise<Outcome> {
    if (!(await this.#gate.enter())) throw new SuprsyncError('aborted', 'Given up.')
    const startedAt = performance.now()
    const answer = await this.#sink.send(distinctId, { kind: 'get' }, signal, () => true)
    const outcome = outcomeOf('get', answer)
    this.#gate.leave(outcome, performance.now() - startedAt, 'get')
    if (signal.aborted) throw new SuprsyncError('aborted', 'Given up.')
    return outcome
  }

  /** Throws for what is everybody's trouble and does not pass soon. */
  #refuse({ failure, floorMs }: Extract<Outcome, { kind: 'retry' }>, attempts: number): void {
    const silent = failure.status === null && this.#gate.host.kind === 'unreachable'
    if (silent && (!this.#answered || attempts >= MOST_ATTEMPTS)) throw ended('suprsend_unreachable', failure)
    if (!this.#answered && NOT_THE_API.includes(failure.code)) throw ended('suprsend_wrong_address', failure)
    if (floorMs > LONGEST_WAIT_MS) throw ended('suprsend_busy', failure, `for ${Math.ceil(floorMs / 1000)} s`)
  }
}

function ended(code: string, failure: Failure, more = ''): SuprsyncError {
  const sentence = failure.message.charAt(0).toUpperCase() + failure.message.slice(1)
  const next = Object.entries(ERROR_POLICY).find(([name]) => name === failure.code)?.[1].nextStep
  const message = `${sentence}${more === '' ? '' : ` ${more}`}: users cannot be compared.`
  return new SuprsyncError(code, message, { details: { ...(next !== undefined && { next }) } })
}
