// The limiter before a model of a server, in virtual time: it comes near what the server can do and stays there, follows it
// down and up, meets an outage with neither a storm nor a long silence after it, and takes no notice of a few users (P6).
import { describe, expect, test } from 'vitest'
import type { Outcome } from '../../../src/core/api.ts'
import { retryDelayMs, retryFloorMs } from '../../../src/core/retry.ts'
import { ACCEPTED, median, perSecond, type Run, refused, run, seeded, server } from './load-model.ts'

const SETTINGS = { maxInFlight: 64, ratePerSecond: 1000 }

describe.each([
  { name: 'a queue, then 429', baseMs: 50, queue: 20, refusal: 429, settings: SETTINGS },
  { name: 'a queue, then 503', baseMs: 80, queue: 10, refusal: 503, settings: SETTINGS },
  { name: 'a queue without end', baseMs: 50, queue: 1e9, refusal: 429, settings: { ...SETTINGS, maxInFlight: 256 } },
  { name: 'no rate set', baseMs: 50, queue: 20, refusal: 429, settings: { maxInFlight: 64, ratePerSecond: null } },
])('a server that can do 200 a second: $name', ({ baseMs, queue, refusal, settings }) => {
  const capacity = (nowMs: number) => (nowMs >= 60_000 && nowMs < 120_000 ? 200 / 3 : 200)
  const seen = run({ settings, untilMs: 180_000, answer: server({ baseMs, queue, refusal, capacity }) })

  test('it is used nearly whole, in each ten seconds', () => {
    for (let fromMs = 10_000; fromMs < 60_000; fromMs += 10_000)
      expect(perSecond(seen.acceptedAtMs, fromMs, fromMs + 10_000)).toBeGreaterThan(200 * 0.75)
  })

  test('few requests are made in vain', () => {
    expect(seen.sentAtMs.length).toBeLessThan(seen.acceptedAtMs.length * 1.15)
  })

  test('down to a third within ten seconds, and up again within twenty', () => {
    expect(perSecond(seen.acceptedAtMs, 70_000, 120_000)).toBeGreaterThan((200 / 3) * 0.75)
    expect(perSecond(seen.sentAtMs, 70_000, 120_000)).toBeLessThan((200 / 3) * 1.3)
    expect(perSecond(seen.acceptedAtMs, 140_000, 150_000)).toBeGreaterThan(200 * 0.75)
  })
})

test('a queue without end: its latency is brought down, to a few times that of an idle server', () => {
  const model = { baseMs: 80, queue: 1e9, refusal: 429, capacity: () => 200 }
  const settings = { maxInFlight: 512, ratePerSecond: 1000 }
  const { latenciesMs } = run({ settings, untilMs: 90_000, answer: server(model) })
  const late = latenciesMs.filter(({ atMs }) => atMs > 30_000).map(({ durationMs }) => durationMs)
  // All 512 under way would wait 2,560 ms each.
  expect(median(late)).toBeLessThan(640)
})

test('a server that can do more than the settings is never slowed, however its answers differ', () => {
  const model = { baseMs: 150, queue: 100, refusal: 429, capacity: () => 5000 }
  for (let seed = 1; seed <= 5; seed++) {
    const { shares } = run({ settings: SETTINGS, untilMs: 60_000, answer: server(model, seed) })
    expect(Math.min(...shares)).toBe(1)
  }
})

test('what is slow for good becomes the usual, within minutes', () => {
  const answer = (nowMs: number) => ({ afterMs: nowMs < 30_000 ? 110 : 400, outcome: ACCEPTED })
  const { shares } = run({ settings: { maxInFlight: 32, ratePerSecond: null }, untilMs: 400_000, answer })
  expect(Math.min(...shares)).toBeLessThan(0.9)
  expect(Math.min(...shares)).toBeGreaterThanOrEqual(1 / 8)
  expect(shares.at(-1)).toBe(1)
})

