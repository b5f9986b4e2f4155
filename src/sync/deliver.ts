// One sender: claims due users of its buckets and attempts each; how it ended the recorder writes down. Guarantees at most one attempt
// per user at a time (claims exclude what this sender has in hand; other senders have other buckets). Claims and records are batched by
// what has gathered meanwhile, so that neither waits for the other and a single edit waits for nobody.
import { randomUUID } from 'node:crypto'
import { sleep } from '../core/abort.ts'
import type { ApiRequest, Outcome } from '../core/api.ts'
import type { Claim, Claimed, DeliveryState, ProfileSink } from '../core/delivery-port.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { Logger } from '../core/logger.ts'
import type { Metrics } from '../core/metrics.ts'
import { outcomeOf, UNREADABLE, unreadable } from '../core/outcome.ts'
import { attemptUser } from './attempt.ts'
import { type AttemptEnd, brokenAttempt } from './attempt-record.ts'
import type { KnownSecrets } from './attempt-secrets.ts'
import type { AttemptPolicy } from './attempt-state.ts'
import { DoubtfulClaims } from './doubtful-claims.ts'
import type { Gate } from './gate.ts'
import type { HeldBuckets } from './held-buckets.ts'
import { Recorder } from './recorder.ts'
import { Refusals } from './refusals.ts'
import { Signal } from './signal.ts'

export interface DeliverOptions {
  readonly buckets: HeldBuckets
  readonly state: DeliveryState
  readonly sink: ProfileSink
  readonly gate: Gate
  readonly policy: AttemptPolicy
  /** The texts that profiles refer to (core/secret-reference.ts), by fingerprint. */
  readonly secrets: KnownSecrets
  /** Who fails for so long is set aside; null, or absent: nobody is. */
  readonly giveUpAfterMs?: number | null
  readonly metrics: Metrics
  readonly log: Logger
  readonly failPoints: FailPoints
}

/** Who claims waits for a hint of this process or a notice of another; where one was missed, it looks after this long. */
const POLL_MS = 1_000
const MAX_CLAIM = 500
/** Due and yet not claimable: stored only in part, or locked by a commit that is on its way. */
const LEAST_WAIT_MS = 50
const STATE_RETRY_MS = 1_000

const NOTHING = { taken: 0, more: false } as const

export class Deliver {
  readonly #options: DeliverOptions
  readonly #changed = new Signal()
  readonly #aborted = new AbortController()
  /** Users in hand: claimed and not yet recorded. */
  readonly #users = new Set<string>()
  readonly #doubtful: DoubtfulClaims
  readonly #recorder: Recorder
  readonly #refusals = new Refusals()
  /** When somebody was last accepted. */
  #acceptedAt: number | null = null
  /** How long to wait after a claim that took nothing of what is due: doubles, until there is news. */
  #fruitlessMs = LEAST_WAIT_MS
  #accepted = 0
  #claimedAtMs = performance.now()

  constructor(options: DeliverOptions) {
    this.#options = options
    this.#doubtful = new DoubtfulClaims(options.state)
    const { state, log } = options
    this.#recorder = new Recorder({ state, log, onRecorded: (claims) => this.#let(claims) })
  }

  /** Something may be due now. */
  wake(): void {
    this.#fruitlessMs = LEAST_WAIT_MS
    this.#changed.notify()
  }

  get inHand(): number {
    return this.#users.size
  }

  /** Users accepted since the start. */
  get accepted(): number {
    return this.#accepted
  }

