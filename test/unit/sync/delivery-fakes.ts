// The ports of delivery with state in memory: users who are due, claimed and recorded as state/delivery-store.ts does it,
// and a SuprSend whose answers a test gives. What goes wrong is scripted by the test.
import type { Answer, ApiRequest } from '../../../src/core/api.ts'
import type {
  AttemptRecord,
  Claim,
  Claimed,
  ClaimOptions,
  DeliveryState,
  ProfileSink,
} from '../../../src/core/delivery-port.ts'
import { NO_FAIL_POINTS } from '../../../src/core/fail-points.ts'
import { SILENT_LOGGER } from '../../../src/core/logger.ts'
import { NO_METRICS } from '../../../src/core/metrics.ts'
import { EMPTY_PROFILE, type Profile } from '../../../src/core/profile.ts'
import { Deliver, type DeliverOptions } from '../../../src/sync/deliver.ts'
import { FreezeGuard } from '../../../src/sync/freeze-guard.ts'
import { Gate } from '../../../src/sync/gate.ts'
import { allBuckets } from '../../support/sender.ts'

interface User {
  readonly lane: 0 | 1
  dueAtMs: number | null
  attempts: number
  failingSince: number | null
  isClaimed: boolean
  sending: readonly string[]
}

export class FakeState implements DeliveryState {
  readonly users = new Map<string, User>()
  readonly records: AttemptRecord[] = []
  claims = 0
  /** Of every user. */
  desired: Profile = EMPTY_PROFILE
  /** Called with every claim: `before` it did anything, or after it was committed; what it throws the caller gets. */
  onClaim: (when: 'before' | 'after', options: ClaimOptions) => void = () => undefined
  onRecord: () => void = () => undefined
  /** Whose claims lose something, and of whom it may be sent no more. */
  readonly losing = new Set<string>()
  readonly kept = new Set<string>()
  /** Due, but of a transaction that is stored only in part. */
  unclaimable = false

  add(id: string, lane: 0 | 1 = 0): void {
    this.users.set(id, {
      lane,
      dueAtMs: performance.now(),
      attempts: 0,
      failingSince: null,
      isClaimed: false,
      sending: [],
    })
  }

  async claim(options: ClaimOptions): Promise<Claimed> {
    this.claims += 1
    this.onClaim('before', options)
    const { buckets, limit, lane, token } = options
    // Everybody is of bucket 0.
    const due = (buckets.includes(0) ? [...this.users] : [])
      .filter(([, user]) => user.lane === lane && this.#isDue(user) && !this.unclaimable)
      .sort(([, a], [, b]) => (a.dueAtMs ?? 0) - (b.dueAtMs ?? 0))
      .slice(0, limit)
    const claims = due.map(([distinctId, user]): Claim => {
      const unclear = user.sending.map((old) => ({ token: old, target: EMPTY_PROFILE }))
      user.isClaimed = true
      user.sending = [...user.sending, token]
      return {
        distinctId,
        bucket: 0,
        token,
        desired: this.desired,
        desiredHash: 'h',
        held: false,
        loses: this.losing.has(distinctId),
        erase: false,
        synced: null,
        syncedHash: null,
        unclear,
        attempts: user.attempts,
        failingSince: user.failingSince,
        pendingSince: 0,
      }
    })
    this.onClaim('after', options)
    return { claims, more: false }
  }

  async mayLose({ distinctId }: Claim): Promise<boolean> {
    if (!this.kept.has(distinctId)) return true
    // The claim that finds it next takes it out of the queue.
    const user = this.users.get(distinctId)
    if (user) user.dueAtMs = null
    return false
  }

  async record(records: readonly AttemptRecord[]): Promise<readonly string[]> {
    this.onRecord()
    return records.flatMap((record) => {
      const user = this.users.get(record.claim.distinctId)
      if (!user?.isClaimed || !user.sending.includes(record.claim.token)) return [record.claim.distinctId]
      this.records.push(record)
      user.isClaimed = false
      user.sending = record.unclear.map(({ token }) => token)
      user.attempts = record.attempts
      user.failingSince = record.failingSince
      user.dueAtMs = record.retryInMs === null ? null : performance.now() + record.retryInMs
      return []
    })
  }

  async release(claims: readonly Claim[]): Promise<void> {
    for (const { distinctId, unclear } of claims) {
      const user = this.users.get(distinctId)
      if (!user?.isClaimed) continue
      user.isClaimed = false
      user.sending = unclear.map(({ token }) => token)
    }
  }

  async abandon(tokens: readonly string[]): Promise<void> {
    for (const user of this.users.values()) if (tokens.includes(user.sending.at(-1) ?? '')) user.isClaimed = false
  }

  async nextDueInMs(buckets: readonly number[]): Promise<number | null> {
    if (!buckets.includes(0)) return null
    const due = [...this.users.values()].flatMap(({ isClaimed, dueAtMs }) =>
      dueAtMs === null || isClaimed ? [] : [dueAtMs],
    )
    return due.length === 0 ? null : Math.max(0, Math.min(...due) - performance.now())
  }

  #isDue(user: User): boolean {
    return user.dueAtMs !== null && user.dueAtMs <= performance.now() && !user.isClaimed
  }
}

export type Reply = (distinctId: string, request: ApiRequest) => Answer | Promise<Answer>

export const ACCEPTED: Answer = { kind: 'answered', status: 202, retryAfterMs: null, body: null }

export interface Running extends AsyncDisposable {
  readonly deliver: Deliver
  readonly gate: Gate
  /** Ids in the order in which requests were made. */
  readonly sent: string[]
  stop(): Promise<void>
  destroy(): Promise<void>
}

export function startDelivery(
  state: DeliveryState,
  reply: Reply = () => ACCEPTED,
  given: Partial<Pick<DeliverOptions, 'metrics' | 'giveUpAfterMs' | 'buckets'>> = {},
): Running {
  const sent: string[] = []
  const sink: ProfileSink = {
    async send(distinctId, request) {
      sent.push(distinctId)
      return await reply(distinctId, request)
    },
  }
  const guard = new FreezeGuard({ confirm: () => Promise.resolve(true) })
  const gate = new Gate({
    limits: { maxInFlight: 8, ratePerSecond: null },
    metrics: NO_METRICS,
    guard,
    onHostChange: () => undefined,
  })
  gate.hold(1, { settled: true })
  const deliver = new Deliver({
    buckets: allBuckets(),
    state,
    sink,
    gate,
    policy: { onDelete: 'delete', firstContact: 'upsert', exclusive: new Set() },
    secrets: new Map(),
    metrics: NO_METRICS,
    log: SILENT_LOGGER,
    failPoints: NO_FAIL_POINTS,
    ...given,
  })
  const [stop, destroy] = [new AbortController(), new AbortController()]
  const run = deliver.run(stop.signal, destroy.signal)
  const end = async (controller: AbortController) => {
    controller.abort()
    await run
  }
  return {
    deliver,
    gate,
    sent,
    stop: () => end(stop),
    destroy: () => end(destroy),
    [Symbol.asyncDispose]: () => end(destroy),
  }
}