describe('an outage', () => {
  /** Up, but for a while from 20 s on. */
  const away = (forMs: number): Run => {
    const up = server({ baseMs: 50, queue: 1e6, refusal: 429, capacity: () => 2000 })
    const answer = (nowMs: number, user: number) =>
      nowMs >= 20_000 && nowMs < 20_000 + forMs
        ? { afterMs: 2, outcome: refused(null, { applied: 'no' }) }
        : up(nowMs, user)
    return run({ settings: SETTINGS, untilMs: 60_000, answer })
  }

  test('of five seconds: all of it is used again within ten seconds of its end', () => {
    const { sentAtMs, acceptedAtMs } = away(5_000)
    expect(perSecond(acceptedAtMs, 10_000, 20_000)).toBeGreaterThan(900)
    expect(perSecond(acceptedAtMs, 35_000, 45_000)).toBeGreaterThan(900)
    // One probe each five seconds, after those that were under way with the first refusal.
    expect(sentAtMs.filter((at) => at > 20_200 && at < 25_000)).toHaveLength(0)
  })

  test('no storm at its end: a few in the first second, at most twice as many in each after', () => {
    const { sentAtMs, host } = away(15_000)
    const openAtMs = host.find(({ atMs, kind }) => kind === 'open' && atMs > 30_000)?.atMs ?? Number.NaN
    const seconds = [0, 1, 2, 3, 4].map((n) => perSecond(sentAtMs, openAtMs + n * 1000, openAtMs + (n + 1) * 1000))
    expect(seconds[0]).toBeLessThan(110)
    expect(seconds[1]).toBeLessThan(210)
    expect(seconds[2]).toBeLessThan(420)
    expect(seconds[4]).toBeGreaterThan(900)
  })

  test('of a few requests, the others answered: no slow start', () => {
    const answer = (nowMs: number, user: number) =>
      nowMs >= 5_000 && user % 3 === 0 && nowMs < 5_050
        ? { afterMs: 2, outcome: refused(null, { applied: 'no' }) }
        : { afterMs: 50, outcome: ACCEPTED }
    const { shares, host } = run({ settings: SETTINGS, untilMs: 20_000, answer })
    expect(host.length).toBeGreaterThan(0)
    expect(Math.min(...shares)).toBe(1)
  })
})

test('a lasting 503 for everybody leaves little, and what is left finds the end of it', () => {
  const down = (nowMs: number) => nowMs >= 10_000 && nowMs < 40_000
  const answer = (nowMs: number) => ({ afterMs: 20, outcome: down(nowMs) ? userTrouble(503) : ACCEPTED })
  const { sentAtMs, acceptedAtMs, shares } = run({ settings: SETTINGS, untilMs: 110_000, answer })
  expect(perSecond(sentAtMs, 20_000, 40_000)).toBeLessThan(120)
  expect(shares.at(399)).toBeLessThan(0.1)
  expect(perSecond(acceptedAtMs, 100_000, 110_000)).toBeGreaterThan(900)
})

/** Of the API itself, about this request. */
function userTrouble(status: number): Outcome {
  const outcome = refused(status)
  return outcome.kind === 'retry' ? { ...outcome, scope: 'user' } : outcome
}

test.each([
  ['a 500 of the API', 500],
  ["a firewall's 403", 403],
])(
  '%s for everybody, whether or not they failed before, leaves little, and what is left finds the end of it',
  (_, status) => {
    const down = (nowMs: number) => nowMs >= 10_000 && nowMs < 60_000
    const answer = (nowMs: number) => ({ afterMs: 20, outcome: down(nowMs) ? userTrouble(status) : ACCEPTED })
    let user = 0
    const next = () => ({ user: user++, repeated: true })
    const { sentAtMs, acceptedAtMs } = run({ settings: SETTINGS, untilMs: 130_000, answer, next })
    expect(perSecond(sentAtMs, 30_000, 60_000)).toBeLessThan(150)
    expect(perSecond(acceptedAtMs, 120_000, 130_000)).toBeGreaterThan(900)
  },
)