  /** When both of its loops last got on: what waits by right does every second, who cannot claim or record does not. */
  get turnedAtMs(): number {
    return Math.min(this.#claimedAtMs, this.#recorder.turnedAtMs)
  }

  /** Buckets that are about to leave and that nothing of ours touches any more. */
  quietBuckets(): readonly number[] {
    return this.#doubtful.any ? [] : this.#options.buckets.quiet()
  }

  /**
   * Until `stop` aborts: then claims nothing more and ends when everything in hand is recorded. `destroy` aborts the
   * requests too; what they did is unclear and is recorded so, or found so by the next sender.
   */
  async run(stop: AbortSignal, destroy: AbortSignal): Promise<void> {
    const onStop = () => {
      this.#options.gate.close()
      this.#changed.notify()
    }
    const onDestroy = () => {
      onStop()
      this.#aborted.abort()
    }
    stop.addEventListener('abort', onStop)
    destroy.addEventListener('abort', onDestroy)
    if (stop.aborted || destroy.aborted) onDestroy()
    const recording = this.#recorder.run(destroy)
    try {
      while (!stop.aborted && !destroy.aborted) await this.#claimSome(stop)
    } finally {
      this.#recorder.close()
      await recording
      stop.removeEventListener('abort', onStop)
      destroy.removeEventListener('abort', onDestroy)
    }
  }

  async #claimSome(stop: AbortSignal): Promise<void> {
    try {
      await this.#claimTurn()
      this.#claimedAtMs = performance.now()
    } catch (error) {
      this.#options.log.warn({ err: error }, 'claiming failed; trying again')
      await sleep(STATE_RETRY_MS, stop)
    }
  }

  async #claimTurn(): Promise<void> {
    const { gate, buckets, state } = this.#options
    const seen = this.#changed.count
    await this.#doubtful.giveBack()
    const open = gate.host.kind === 'open'
    // Enough in hand that a sender never waits for a claim; while the host is not open, the one that is the probe.
    const most = open ? gate.mostInFlight * 2 : Math.min(gate.mostInFlight, 1)
    const room = Math.min(MAX_CLAIM, most - this.#users.size)
    if (room <= 0 || (open && this.#users.size > most * 0.75)) return await this.#changed.after(seen, POLL_MS)
    if (!open && gate.waitMs > 0) return await this.#changed.after(seen, Math.min(gate.waitMs, POLL_MS))
    if (!(await gate.stillOurs())) return await this.#changed.after(seen, POLL_MS)
    if (buckets.open.length === 0) return await this.#changed.after(seen, POLL_MS)
    const live = await this.#claim(room, 0)
    const backfilled = live.taken < room && !live.more ? await this.#claim(room - live.taken, 1) : NOTHING
    const taken = live.taken + backfilled.taken
    if (taken > 0) this.#fruitlessMs = LEAST_WAIT_MS
    if (taken === room || live.more || backfilled.more) return
    if (taken > 0) return await this.#changed.after(seen, LEAST_WAIT_MS)
    const dueMs = await state.nextDueInMs(buckets.open)
    await this.#changed.after(seen, this.#pauseMs(dueMs))
  }

  #pauseMs(dueMs: number | null): number {
    if (dueMs === null) return POLL_MS
    if (dueMs > 0) return Math.min(Math.max(dueMs, LEAST_WAIT_MS), POLL_MS)
    // The claim passes over each of them: with 300,000 users of an unfinished transaction it is no cheap question.
    const pauseMs = this.#fruitlessMs
    this.#fruitlessMs = Math.min(pauseMs * 2, POLL_MS)
    return pauseMs
  }

  /** What one statement claimed is handed out at once: whatever fails next, somebody has it in hand. */
  async #claim(limit: number, lane: 0 | 1): Promise<{ readonly taken: number; readonly more: boolean }> {
    const { state, buckets } = this.#options
    return await buckets.during(async (open) => {
      const token = randomUUID()
      let claimed: Claimed
      try {
        claimed = await state.claim({ buckets: open, limit, lane, token })
      } catch (error) {
        this.#doubtful.add(token)
        throw error
      }
      for (const claim of claimed.claims) {
        this.#users.add(claim.distinctId)
        buckets.entered(claim.bucket)
        void this.#deliver(claim)
      }
      return { taken: claimed.claims.length, more: claimed.more }
    })
  }

