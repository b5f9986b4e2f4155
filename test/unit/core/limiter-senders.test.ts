// The limits are the whole deployment's: however its senders hand buckets to one another, die, or slow down, no window of
// one second holds more requests of all together than the rate, and no moment more than may be in flight.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { effective, holdFraction, openLimiter, takeSlot } from '../../../src/core/limiter.ts'
import { BUCKETS, mostInOneSecond, type Step, simulate } from './deployment-model.ts'

const SENDERS = 4
const atMs = fc.nat(4500)
const sender = fc.nat(SENDERS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('give' as const),
    atMs,
    from: sender,
    to: sender,
    count: fc.integer({ min: 1, max: BUCKETS }),
    gapMs: fc.oneof(fc.constant(0), fc.nat(1500)),
  }),
  fc.record({ kind: fc.constant('die' as const), atMs, from: sender, to: sender }),
  fc.record({ kind: fc.constant('slow' as const), atMs, from: sender }),
)
const script = fc.record({
  settings: fc.record({
    maxInFlight: fc.integer({ min: 1, max: 200 }),
    ratePerSecond: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.constantFrom(49, 50, 99, 100, 101, 149, 150)),
  }),
  senders: fc.integer({ min: 1, max: SENDERS }),
  steps: fc.array(step, { maxLength: 24 }),
  untilMs: fc.constant(5000),
  requestMs: fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 900 })), {
    minLength: 1,
    maxLength: 7,
  }),
})

test('no second holds more than the rate, no moment more than may be in flight, of all senders together', () => {
  fc.assert(
    fc.property(script, (given) => {
      const { sentAtMs, mostInFlight } = simulate(given)
      expect(mostInOneSecond(sentAtMs)).toBeLessThanOrEqual(given.settings.ratePerSecond)
      expect(mostInFlight).toBeLessThanOrEqual(given.settings.maxInFlight)
    }),
    { numRuns: 150 },
  )
})

test('a fractional rate: the next whole number at most', () => {
  const ratePerSecond = fc.double({ min: 0.1, max: 400, noNaN: true })
  fc.assert(
    fc.property(script, ratePerSecond, (given, rate) => {
      const { sentAtMs } = simulate({ ...given, settings: { maxInFlight: 1000, ratePerSecond: rate } })
      expect(mostInOneSecond(sentAtMs)).toBeLessThanOrEqual(Math.ceil(rate))
    }),
    { numRuns: 50 },
  )
})

test('two that hand all of it to and fro as fast as they can send less, not more', () => {
  const steps = Array.from({ length: 40 }, (_, at): Step => {
    return { kind: 'give', atMs: at * 250, from: at % 2, to: (at + 1) % 2, count: BUCKETS, gapMs: 0 }
  })
  const given = { senders: 2, untilMs: 14_000, requestMs: [1], steps }
  const { sentAtMs } = simulate({ ...given, settings: { maxInFlight: 64, ratePerSecond: 1000 } })
  expect(mostInOneSecond(sentAtMs)).toBeLessThanOrEqual(1000)
  // It is used again as soon as one of them keeps it for a second.
  expect(sentAtMs.filter((at) => at >= 12_000).length).toBeGreaterThan(1800)
})

test.each([64, 100, 1000, 5000])('three with a third each use nearly all of %i a second', (ratePerSecond) => {
  const steps: Step[] = [
    { kind: 'give', atMs: 0, from: 0, to: 1, count: 21, gapMs: 0 },
    { kind: 'give', atMs: 10, from: 0, to: 2, count: 21, gapMs: 0 },
  ]
  const given = { senders: 3, untilMs: 8000, requestMs: [5], steps }
  const { sentAtMs } = simulate({ ...given, settings: { maxInFlight: 192, ratePerSecond } })
  const perSecond = sentAtMs.filter((at) => at >= 3000).length / 5
  expect(perSecond).toBeGreaterThan(ratePerSecond * 0.85)
})

const SETTINGS = { maxInFlight: 64, ratePerSecond: 640 }

test('who holds nothing sends nothing', () => {
  expect(takeSlot(openLimiter(SETTINGS, 0), 5000)).toMatchObject({ kind: 'full', waitMs: null })
})

test('a gain: in flight at once, the rate a second later, and a loss at once', () => {
  let state = holdFraction(openLimiter(SETTINGS, 0), { fraction: 1 / 4, settled: true }, 0)
  expect(effective(state, 0)).toEqual({ inFlight: 16, ratePerSecond: 160, share: 1 })
  state = holdFraction(state, { fraction: 1 / 2, settled: false }, 100)
  expect(effective(state, 1099)).toMatchObject({ inFlight: 32, ratePerSecond: 160 })
  expect(effective(state, 1100)).toMatchObject({ inFlight: 32, ratePerSecond: 320 })
  state = holdFraction(state, { fraction: 1 / 8, settled: false }, 1200)
  expect(effective(state, 1200)).toMatchObject({ inFlight: 8, ratePerSecond: 80 })
})

test('what is lost and comes back begins its second anew; what was kept does not', () => {
  let state = openLimiter(SETTINGS, 0)
  for (const [atMs, fraction] of [
    [0, 1 / 4],
    [500, 3 / 4],
    [800, 1 / 2],
    [900, 3 / 4],
  ] as const)
    state = holdFraction(state, { fraction, settled: false }, atMs)
  const rates = [999, 1000, 1499, 1500, 1899, 1900].map((atMs) => effective(state, atMs).ratePerSecond)
  expect(rates).toEqual([0, 160, 160, 320, 320, 480])
})

test('whoever waits for a gain is told until when', () => {
  const state = holdFraction(openLimiter(SETTINGS, 0), { fraction: 1, settled: false }, 0)
  expect(takeSlot(state, 400)).toMatchObject({ kind: 'wait', waitMs: 600 })
  expect(takeSlot(state, 1000)).toMatchObject({ kind: 'go' })
})

test('less than one a second is nothing, but for who holds all', () => {
  const slow = { maxInFlight: 64, ratePerSecond: 0.5 }
  const some = holdFraction(openLimiter(slow, 0), { fraction: 1 / 2, settled: true }, 0)
  expect(takeSlot(some, 9000)).toMatchObject({ kind: 'full', waitMs: null })
  const all = holdFraction(some, { fraction: 1, settled: true }, 9000)
  const first = takeSlot(all, 9000)
  expect(first.kind).toBe('go')
  expect(takeSlot(first.state, 9000)).toMatchObject({ kind: 'wait', waitMs: 2041 })
})
