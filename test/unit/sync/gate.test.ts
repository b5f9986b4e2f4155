// The gate: nobody enters before something is held, what is given up fits before others have it, and what one sender learns
// the others obey. Real clock arithmetic, fake time.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Outcome } from '../../../src/core/api.ts'
import type { HostNews } from '../../../src/core/host-state.ts'
import type { LimiterSettings } from '../../../src/core/limiter.ts'
import { type LimiterReading, type Metrics, NO_METRICS } from '../../../src/core/metrics.ts'
import { FreezeGuard } from '../../../src/sync/freeze-guard.ts'
import { Gate } from '../../../src/sync/gate.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

const ACCEPTED: Outcome = { kind: 'accepted', user: null }
const failure = (status: number | null) => ({ code: 'x', status, key: null, message: 'x' })
const REFUSED: Outcome = { kind: 'stop', failure: failure(401) }
const LIMITED: Outcome = { kind: 'retry', applied: 'no', scope: 'host', floorMs: 5_000, failure: failure(429) }
const AWAY: Outcome = { kind: 'retry', applied: 'no', scope: 'host', floorMs: 0, failure: failure(null) }

interface World extends Disposable {
  readonly gate: Gate
  readonly news: HostNews[]
  readonly hosts: string[]
  readonly reading: () => LimiterReading | null
  /** Who asked to enter, in the order in which they were let in; false: turned away. */
  readonly entered: (string | false)[]
  enter(name: string, mayLeave?: () => true | Promise<boolean>): void
}

function world(limits: LimiterSettings = { maxInFlight: 4, ratePerSecond: null }): World {
  const news: HostNews[] = []
  const hosts: string[] = []
  const entered: (string | false)[] = []
  let read: (() => LimiterReading) | null = null
  const metrics: Metrics = {
    ...NO_METRICS,
    watchLimiter: (given) => {
      read = given
    },
  }
  const gate = new Gate({
    limits,
    metrics,
    guard: new FreezeGuard({ confirm: () => Promise.resolve(true) }),
    onHostChange: ({ kind }) => void hosts.push(kind),
    onNews: (each) => void news.push(each),
  })
  return {
    gate,
    news,
    hosts,
    entered,
    reading: () => read?.() ?? null,
    enter: (name, mayLeave) =>
      void gate.enter({ ...(mayLeave && { mayLeave }) }).then((passed) => entered.push(passed && name)),
    [Symbol.dispose]: () => gate.close(),
  }
}

test('nobody enters before something is held, then the first come first', async () => {
  using it = world()
  for (const name of ['a', 'b', 'c', 'd']) it.enter(name)
  await pass(60_000)
  expect(it.entered).toEqual([])
  it.gate.hold(1 / 2, { settled: true })
  await pass(0)
  expect(it.entered).toEqual(['a', 'b'])
  expect([it.gate.inFlight, it.gate.mostInFlight]).toEqual([2, 2])
  it.gate.leave(ACCEPTED, 50, 'edit')
  await pass(0)
  expect(it.entered).toEqual(['a', 'b', 'c'])
  it.gate.hold(1)
  await pass(0)
  expect(it.entered).toEqual(['a', 'b', 'c', 'd'])
})

test('a gain of the rate lets in who waits, a second later and by itself', async () => {
  using it = world({ maxInFlight: 64, ratePerSecond: 100 })
  it.enter('a')
  it.gate.hold(1)
  await pass(999)
  expect(it.entered).toEqual([])
  await pass(1)
  expect(it.entered).toEqual(['a'])
})

test('less is held at once, and fits when enough have left', async () => {
  using it = world()
  it.gate.hold(1, { settled: true })
  for (const name of ['a', 'b', 'c', 'd', 'e']) it.enter(name)
  await pass(0)
  it.gate.hold(1 / 2)
  it.gate.leave(ACCEPTED, 50, 'edit')
  await pass(0)
  expect({ fits: it.gate.isFitting, entered: it.entered.length }).toEqual({ fits: false, entered: 4 })
  it.gate.leave(ACCEPTED, 50, 'edit')
  await pass(0)
  expect({ fits: it.gate.isFitting, entered: it.entered.length }).toEqual({ fits: true, entered: 4 })
  it.gate.leave(ACCEPTED, 50, 'edit')
  await pass(0)
  expect(it.entered).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect(it.gate.isFitting).toBe(true)
})

test('who may not leave any more gives its place to the next, and fits', async () => {
  using it = world({ maxInFlight: 1, ratePerSecond: null })
  it.gate.hold(1, { settled: true })
  const answer = Promise.withResolvers<boolean>()
  it.enter('a', () => answer.promise)
  it.enter('b')
  await pass(0)
  it.gate.hold(0)
  expect(it.gate.isFitting).toBe(false)
  answer.resolve(false)
  await pass(0)
  expect(it.gate.isFitting).toBe(true)
  expect(it.gate.inFlight).toBe(0)
  it.gate.hold(1, { settled: true })
  await pass(0)
  expect(it.entered).toEqual([false, 'b'])
})

