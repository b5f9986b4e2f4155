// One sender that holds the whole deployment: never more than the rate in any window of one second, never more in flight
// than allowed, and near the rate when there is enough to do. Several senders: limiter-senders.test.ts.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  effective,
  holdFraction,
  type LimiterSettings,
  type LimiterState,
  openLimiter,
  releaseSlot,
  slowDown,
  takeSlot,
} from '../../../src/core/limiter.ts'
import { mostInOneSecond } from './deployment-model.ts'

interface Run {
  readonly settings: LimiterSettings
  readonly untilMs: number
  /** How late each timer fires. */
  readonly lateMs: readonly number[]
  readonly slowAtMs?: number
}

function openWhole(settings: LimiterSettings, nowMs = 0): LimiterState {
  return holdFraction(openLimiter(settings, nowMs), { fraction: 1, settled: true }, nowMs)
}

/** Sends as much as it may; requests end at once. Returns when each left. */
function saturate({ settings, untilMs, lateMs, slowAtMs }: Run): readonly number[] {
  let state = openWhole(settings)
  const sentAt: number[] = []
  let slowed = slowAtMs === undefined
  for (let nowMs = 0, turn = 0; nowMs < untilMs; turn++) {
    if (!slowed && nowMs >= (slowAtMs ?? 0)) {
      state = slowDown(state, 0, nowMs)
      slowed = true
    }
    const taken = takeSlot(state, nowMs)
    state = taken.state
    if (taken.kind === 'go') {
      sentAt.push(nowMs)
      state = releaseSlot(state)
    } else {
      nowMs += taken.kind === 'wait' ? taken.waitMs + (lateMs[turn % lateMs.length] ?? 0) : 1
    }
  }
  return sentAt
}

test('no window of one second holds more than the rate', () => {
  const rate = fc.integer({ min: 1, max: 2500 })
  const lateMs = fc.array(fc.oneof(fc.nat(20), fc.nat(3000)), { minLength: 1, maxLength: 9 })
  fc.assert(
    fc.property(rate, lateMs, fc.nat(4000), (ratePerSecond, late, slowAtMs) => {
      const settings = { maxInFlight: 64, ratePerSecond }
      expect(mostInOneSecond(saturate({ settings, untilMs: 5000, lateMs: late, slowAtMs }))).toBeLessThanOrEqual(
        ratePerSecond,
      )
    }),
  )
})

test.each([1, 10, 99, 100, 1000, 5000])('at %i a second nearly all of it is used', (ratePerSecond) => {
  const sent = saturate({ settings: { maxInFlight: 64, ratePerSecond }, untilMs: 10_000, lateMs: [0] }).length
  expect(sent / 10).toBeGreaterThan(ratePerSecond * 0.9)
})

test('without a rate only what is in flight counts', () => {
  const settings = { maxInFlight: 3, ratePerSecond: null }
  let state = openWhole(settings)
  const kinds: string[] = []
  for (let turn = 0; turn < 4; turn++) {
    const taken = takeSlot(state, 0)
    kinds.push(taken.kind)
    state = taken.state
  }
  expect(kinds).toEqual(['go', 'go', 'go', 'full'])
  expect(takeSlot(releaseSlot(state), 0).kind).toBe('go')
})

test('asked to slow down it halves once for a burst of answers, and comes back slowly', () => {
  let state = openWhole({ maxInFlight: 64, ratePerSecond: 1000 })
  for (let answer = 0; answer < 50; answer++) state = slowDown(state, 0, answer)
  expect(effective(state, 49).inFlight).toBe(32)
  expect(effective(state, 49).share).toBeCloseTo(0.5, 2)
  expect(effective(state, 49).ratePerSecond).toBeCloseTo(500, -1)
  expect(effective(state, 5_000).share).toBeGreaterThan(0.6)
  expect(effective(state, 5_000).share).toBeLessThan(0.75)
  expect(effective(state, 16_000).share).toBe(1)
})

test('asked again and again it comes down to a 64th and no further, and is back within a minute', () => {
  let state = openWhole({ maxInFlight: 64, ratePerSecond: null })
  for (let second = 1; second <= 40; second++) state = slowDown(state, 0, second * 1000)
  expect(takeSlot(state, 40_000).kind).toBe('go')
  expect(effective(state, 40_000)).toMatchObject({ inFlight: 1, share: 1 / 64 })
  expect(effective(state, 100_000).share).toBe(1)
})

test('it feels its way up to where it was slowed, in proportion to that, and past it goes at full pace', () => {
  let state = openWhole({ maxInFlight: 64, ratePerSecond: 1000 })
  for (let second = 0; second < 4; second++) state = slowDown(state, 0, second * 1000)
  const share = (atMs: number) => effective(state, 3_000 + atMs).share
  expect(share(0)).toBeLessThan(0.1)
  // A thirtieth of the share that was too much, each second; a thirtieth of all past it.
  expect(share(10_000) - share(0)).toBeLessThan(0.06)
  expect(share(40_000) - share(30_000)).toBeCloseTo(1 / 3, 2)
})

test('as long as nobody may send the share does not rise', () => {
  const state = slowDown(openWhole({ maxInFlight: 64, ratePerSecond: 100 }), 60_000, 0)
  expect(effective(state, 60_000).share).toBe(0.5)
  expect(effective(state, 75_000).share).toBe(1)
})

test('a clock that steps back gives nothing away', () => {
  const settings = { maxInFlight: 9, ratePerSecond: 1 }
  const first = takeSlot(openWhole(settings, 10_000), 10_000)
  expect(takeSlot(first.state, 0)).toMatchObject({ kind: 'wait' })
})