test('a hundred users who always fail, and nobody else who is due, slow nobody', () => {
  const random = seeded(3)
  const due = Array.from({ length: 100 }, (_, user) => ({ user, atMs: user * 300, attempts: 0 }))
  const { shares } = run({
    settings: SETTINGS,
    untilMs: 200_000,
    answer: () => ({ afterMs: 20, outcome: userTrouble(500) }),
    next(nowMs) {
      const [first] = due.sort((a, b) => a.atMs - b.atMs)
      if (first === undefined || first.atMs > nowMs) return null
      first.attempts += 1
      first.atMs = nowMs + retryDelayMs({ attempts: first.attempts, floorMs: 2_000, random: random() })
      return { user: first.user, repeated: first.attempts > 1 }
    },
  })
  expect(Math.min(...shares.slice(1_000))).toBe(1)
})

describe('ten poisoned users among thousands of good ones slow nobody (P6)', () => {
  const HANGS = { afterMs: 30_000, outcome: refused(null) }
  const FAILS = { afterMs: 15, outcome: userTrouble(503) }
  const SLOW = { afterMs: 29_000, outcome: ACCEPTED }
  const GATEWAY = { afterMs: 15, outcome: refused(502) }

  test.each([
    { name: 'answered with 503, 1000 a second', ratePerSecond: 1000, poison: FAILS },
    { name: 'answered with 503, 100 a second', ratePerSecond: 100, poison: FAILS },
    { name: 'answered with 503, 10 a second', ratePerSecond: 10, poison: FAILS },
    { name: 'never answered, 1000 a second', ratePerSecond: 1000, poison: HANGS },
    { name: 'never answered, 100 a second', ratePerSecond: 100, poison: HANGS },
    { name: 'never answered, 10 a second', ratePerSecond: 10, poison: HANGS },
    { name: 'answered by a gateway, 100 a second', ratePerSecond: 100, poison: GATEWAY },
    { name: 'accepted, after half a minute, 100 a second', ratePerSecond: 100, poison: SLOW },
  ])('$name', ({ ratePerSecond, poison }) => {
    const random = seeded(7)
    // Claims take who has been due for longest: retries come between the others.
    const due = Array.from({ length: 10 }, (_, user) => ({ user, atMs: user * 97 }))
    const failures = new Map<number, number>()
    let good = 10
    const { shares, acceptedAtMs } = run({
      settings: { maxInFlight: 128, ratePerSecond },
      untilMs: 120_000,
      answer: (_, user) => (user < 10 ? poison : { afterMs: 60 + 60 * random(), outcome: ACCEPTED }),
      next(nowMs) {
        const goodAtMs = ((good - 10) * 1000) / ratePerSecond
        const at = due.findIndex(({ atMs }) => atMs <= Math.min(goodAtMs, nowMs))
        const [poisoned] = at < 0 ? [] : due.splice(at, 1)
        if (poisoned) return { user: poisoned.user, repeated: (failures.get(poisoned.user) ?? 0) > 0 }
        return goodAtMs <= nowMs ? { user: good++, repeated: false } : null
      },
      onAnswer(user, outcome, nowMs) {
        if (user >= 10) return
        if (outcome.kind !== 'retry') return void due.push({ user, atMs: nowMs + 500 })
        const attempts = (failures.get(user) ?? 0) + 1
        failures.set(user, attempts)
        due.push({ user, atMs: nowMs + retryDelayMs({ attempts, floorMs: retryFloorMs(outcome), random: random() }) })
      },
    })
    expect(failures.size).toBe(poison === SLOW ? 0 : 10)
    expect(perSecond(acceptedAtMs, 10_000, 120_000)).toBeGreaterThan(ratePerSecond * 0.9)
    expect(Math.min(...shares)).toBe(1)
  })
})
