// Every request to SuprSend passes here: the limiter (requests a second, requests in flight) and the state of the host,
// while which is not open one probe stands for all. First come, first served. Decisions are core's (limiter, host-state);
// here are only the clock, the queue and the one timer.
import type { Outcome } from '../core/api.ts'
import { HOST_OPEN, type HostState, hostWaitMs, nextHostState } from '../core/host-state.ts'
import {
  type LimiterSettings,
  type LimiterState,
  openLimiter,
  releaseSlot,
  slowDown,
  takeSlot,
} from '../core/limiter.ts'
import type { Metrics } from '../core/metrics.ts'
import type { FreezeGuard } from './freeze-guard.ts'

export interface GateOptions {
  readonly limits: LimiterSettings
  readonly metrics: Metrics
  readonly guard: FreezeGuard
  readonly onHostChange: (state: HostState) => void
}

interface Waiter {
  readonly resolve: (passed: boolean) => void
}

export class Gate {
  readonly #settings: LimiterSettings
  readonly #metrics: Metrics
  readonly #guard: FreezeGuard
  readonly #onHostChange: (state: HostState) => void
  #limiter: LimiterState = openLimiter(performance.now())
  #host: HostState = HOST_OPEN
  #waiters: Waiter[] = []
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor({ limits, metrics, guard, onHostChange }: GateOptions) {
    this.#settings = limits
    this.#metrics = metrics
    this.#guard = guard
    this.#onHostChange = onHostChange
    metrics.hostState(this.#host.kind)
  }

  get host(): HostState {
    return this.#host
  }

  /** Milliseconds until a request may leave as far as the host is concerned: 0 = now. */
  get waitMs(): number {
    return hostWaitMs(this.#host, performance.now())
  }

  /** Whether the work is still ours: true at once, unless this process stood still. */
  stillOurs(): true | Promise<boolean> {
    return this.#guard.check()
  }

  /**
   * Resolves to true when a request may leave, which then must end with `leave`; to false when the gate was closed.
   * @param mayLeave asked when its turn has come: what was right before it waited may not be so any more.
   */
  async enter(mayLeave: () => true | Promise<boolean> = () => true): Promise<boolean> {
    if (this.#closed) return false
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiters.push({ resolve })
    this.#pump()
    if (!(await promise)) return false
    // The guard last, just before the request leaves: who waited here, or for an answer, may have stood still meanwhile.
    if ((await isTrue(mayLeave())) && (await isTrue(this.#guard.check()))) return true
    this.#limiter = releaseSlot(this.#limiter)
    this.#pump()
    return false
  }

  leave(outcome: Outcome): void {
    const nowMs = performance.now()
    this.#limiter = releaseSlot(this.#limiter)
    if (
      outcome.kind === 'retry' &&
      (outcome.failure.status === 429 || (outcome.failure.status === 503 && outcome.floorMs > 0))
    ) {
      this.#limiter = slowDown(this.#settings, this.#limiter, nowMs)
    }
    this.#setHost(nextHostState(this.#host, { kind: 'outcome', outcome }, nowMs))
    this.#metrics.requestsInFlight(this.#limiter.inFlight)
    this.#pump()
  }

  /** Lets nobody in any more; who waits is told. */
  close(): void {
    this.#closed = true
    this.#guard[Symbol.dispose]()
    if (this.#timer) clearTimeout(this.#timer)
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(false)
  }

  #pump(): void {
    while (this.#waiters.length > 0 && !this.#closed) {
      const nowMs = performance.now()
      const hostMs = hostWaitMs(this.#host, nowMs)
      if (hostMs > 0) return this.#later(hostMs)
      const taken = takeSlot(this.#settings, this.#limiter, nowMs)
      this.#limiter = taken.state
      if (taken.kind === 'full') return
      if (taken.kind === 'wait') return this.#later(taken.waitMs)
      this.#setHost(nextHostState(this.#host, { kind: 'sent' }, nowMs))
      this.#metrics.requestsInFlight(this.#limiter.inFlight)
      this.#waiters.shift()?.resolve(true)
    }
  }

  #later(delayMs: number): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#pump()
    }, delayMs)
  }

  #setHost(state: HostState): void {
    const changed = state.kind !== this.#host.kind
    this.#host = state
    if (!changed) return
    this.#metrics.hostState(state.kind)
    this.#onHostChange(state)
  }
}

/** What could not be asked is no. */
async function isTrue(answer: true | Promise<boolean>): Promise<boolean> {
  return answer === true || (await answer.catch(() => false))
}
