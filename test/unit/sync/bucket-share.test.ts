// Bucket sharing as a model (DESIGN §7.1): the real sharing of each sender against a server with locks in memory. Whatever the order of joins,
// leaves, kills, pauses, cuts and terminations, no two senders that can send ever have a bucket, and when the storm is over every bucket
// has an owner within a few looks, in equal shares.
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { BUCKETS } from '../../../src/core/buckets.ts'
import { type Logger, SILENT_LOGGER } from '../../../src/core/logger.ts'
import { NO_METRICS } from '../../../src/core/metrics.ts'
import type { SenderSession, SendersView } from '../../../src/core/sender-port.ts'
import { BucketShare } from '../../../src/sync/bucket-share.ts'
import { HeldBuckets } from '../../../src/sync/held-buckets.ts'

/** Advisory locks of sessions. */
class LockServer {
  readonly sessions: FakeSession[] = []
  readonly owners: (FakeSession | null)[] = Array.from({ length: BUCKETS }, () => null)

  /** The server ends it, and frees what it had. */
  end(session: FakeSession): void {
    const at = this.sessions.indexOf(session)
    if (at >= 0) this.sessions.splice(at, 1)
    for (const [bucket, owner] of this.owners.entries()) if (owner === session) this.owners[bucket] = null
  }
}

let ids = 0

class FakeSession implements SenderSession {
  readonly id = `s${ids++}`
  readonly isFirst = false
  readonly lost = new Promise<unknown>(() => undefined)
  readonly #server: LockServer
  /** As others see it: its row says so. */
  isStuck = false

  constructor(server: LockServer) {
    this.#server = server
    server.sessions.push(this)
  }

  get isThere(): boolean {
    return this.#server.sessions.includes(this)
  }

  #expectThere(): void {
    if (!this.isThere) throw new Error('the session has ended')
  }

  async confirm(): Promise<boolean> {
    return this.isThere
  }

  looks = 0

  async look(): Promise<SendersView> {
    this.#expectThere()
    this.looks += 1
    const { sessions, owners } = this.#server
    return {
      senders: sessions.map(({ id }) => id),
      owners: owners.map((owner) => owner?.id ?? null),
      most: 64,
      news: [],
      stuck: sessions.filter((it) => it !== this && it.isStuck).map(({ id }) => ({ pid: 1, id, silentMs: 60_001 })),
    }
  }

  async take(buckets: readonly number[]): Promise<readonly number[]> {
    this.#expectThere()
    const taken = buckets.filter((bucket) => this.#server.owners[bucket] === null)
    for (const bucket of taken) this.#server.owners[bucket] = this
    return taken
  }

  async give(buckets: readonly number[]): Promise<void> {
    this.#expectThere()
    for (const bucket of buckets) if (this.#server.owners[bucket] === this) this.#server.owners[bucket] = null
  }

  async tell(): Promise<void> {}

  async end(_: number, id: string): Promise<'ended' | 'gone' | 'denied'> {
    const other = this.#server.sessions.find((it) => it.id === id)
    if (other) this.#server.end(other)
    return other === undefined ? 'gone' : 'ended'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.end(this)
  }
}

/** Looks until a cut sender gives up by itself, and until the server frees what it had: the second is later (direct-session.ts). */
const GIVES_UP = 2
const FREED = 5

class Sender {
  readonly #server: LockServer
  readonly #log: Logger
  session: FakeSession
  buckets = new HeldBuckets()
  share: BucketShare
  /** Buckets of requests under way. */
  inFlight: number[] = []
  isPaused = false
  isLeaving = false
  cutFor: number | null = null

  constructor(server: LockServer, log: Logger = SILENT_LOGGER) {
    this.#server = server
    this.#log = log
    this.session = new FakeSession(server)
    this.share = this.#newShare()
  }

  #newShare(): BucketShare {
    const { session, buckets } = this
    return new BucketShare({
      session,
      buckets,
      deliver: {
        wake: () => undefined,
        quietBuckets: () => buckets.quiet(),
        ...{ inHand: 0, accepted: 0, turnedAtMs: performance.now() },
      },
      gate: { hold: () => undefined, tell: () => undefined, turnAway: () => undefined, isFitting: true, probers: 1 },
      ...{ stuckAfterMs: 60_000, metrics: NO_METRICS, log: this.#log },
    })
  }

  /** What it may send for at this moment, as it believes. A process that was paused asks first (freeze-guard.ts). */
  get claims(): ReadonlySet<number> {
    if (this.isPaused) return new Set()
    if (this.cutFor === null && !this.session.isThere) return new Set() // its socket has told it
    return new Set([...this.buckets.open, ...this.buckets.leaving, ...this.inFlight])
  }

  send(nth: number): void {
    const { open } = this.buckets
    const bucket = open[nth % Math.max(open.length, 1)]
    if (bucket === undefined || this.isPaused || !this.session.isThere) return
    this.buckets.entered(bucket)
    this.inFlight.push(bucket)
  }

  answer(): void {
    for (const bucket of this.inFlight.splice(0)) this.buckets.left(bucket)
  }

  /** @returns whether it goes on at all. */
  async look(): Promise<boolean> {
    if (this.isPaused) return true
    if (this.cutFor !== null) {
      this.cutFor += 1
      if (this.cutFor === GIVES_UP) this.#giveUp()
      if (this.cutFor >= FREED) this.#server.end(this.session)
      return true
    }
    if (!this.session.isThere) this.#rejoin()
    await this.share.turn({ stopping: this.isLeaving })
    if (!this.isLeaving || this.buckets.size > 0) return true
    await this.session[Symbol.asyncDispose]()
    return false
  }

  heal(): void {
    this.isPaused = false
    this.session.isStuck = false
    if (this.cutFor === null) return
    const gaveUp = this.cutFor >= GIVES_UP
    this.cutFor = null
    if (gaveUp) this.#server.end(this.session)
  }

  /** Its requests are aborted, nothing is claimed any more. */
  #giveUp(): void {
    this.inFlight = []
    this.buckets = new HeldBuckets()
  }

  #rejoin(): void {
    this.#giveUp()
    this.session = new FakeSession(this.#server)
    this.share = this.#newShare()
  }
}