test('a 429: told once, nobody is let in until its time is over, then half as many', async () => {
  using it = world()
  it.gate.hold(1, { settled: true })
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) it.enter(name)
  await pass(0)
  it.gate.leave(LIMITED, 5, 'edit')
  it.gate.leave(LIMITED, 5, 'edit')
  expect(it.news).toEqual([{ kind: 'throttled', forMs: 5_000 }])
  expect(it.reading()).toMatchObject({ share: 0.5, inFlightLimit: 2, throttledMs: 5_000 })
  it.gate.leave(ACCEPTED, 50, 'edit')
  await pass(4_999)
  expect(it.entered).toHaveLength(4)
  await pass(1)
  expect(it.entered).toHaveLength(5)
})

test('told of a 429 it does the same, and tells nobody', async () => {
  using it = world()
  it.gate.hold(1, { settled: true })
  it.gate.tell({ kind: 'throttled', forMs: 5_000 })
  for (const name of ['a', 'b', 'c', 'd']) it.enter(name)
  await pass(4_999)
  expect(it.entered).toEqual([])
  await pass(1)
  expect(it.entered).toEqual(['a', 'b'])
  expect(it.hosts).toEqual(['throttled', 'open'])
  expect(it.news).toEqual([])
})

test('told that the key is refused, then that it is right again', async () => {
  using it = world()
  it.gate.hold(1, { settled: true })
  it.gate.tell({ kind: 'unauthorized' })
  it.enter('a')
  await pass(10_000)
  it.gate.tell({ kind: 'unauthorized' })
  expect(it.entered).toEqual([])
  it.gate.tell({ kind: 'open' })
  await pass(0)
  expect(it.entered).toEqual(['a'])
  expect(it.news).toEqual([])
})

test('a refused key that was met is told, and the probe that succeeds too', async () => {
  using it = world()
  it.gate.hold(1, { settled: true })
  it.enter('a')
  await pass(0)
  it.gate.leave(REFUSED, 5, 'edit')
  it.enter('probe')
  it.enter('b')
  await pass(15_000)
  expect(it.entered).toEqual(['a', 'probe'])
  it.gate.leave(ACCEPTED, 50, 'edit')
  await pass(0)
  expect(it.entered).toEqual(['a', 'probe', 'b'])
  expect(it.news).toEqual([{ kind: 'unauthorized' }, { kind: 'open' }])
})

test('with more senders each probes the more rarely, and the last one that is left at its own pace', async () => {
  using it = world()
  it.gate.hold(1, { settled: true })
  it.gate.probers = 4
  it.gate.tell({ kind: 'unauthorized' })
  it.enter('first')
  await pass(60_000)
  expect(it.entered).toEqual(['first'])
  it.gate.leave(REFUSED, 5, 'edit')
  it.enter('second')
  await pass(0)
  expect(it.gate.waitMs).toBeGreaterThan(0)
  it.gate.probers = 1
  await pass(15_000)
  expect(it.entered).toEqual(['first', 'second'])
})

test('after an outage few at first, and all of them seconds later', async () => {
  using it = world({ maxInFlight: 64, ratePerSecond: null })
  it.gate.hold(1, { settled: true })
  it.enter('a')
  await pass(0)
  it.gate.leave(AWAY, 5, 'edit')
  expect(it.hosts).toEqual(['unreachable'])
  it.enter('probe')
  await pass(5_000)
  expect(it.entered).toEqual(['a', 'probe'])
  it.gate.leave(ACCEPTED, 50, 'edit')
  expect(it.gate.mostInFlight).toBe(4)
  await pass(1_000)
  expect(it.gate.mostInFlight).toBe(8)
  await pass(3_000)
  expect(it.gate.mostInFlight).toBe(64)
})

test('one that hangs keeps nobody out for as long, where the share has grown meanwhile (P6)', async () => {
  using it = world({ maxInFlight: 2, ratePerSecond: null })
  it.gate.hold(1, { settled: true })
  it.gate.tell({ kind: 'throttled', forMs: 1 })
  it.enter('hangs')
  it.enter('b')
  await pass(1_000)
  expect(it.entered).toEqual(['hangs'])
  await pass(16_000)
  expect(it.entered).toEqual(['hangs', 'b'])
})

test('close turns away who waits, and there is nothing to read any more', async () => {
  using it = world()
  it.enter('a')
  expect(it.reading()).toMatchObject({ inFlightLimit: 0, latencyMs: null })
  it.gate.close()
  it.enter('b')
  await pass(0)
  expect(it.entered).toEqual([false, false])
  expect(it.reading()).toBeNull()
})

test('who waits and is not wanted any more is turned away at once, and nobody loses a place by it', async () => {
  using it = world({ maxInFlight: 1, ratePerSecond: null })
  it.gate.hold(1, { settled: true })
  it.enter('a')
  let isWanted = true
  void it.gate.enter({ isWanted: () => isWanted }).then((passed) => it.entered.push(passed && 'b'))
  it.enter('c')
  await pass(0)
  isWanted = false
  it.gate.turnAway()
  await pass(0)
  expect(it.entered).toEqual(['a', false])
  it.gate.leave(ACCEPTED, 10, 'upsert')
  await pass(0)
  expect(it.entered).toEqual(['a', false, 'c'])
  await expect(it.gate.enter({ isWanted: () => false })).resolves.toBe(false)
})
