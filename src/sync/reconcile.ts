// The service's own sampling (`reconcile.users_per_hour`): one random settled user at a time is asked for by GET, compared with what
// SuprSend should hold, and made due again where it does not. Within the gate of deliveries, which go on meanwhile. Guarantees
// that a look stops nobody else, that only who has not moved is made due, and that it ends within a second of the signal.
import { sleep } from '../core/abort.ts'
import type { Outcome } from '../core/api.ts'
import { BUCKETS } from '../core/buckets.ts'
import type { ProfileSink } from '../core/delivery-port.ts'
import type { Logger } from '../core/logger.ts'
import type { Metrics } from '../core/metrics.ts'
import { lookedAt, outcomeOf, refusedAlone, UNREADABLE, unreadable } from '../core/outcome.ts'
import type { Looked } from '../core/plan-report.ts'
import { beforeLook, isDrift, judge, type ReconcilePolicy } from '../core/reconcile.ts'
import { type ReconcileState, repairOf, type SampledUser } from '../core/reconcile-port.ts'
import type { Gate } from './gate.ts'

export interface ReconcileOptions {
  readonly state: ReconcileState
  readonly sink: ProfileSink
  readonly gate: Gate
  readonly policy: ReconcilePolicy
  /** Of all senders together. */
  readonly usersPerHour: number
  /** Buckets of this one. */
  readonly share: () => number
  /** A user is due again. */
  readonly onRepaired: () => void
  readonly metrics: Metrics
  readonly log: Logger
}

const HOUR_MS = 3_600_000
/** How long a statement may keep the service from stopping. What it does after that is bounded by the state itself. */
const GRACE_MS = 500
/** The longest that a timer can be set to. */
const FOREVER_MS = 2 ** 31 - 1

export class Reconcile {
  readonly #options: ReconcileOptions

  constructor(options: ReconcileOptions) {
    this.#options = options
  }

  /** Until `stop` aborts. Never rejects. */
  async run(stop: AbortSignal): Promise<void> {
    const { usersPerHour, log } = this.#options
    for (;;) {
      await sleep(HOUR_MS / usersPerHour, stop)
      if (stop.aborted) return
      if (Math.random() * BUCKETS >= this.#options.share()) continue
      const work = this.#sample(stop).catch((error: unknown) => {
        if (!stop.aborted) log.warn({ err: error }, 'a user could not be compared; going on with another one')
      })
      await endedOrLeft(work, stop)
    }
  }

  async #sample(stop: AbortSignal): Promise<void> {
    const { state, gate, policy } = this.#options
    // One probe stands for all: it is a delivery's.
    if (gate.host.kind !== 'open') return
    const user = await state.sample()
    if (user === null || stop.aborted) return
    if (beforeLook(user, user.stored, { onDelete: policy.onDelete, caughtUp: false }) !== null) return
    const looked = await this.#look(user.distinctId, stop)
    if (looked !== null && !stop.aborted) await this.#conclude(user, looked)
  }

  async #conclude(user: SampledUser, looked: Looked): Promise<void> {
    const { state, policy, metrics, log, onRepaired } = this.#options
    const { distinctId, desiredHash, stored } = user
    const { kind, different, extra, failure } = judge(user, { stored, looked, policy })
    if (!isDrift(kind)) {
      metrics.reconciled(failure === null ? 'same' : 'failed')
      return
    }
    // Who moved meanwhile is not different, but on the way.
    if (!(await state.repair(repairOf(distinctId, kind, desiredHash)))) return
    metrics.reconciled(kind)
    const found = { distinct_id: distinctId, result: kind, different, extra }
    log.warn(found, 'suprsend does not hold this profile as it was sent; it is sent again')
    onRepaired()
  }

  /** null: not asked, as we are stopping. */
  async #look(distinctId: string, stop: AbortSignal): Promise<Looked | null> {
    const { gate } = this.#options
    if (!(await gate.enter())) return null
    let outcome = UNREADABLE
    const startedAt = performance.now()
    try {
      outcome = await this.#ask(distinctId, stop)
    } finally {
      gate.leave(outcome, performance.now() - startedAt, 'get')
    }
    return lookedAt(outcome)
  }

  async #ask(distinctId: string, stop: AbortSignal): Promise<Outcome> {
    const { sink, gate, metrics } = this.#options
    const startedAt = performance.now()
    const answer = await sink.send(distinctId, { kind: 'get' }, stop, () => gate.stillOurs() === true)
    const status = answer.kind === 'answered' ? answer.status : answer.kind
    metrics.apiRequest('get', status, performance.now() - startedAt)
    const kind = unreadable('get', answer)
    if (kind !== null) metrics.unreadableAnswer(kind)
    const outcome = outcomeOf('get', answer)
    // What refuses this one user must not keep the others waiting (P6); what refuses all, deliveries find themselves.
    return outcome.kind === 'stop' && outcome.failure.status !== 401 ? refusedAlone(outcome.failure) : outcome
  }
}

/** The work has ended, or has had its time after the signal. */
async function endedOrLeft(work: Promise<void>, stop: AbortSignal): Promise<void> {
  const over = new AbortController()
  const left = async () => {
    await sleep(FOREVER_MS, AbortSignal.any([stop, over.signal]))
    await sleep(GRACE_MS, over.signal)
  }
  await Promise.race([work, left()]).finally(() => over.abort())
}