  /** Never rejects: whatever happens becomes a record. */
  async #deliver(claim: Claim): Promise<void> {
    this.#recorder.expect()
    this.#recorder.ended(claim, await this.#attempt(claim))
  }

  async #attempt(claim: Claim): Promise<AttemptEnd> {
    try {
      const { policy, secrets, giveUpAfterMs = null } = this.#options
      // Looked at when the attempt ends: others are accepted meanwhile.
      const acceptedAt = () => this.#acceptedAt
      const patience = {
        giveUpAfterMs,
        get acceptedAt() {
          return acceptedAt()
        },
      }
      const progress = { begun: false }
      const send = (_: string, request: ApiRequest) => this.#send(claim, request, progress)
      const end = await attemptUser(claim, { policy, secrets, send, patience })
      if (end.kind === 'accepted') this.#refusals.forget(claim.distinctId)
      this.#observe(claim, end)
      return end
    } catch (error) {
      this.#options.log.error({ err: error, distinct_id: claim.distinctId }, 'an attempt broke; will be retried')
      return brokenAttempt(claim)
    }
  }

  async #send(claim: Claim, request: ApiRequest, progress: { begun: boolean }): Promise<Outcome | null> {
    const { gate, log, state, buckets } = this.#options
    const { distinctId } = claim
    const mayLeave = () => (claim.loses ? state.mayLose(claim) : true)
    // What has begun is finished, also of a bucket that others wait for.
    const isWanted = () => progress.begun || !buckets.leaving.has(claim.bucket)
    if (!(await gate.enter({ mayLeave, isWanted, begun: progress.begun }))) return null
    let outcome = UNREADABLE
    const startedAt = performance.now()
    try {
      const drawn = await this.#exchange(distinctId, request)
      outcome = this.#refusals.judge(distinctId, drawn, gate.host.kind)
      progress.begun = outcome.kind === 'accepted'
    } catch (error) {
      log.error({ err: error, distinct_id: distinctId }, 'a request broke; will be retried')
    } finally {
      gate.leave(outcome, performance.now() - startedAt, request.kind, { repeated: claim.attempts > 0 })
    }
    return outcome
  }

  async #exchange(distinctId: string, request: ApiRequest): Promise<Outcome> {
    const { gate, sink, metrics, failPoints } = this.#options
    const startedAt = performance.now()
    const answer = await sink.send(distinctId, request, this.#aborted.signal, () => gate.stillOurs() === true)
    failPoints.hit('after_answer')
    metrics.apiRequest(
      request.kind,
      answer.kind === 'answered' ? answer.status : answer.kind,
      performance.now() - startedAt,
    )
    const kind = unreadable(request.kind, answer)
    if (kind !== null) metrics.unreadableAnswer(kind)
    return outcomeOf(request, answer)
  }

  #observe(claim: Claim, end: AttemptEnd): void {
    const { metrics, log } = this.#options
    const user = { distinct_id: claim.distinctId }
    switch (end.kind) {
      case 'accepted':
        this.#accepted += 1
        if (end.sent) {
          this.#acceptedAt = Date.now()
          metrics.accepted(Date.now() - claim.pendingSince)
        }
        if (end.drifted) {
          metrics.drift()
          log.warn(user, 'suprsend keeps this profile in another form than it was sent')
        }
        if (end.record.failure !== null)
          log.warn(
            { ...user, ...end.record.failure },
            'a part of a profile is refused; it is set aside and the rest was sent',
          )
        log.debug({ ...user, sent: end.sent }, 'profile accepted')
        return
      case 'failed':
        this.#observeFailure(claim, end.outcome)
        return
      case 'unsent':
        return
    }
  }

  #observeFailure(claim: Claim, outcome: Outcome): void {
    const { log } = this.#options
    if (outcome.kind === 'rejected')
      log.warn({ distinct_id: claim.distinctId, ...outcome.failure }, 'a profile cannot be sent as it is; set aside')
    else if (outcome.kind === 'retry')
      log.debug({ distinct_id: claim.distinctId, ...outcome.failure }, 'attempt failed; will be retried')
  }

  #let(claims: readonly Claim[]): void {
    for (const { distinctId, bucket } of claims) {
      this.#users.delete(distinctId)
      this.#options.buckets.left(bucket)
    }
    this.#changed.notify()
  }
}