type Move = readonly [
  kind: 'join' | 'leave' | 'kill' | 'pause' | 'stuck' | 'heal' | 'cut' | 'terminate' | 'send' | 'answer' | 'look',
  nth: number,
]

const move: fc.Arbitrary<Move> = fc.tuple(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant('look' as const) },
    { weight: 4, arbitrary: fc.constantFrom('send' as const, 'answer' as const) },
    {
      weight: 5,
      arbitrary: fc.constantFrom(...(['join', 'leave', 'kill', 'pause', 'stuck', 'heal', 'cut', 'terminate'] as const)),
    },
  ),
  fc.nat({ max: 1_000 }),
)

async function make(world: { server: LockServer; senders: Sender[] }, [kind, nth]: Move): Promise<void> {
  const { server, senders } = world
  if (kind === 'join' && senders.length < 7) senders.push(new Sender(server))
  const sender = senders[nth % Math.max(senders.length, 1)]
  if (sender === undefined) return
  const gone = () => senders.splice(senders.indexOf(sender), 1)
  switch (kind) {
    case 'join':
      return
    case 'leave':
      sender.isLeaving = true
      return
    case 'kill':
      server.end(sender.session)
      gone()
      return
    case 'pause':
      if (sender.cutFor === null) sender.isPaused = true
      return
    case 'stuck':
      if (sender.isPaused) sender.session.isStuck = true
      return
    case 'heal':
      sender.heal()
      return
    case 'cut':
      if (!sender.isPaused && sender.session.isThere) sender.cutFor ??= 0
      return
    case 'terminate':
      if (sender.cutFor === null) server.end(sender.session)
      return
    case 'send':
      sender.send(nth)
      return
    case 'answer':
      sender.answer()
      return
    case 'look':
      if (!(await sender.look())) gone()
  }
}

function expectOneOwner(senders: readonly Sender[]): void {
  const owned = senders.flatMap((sender) => [...sender.claims])
  expect(owned.length, 'a bucket has two owners').toBe(new Set(owned).size)
}

test('any storm: never two owners of a bucket, and every bucket has one soon after it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 1, maxLength: 150 }), async (moves) => {
      const server = new LockServer()
      const senders = [new Sender(server), new Sender(server)]
      for (const each of moves) {
        await make({ server, senders }, each)
        expectOneOwner(senders)
      }
      if (!senders.some(({ isLeaving }) => !isLeaving)) senders.push(new Sender(server))
      for (const sender of senders) sender.heal()
      for (let round = 0; round < 6; round += 1) {
        for (const sender of [...senders]) {
          sender.answer()
          if (!(await sender.look())) senders.splice(senders.indexOf(sender), 1)
          expectOneOwner(senders)
        }
      }
      const shares = senders.map(({ buckets }) => buckets.open.length)
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(BUCKETS)
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
      for (const { session, buckets } of senders)
        expect(buckets.open.every((bucket) => server.owners[bucket] === session)).toBe(true)
    }),
    { numRuns: 300 },
  )
})

test('what others wait for is given up within tens of milliseconds, and the server is not asked more often for it', async () => {
  vi.useFakeTimers()
  try {
    const server = new LockServer()
    const sender = new Sender(server)
    const over = new AbortController()
    const run = sender.share.run(new AbortController().signal, over.signal)
    await vi.advanceTimersByTimeAsync(10)
    expect(sender.buckets.size).toBe(BUCKETS)
    // A request of each bucket is under way for a long time.
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) sender.buckets.entered(bucket)
    const other = new FakeSession(server)
    const before = sender.session.looks
    await vi.advanceTimersByTimeAsync(5_000)
    expect(sender.session.looks - before).toBeLessThanOrEqual(6)
    expect(sender.buckets.leaving.size).toBe(BUCKETS / 2)
    for (const bucket of sender.buckets.leaving) sender.buckets.left(bucket)
    await vi.advanceTimersByTimeAsync(50)
    expect(server.owners.filter((owner) => owner === null)).toHaveLength(BUCKETS / 2)
    server.end(other)
    over.abort()
    await run
  } finally {
    vi.useRealTimers()
  }
})

test('a stuck sender that cannot be ended costs nobody else anything, and is told of once', async () => {
  const server = new LockServer()
  const told: string[] = []
  const log = { ...SILENT_LOGGER, error: (_: object, message: string) => void told.push(message) }
  const sender = new Sender(server, log)
  const stuck = new FakeSession(server)
  stuck.isStuck = true
  sender.session.end = async () => 'denied'
  for (let looks = 0; looks < 3; looks += 1) expect(await sender.look()).toBe(true)
  expect(told).toEqual(['a sender makes no progress, and our role may not end its session: its users wait'])
  expect(sender.buckets.open).toHaveLength(BUCKETS / 2)
})
