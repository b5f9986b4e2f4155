// The sender on a state whose answers get lost: the statement failed, or it was committed and the connection broke before
// we heard. Everybody is sent all the same, nobody twice at a time, and nobody stays claimed.

import { expect, test } from 'vitest'
import type { Answer } from '../../src/core/api.ts'
import type {
  AttemptRecord,
  Claim,
  Claimed,
  ClaimOptions,
  DeliveryState,
  ProfileSink,
} from '../../src/core/delivery-port.ts'
import { NO_FAIL_POINTS } from '../../src/core/fail-points.ts'
import { SILENT_LOGGER } from '../../src/core/logger.ts'
import { NO_METRICS } from '../../src/core/metrics.ts'
import { Deliver } from '../../src/sync/deliver.ts'
import { FreezeGuard } from '../../src/sync/freeze-guard.ts'
import { Gate } from '../../src/sync/gate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint } from '../support/seeded-state.ts'
import { allBuckets, makeSender } from '../support/sender.ts'
import { until } from '../support/wait.ts'

const USERS = 40
/** Half of them live edits, half of them from a backfill. */
const PROFILES = `
  INSERT INTO suprsync.profile (distinct_id, bucket, desired, desired_hash, lane, changed_at, pending_since, due_at, change_lsn)
  SELECT 'u' || n, 0, '{"channels": {}, "properties": {"n": 1}}', 'h', n % 2, now(), now(), now(), '0/1'
  FROM generate_series(1, ${USERS}) n`

type Loss = 'before' | 'after' | null
type Statement = 'claim' | 'record'

/** The real state; `before`: a statement fails undone, `after`: it is done and its answer is lost. */
class LossyState implements DeliveryState {
  readonly #state: DeliveryState
  readonly #loss: (statement: Statement, count: number) => Loss
  readonly #counts = { claim: 0, record: 0 }

  constructor(state: DeliveryState, loss: (statement: Statement, count: number) => Loss) {
    this.#state = state
    this.#loss = loss
  }

  claim(options: ClaimOptions): Promise<Claimed> {
    return this.#run('claim', () => this.#state.claim(options))
  }
  record(records: readonly AttemptRecord[]): Promise<readonly string[]> {
    return this.#run('record', () => this.#state.record(records))
  }
  mayLose(claim: Claim): Promise<boolean> {
    return this.#state.mayLose(claim)
  }
  release(claims: readonly Claim[]): Promise<void> {
    return this.#state.release(claims)
  }
  abandon(tokens: readonly string[]): Promise<void> {
    return this.#state.abandon(tokens)
  }
  nextDueInMs(buckets: readonly number[]): Promise<number | null> {
    return this.#state.nextDueInMs(buckets)
  }

  async #run<T>(statement: Statement, work: () => Promise<T>): Promise<T> {
    this.#counts[statement] += 1
    const loss = this.#loss(statement, this.#counts[statement])
    if (loss === 'before') throw new Error('lost before')
    const result = await work()
    if (loss === 'after') throw new Error('lost after')
    return result
  }
}

const LOSSES: readonly { readonly name: string; readonly loss: (statement: Statement, count: number) => Loss }[] = [
  { name: 'no claim is answered at first', loss: (what, count) => (what === 'claim' && count <= 2 ? 'after' : null) },
  // The first claim is of live edits, the second of the backfill: what the first one got must not wait for ever.
  { name: 'the second lane fails', loss: (what, count) => (what === 'claim' && count === 2 ? 'before' : null) },
  {
    name: "the second lane's answer is lost",
    loss: (what, count) => (what === 'claim' && count === 2 ? 'after' : null),
  },
  { name: 'a record is not answered', loss: (what, count) => (what === 'record' && count === 1 ? 'after' : null) },
  { name: 'a record fails', loss: (what, count) => (what === 'record' && count === 1 ? 'before' : null) },
]

test.each(LOSSES)('$name', async ({ loss }) => {
  await using world = await createWorld()
  const sink = new Sink()
  const gate = new Gate({
    limits: { maxInFlight: 64, ratePerSecond: null },
    metrics: NO_METRICS,
    guard: new FreezeGuard({ confirm: () => Promise.resolve(true) }),
    onHostChange: () => undefined,
  })
  gate.hold(1, { settled: true })
  const deliver = new Deliver({
    buckets: allBuckets(),
    state: new LossyState(world.state, loss),
    sink,
    gate,
    policy: { onDelete: 'delete', firstContact: 'upsert', exclusive: new Set() },
    secrets: new Map(),
    metrics: NO_METRICS,
    log: SILENT_LOGGER,
    failPoints: NO_FAIL_POINTS,
  })
  const stop = new AbortController()
  const running = deliver.run(stop.signal, new AbortController().signal)
  try {
    await until(async () => (await waiting(world.database)) === 0, { what: 'everybody to be accepted' })
  } finally {
    stop.abort()
    await running
  }
  expect(new Set(sink.sent).size).toBe(USERS)
  expect(sink.overlaps).toBe(0)
  expect(deliver.inHand).toBe(0)
})

/** SuprSend that accepts everything, a while later. */
class Sink implements ProfileSink {
  readonly sent: string[] = []
  readonly #underWay = new Set<string>()
  overlaps = 0

  async send(distinctId: string): Promise<Answer> {
    if (this.#underWay.has(distinctId)) this.overlaps += 1
    this.#underWay.add(distinctId)
    this.sent.push(distinctId)
    const { promise, resolve } = Promise.withResolvers<void>()
    setTimeout(resolve, 5)
    await promise
    this.#underWay.delete(distinctId)
    return { kind: 'answered', status: 201, retryAfterMs: null, body: { properties: { n: 1 } } }
  }
}

async function createWorld(): Promise<
  AsyncDisposable & { readonly database: TestDatabase; readonly state: DeliveryState }
> {
  await using closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  const state = closing.use(await makeStateAtCheckpoint(database))
  await database.query(PROFILES)
  const kept = closing.move()
  return { database, state: await makeSender(state), [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

async function waiting(database: TestDatabase): Promise<number> {
  const rows = await database.query(
    "SELECT FROM suprsync.profile WHERE due_at IS NOT NULL OR claimed_by IS NOT NULL OR sending <> '[]' OR synced IS NULL",
  )
  return rows.length
}
