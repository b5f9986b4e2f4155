// What the emulator counts: the busiest second wherever it begins, and overlapping writes of one user, except those whose
// earlier client was already gone.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Arrival, type End, Traffic } from '../../../src/emulator/traffic.ts'

describe('the busiest second', () => {
  test('is any window of one second, not one of the calendar', () => {
    const traffic = new Traffic()
    // 50 at the end of one calendar second, 50 at the beginning of the next.
    for (let n = 0; n < 50; n += 1) traffic.arrived(null, 1_900 + n)
    for (let n = 0; n < 50; n += 1) traffic.arrived(null, 2_000 + n)
    expect(traffic.stats().peakRequestsPerSecond).toBe(100)
  })

  test('requests a second apart are not within one', () => {
    const traffic = new Traffic()
    for (const atMs of [0, 1_000, 2_000]) traffic.arrived(null, atMs)
    expect(traffic.stats().peakRequestsPerSecond).toBe(1)
    traffic.arrived(null, 2_999)
    expect(traffic.stats().peakRequestsPerSecond).toBe(2)
  })

  test('is what counting every window finds', () => {
    const gaps = fc.array(fc.nat(400), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(gaps, (waits) => {
        const times: number[] = []
        for (const wait of waits) times.push((times.at(-1) ?? 0) + wait)
        const traffic = new Traffic()
        for (const atMs of times) traffic.arrived(null, atMs)
        const within = (end: number) => times.filter((atMs) => atMs > end - 1_000 && atMs <= end).length
        expect(traffic.stats().peakRequestsPerSecond).toBe(Math.max(...times.map(within)))
      }),
    )
  })

  test('is kept over a long run of many, and forgotten when asked', () => {
    const traffic = new Traffic()
    for (let n = 0; n < 20_000; n += 1) traffic.arrived(null, n / 4)
    expect(traffic.stats().peakRequestsPerSecond).toBe(4_000)
    traffic.clear()
    traffic.arrived(null, 5_100)
    expect(traffic.stats().peakRequestsPerSecond).toBe(1)
  })
})

describe('writes of one user in flight together', () => {
  const end = (nowMs: number, more: Partial<End> = {}): End => ({
    ...{ method: 'POST', status: 201, clientLeft: false, nowMs },
    ...more,
  })
  const left = (nowMs: number) => end(nowMs, { status: 'dropped', clientLeft: true })

  function overlapping(): { readonly traffic: Traffic; readonly first: Arrival; readonly second: Arrival } {
    const traffic = new Traffic()
    const first = traffic.arrived('u1', 0)
    return { traffic, first, second: traffic.arrived('u1', 100) }
  }

  test('count from the arrival of the second, whoever ends first', () => {
    const { traffic, first, second } = overlapping()
    expect(traffic.stats()).toMatchObject({ concurrencyViolations: { count: 1, users: ['u1'] }, maxInFlightPerUser: 2 })
    traffic.ended(second, end(150))
    traffic.ended(first, end(160))
    expect(traffic.stats().concurrencyViolations).toEqual({ count: 1, users: ['u1'] })
  })

  test('are none when the first one’s client is found to be gone a moment later', () => {
    const { traffic, first } = overlapping()
    traffic.ended(first, left(120))
    expect(traffic.stats().concurrencyViolations).toEqual({ count: 0, users: [] })
  })

  test('stay one when the client left long after, when the second’s left, or when the emulator dropped the first', () => {
    const later = overlapping()
    later.traffic.ended(later.first, left(2_000))
    const second = overlapping()
    second.traffic.ended(second.second, left(120))
    const dropped = overlapping()
    dropped.traffic.ended(dropped.first, end(120, { status: 'dropped' }))
    for (const { traffic } of [later, second, dropped]) expect(traffic.stats().concurrencyViolations.count).toBe(1)
  })

  test('how soon somebody writes again for whom nobody waited any more', () => {
    const traffic = new Traffic()
    traffic.ended(traffic.arrived('u1', 0), left(100))
    traffic.ended(traffic.arrived('u2', 0), end(100))
    traffic.arrived('u2', 200)
    expect(traffic.stats().soonestAfterLeftMs).toBeNull()
    traffic.ended(traffic.arrived('u1', 2_100), end(2_200))
    traffic.arrived('u1', 2_300)
    expect(traffic.stats().soonestAfterLeftMs).toBe(2_000)
  })

  test('of three the one whose client is still there counts', () => {
    const { traffic, first, second } = overlapping()
    const third = traffic.arrived('u1', 110)
    expect(traffic.stats().concurrencyViolations.count).toBe(2)
    traffic.ended(first, left(120))
    expect(traffic.stats().concurrencyViolations.count).toBe(1)
    traffic.ended(second, left(130))
    expect(traffic.stats().concurrencyViolations).toEqual({ count: 0, users: [] })
    traffic.ended(third, end(140))
    expect(traffic.stats().inFlight).toBe(0)
  })
})
