// Every request to SuprSend passes here: this sender's part of the deployment's limits (requests a second, requests in
// flight) and the state of the host, while which is not open one probe stands for all. First come, first served. Holds
// nothing at first, so that nobody enters before `hold`. Decisions are core's (limiter, host-state); here are only the
// clock, the queue and the one timer.
import type { Outcome, RequestKind } from '../core/api.ts'
import {
  HOST_OPEN,
  type HostEvent,
  type HostNews,
  type HostState,
  hostWaitMs,
  newsOf,
  nextHostState,
} from '../core/host-state.ts'
import {
  effective,
  fits,
  holdFraction,
  type LimiterSettings,
  type LimiterState,
  latencyMs,
  noteAnswer,
  openLimiter,
  releaseSlot,
  resume,
  slowDown,
  suspend,
  takeSlot,
} from '../core/limiter.ts'
import type { LimiterReading, Metrics } from '../core/metrics.ts'
import type { FreezeGuard } from './freeze-guard.ts'

export interface GateOptions {
  /** Of the whole deployment. */
  readonly limits: LimiterSettings
  readonly metrics: Metrics
  readonly guard: FreezeGuard
  readonly onHostChange: (state: HostState) => void
  /** What this sender met itself and the others have to be told: those who send to the same address with the same key. */
  readonly onNews?: (news: HostNews) => void
}

export interface EnterOptions {
  /** Asked when its turn has come: what was right before it waited may not be so any more. */
  readonly mayLeave?: () => true | Promise<boolean>
  /** Asked before its turn, and by `turnAway`. */
  readonly isWanted?: () => boolean
  /**
   * It goes on with what an accepted request began: that may leave after `close` too, where nothing stands in its way, or all of it
   * would be sent again.
   */
  readonly begun?: boolean
}

interface Waiter {
  readonly resolve: (passed: boolean) => void
  readonly isWanted: () => boolean
  readonly begun: boolean
}

export class Gate {
  readonly #metrics: Metrics
  readonly #guard: FreezeGuard
  readonly #onHostChange: (state: HostState) => void
  readonly #onNews: (news: HostNews) => void
  #limiter: LimiterState
  #host: HostState = HOST_OPEN
  #probers = 1
  #waiters: Waiter[] = []
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor({ limits, metrics, guard, onHostChange, onNews = () => undefined }: GateOptions) {
    this.#limiter = openLimiter(limits, performance.now())
    this.#metrics = metrics
    this.#guard = guard
    this.#onHostChange = onHostChange
    this.#onNews = onNews
    metrics.hostState(this.#host.kind)
    metrics.watchLimiter(() => this.#reading())
  }

  get host(): HostState {
    return this.#host
  }

  /** Milliseconds until a request may leave as far as the host is concerned: 0 = now. */
  get waitMs(): number {
    return hostWaitMs(this.#host, performance.now())
  }

  get inFlight(): number {
    return this.#limiter.inFlight
  }

  /** How many may be in flight just now: what is held, as far as SuprSend can bear it. */
  get mostInFlight(): number {
    return effective(this.#limiter, performance.now()).inFlight
  }

  /**
   * The part of the deployment that is held from now on, 0 to 1. Of a gain the rate counts a second later, unless `settled`:
   * nobody else can have used it within the last second. Before giving something up: hold less, wait until it `isFitting`, and
   * only then let others have it.
   */
  hold(fraction: number, { settled }: { readonly settled: boolean } = { settled: false }): void {
    this.#limiter = holdFraction(this.#limiter, { fraction, settled }, performance.now())
    this.#pump()
  }

  /** No more requests are under way than what is held allows. */
  get isFitting(): boolean {
    return fits(this.#limiter)
  }

  /** Live senders, this one included: each probes the more rarely. */
  set probers(count: number) {
    if (count === this.#probers) return
    this.#probers = count
    this.#next({ kind: 'recounted' })
    this.#pump()
  }

  /** What another sender met. */
  tell(news: HostNews): void {
    if (news.kind === 'throttled') {
      this.#limiter = slowDown(this.#limiter, news.forMs, performance.now())
    }
    this.#next({ kind: 'told', news })
    this.#pump()
  }

  /** Whether the work is still ours: true at once, unless this process stood still. */
  stillOurs(): true | Promise<boolean> {
    return this.#guard.check()
  }

  /**
   * Resolves to true when a request may leave, which then must end with `leave`; to false when it was turned away, or the gate closed.
   */
  async enter({ mayLeave = () => true, isWanted = () => true, begun = false }: EnterOptions = {}): Promise<boolean> {
    if ((this.#closed && !begun) || !isWanted()) return false
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiters.push({ resolve, isWanted, begun })
    this.#pump()
    if (!(await promise)) return false
    // The guard last, just before the request leaves: who waited here, or for an answer, may have stood still meanwhile.
    if ((await isTrue(mayLeave())) && (await isTrue(this.#guard.check()))) return true
    this.#limiter = releaseSlot(this.#limiter)
    this.#pump()
    return false
  }

  /**
   * @param durationMs of the exchange alone, without what was waited for before.
   * @param repeated this user's attempt before this one failed as well: then its trouble is its own (P6).
   */
  leave(
    outcome: Outcome,
    durationMs: number,
    kind: RequestKind,
    { repeated }: { readonly repeated: boolean } = { repeated: false },
  ): void {
    const nowMs = performance.now()
    const before = this.#host
    // While the host is away, what fails shows nothing of what it could bear.
    if (before.kind !== 'unreachable') {
      const answer = { outcome, durationMs, kind, repeated }
      this.#limiter = noteAnswer(this.#limiter, answer, nowMs)
    }
    this.#limiter = releaseSlot(this.#limiter)
    this.#next({ kind: 'outcome', outcome, repeated })
    this.#metrics.requestsInFlight(this.#limiter.inFlight)
    const news = newsOf(before, this.#host, outcome, nowMs)
    if (news !== null) this.#onNews(news)
    this.#pump()
  }

  /** Who waits and is not wanted any more is told: others may have the turn that is far off here. */
  turnAway(): void {
    this.#turnAway(({ isWanted }) => !isWanted())
  }

  /** Lets nobody in any more but who goes on with what was begun; who waits is told. */
  close(): void {
    if (!this.#closed) this.#metrics.watchLimiter(null)
    this.#closed = true
    this.#guard[Symbol.dispose]()
    if (this.#timer) clearTimeout(this.#timer)
    this.#turnAway((waiter) => !waiter.begun)
    this.#pump()
  }

  #turnAway(who: (waiter: Waiter) => boolean): void {
    const [gone, left] = [this.#waiters.filter(who), this.#waiters.filter((waiter) => !who(waiter))]
    this.#waiters = left
    for (const waiter of gone) waiter.resolve(false)
  }

  #pump(): void {
    while (this.#waiters.length > 0) {
      const nowMs = performance.now()
      const hostMs = hostWaitMs(this.#host, nowMs)
      // Who closes waits neither for a host nor for a share that is given up.
      if (hostMs > 0) return this.#closed ? this.#turnAway(() => true) : this.#later(hostMs)
      const taken = takeSlot(this.#limiter, nowMs)
      this.#limiter = taken.state
      if (taken.kind !== 'go') {
        if (taken.waitMs !== null) this.#later(taken.waitMs)
        else if (this.#closed && this.#limiter.inFlight === 0) this.#turnAway(() => true)
        return
      }
      this.#next({ kind: 'sent' })
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

  #next(event: HostEvent): void {
    const before = this.#host
    const nowMs = performance.now()
    const after = nextHostState(before, event, nowMs, { probers: this.#probers, random: Math.random() })
    this.#host = after
    if (after.kind === before.kind) return
    if (after.kind === 'unreachable') this.#limiter = suspend(this.#limiter, nowMs)
    if (after.kind === 'open') this.#limiter = resume(this.#limiter, nowMs)
    this.#metrics.hostState(after.kind)
    this.#onHostChange(after)
  }

  #reading(): LimiterReading {
    const nowMs = performance.now()
    const { ratePerSecond, inFlight, share } = effective(this.#limiter, nowMs)
    return {
      ratePerSecond,
      inFlightLimit: inFlight,
      share,
      latencyMs: latencyMs(this.#limiter),
      throttledMs: this.#host.kind === 'throttled' ? hostWaitMs(this.#host, nowMs) : 0,
    }
  }
}

/** What could not be asked is no. */
async function isTrue(answer: true | Promise<boolean>): Promise<boolean> {
  return answer === true || (await answer.catch(() => false))
}
