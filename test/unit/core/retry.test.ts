// The backoff of one user and the sender's view of the host.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Outcome } from '../../../src/core/api.ts'
import { HOST_OPEN, type HostEvent, type HostState, hostWaitMs, nextHostState } from '../../../src/core/host-state.ts'
import { failingSince, givesUp, retryDelayMs, retryFloorMs } from '../../../src/core/retry.ts'

type Retry = Extract<Outcome, { kind: 'retry' }>

function trouble(given: Partial<Retry>, status: number | null = null): Retry {
  const failure = { code: 'x', status, key: null, message: 'x' }
  return { kind: 'retry', applied: 'unclear', scope: 'host', floorMs: 0, failure, ...given }
}

const REFUSED = trouble({ applied: 'no' })
const SILENT = trouble({})
const USER_500 = trouble({ scope: 'user' }, 500)
const ACCEPTED: Outcome = { kind: 'accepted', user: null }
const STOP: Outcome = { kind: 'stop', failure: REFUSED.failure }

describe('retry', () => {
  test('full jitter from 0.5 s doubling to 30 s', () => {
    const most = (attempts: number) => retryDelayMs({ attempts, floorMs: 0, random: 1 })
    expect([1, 2, 3, 4, 5, 6, 7, 8, 1000].map(most)).toEqual([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000])
    expect(retryDelayMs({ attempts: 9, floorMs: 0, random: 0 })).toBe(0)
  })

  test('never before the floor, and a floor never beyond an hour', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 0, max: 1e9 }), random, (attempts, floorMs, r) => {
        const delay = retryDelayMs({ attempts, floorMs, random: r })
        expect(delay).toBeGreaterThanOrEqual(Math.min(floorMs, 3_600_000))
        expect(delay).toBeLessThanOrEqual(Math.max(30_000, Math.min(floorMs, 3_600_000) + 500))
      }),
    )
  })

  test('those whom one Retry-After sent away do not come back at one instant', () => {
    const at = (random: number) => retryDelayMs({ attempts: 1, floorMs: 60_000, random })
    expect([at(0), at(0.5)]).toEqual([60_000, 60_250])
  })

  test('an unclear outcome waits two seconds at least', () => {
    expect(retryFloorMs(trouble({ applied: 'unclear' }))).toBe(2000)
    expect(retryFloorMs(trouble({ applied: 'unclear', floorMs: 7000 }))).toBe(7000)
    expect(retryFloorMs(trouble({ applied: 'no' }))).toBe(0)
  })

  test('a user fails since its first own trouble; what all suffer and what we gave up is not its own', () => {
    const fresh = { attempts: 0, failingSince: null }
    expect(failingSince(fresh, USER_500, 1000)).toBe(1000)
    expect(failingSince({ attempts: 3, failingSince: 400 }, USER_500, 1000)).toBe(400)
    // Retried by hand, or edited after it was set aside.
    expect(failingSince({ attempts: 0, failingSince: 400 }, USER_500, 1000)).toBe(1000)
    const aborted = trouble({ scope: 'user', failure: { ...USER_500.failure, code: 'aborted' } })
    for (const passing of [SILENT, REFUSED, aborted]) {
      expect(failingSince(fresh, passing, 1000)).toBeNull()
      expect(failingSince({ attempts: 3, failingSince: 400 }, passing, 1000)).toBe(400)
    }
  })

  test('it is given up after that time, and only while others are accepted', () => {
    const long = { since: 0, now: 3_600_000, giveUpAfterMs: 3_600_000, acceptedAt: 3_599_000 }
    expect(givesUp(long)).toBe(true)
    expect(givesUp({ ...long, now: 3_599_999 })).toBe(false)
    expect(givesUp({ ...long, giveUpAfterMs: null })).toBe(false)
    expect(givesUp({ ...long, acceptedAt: null })).toBe(false)
    // An outage that answers each request with an error of the API's own.
    expect(givesUp({ ...long, acceptedAt: 3_500_000 })).toBe(false)
  })
})

describe('host', () => {
  const met = (state: HostState, outcome: Outcome, nowMs = 0) =>
    nextHostState(state, { kind: 'outcome', outcome }, nowMs)
  const many = (count: number, outcome: Outcome, state: HostState = HOST_OPEN): HostState =>
    count === 0 ? state : many(count - 1, outcome, met(state, outcome))

  test('a refused connection closes at once, silence only after five in a row', () => {
    expect(met(HOST_OPEN, REFUSED, 100)).toEqual({ kind: 'unreachable', probeAtMs: 5100 })
    expect(many(4, SILENT).kind).toBe('open')
    expect(many(5, SILENT).kind).toBe('unreachable')
    expect(many(4, SILENT, met(many(4, SILENT), ACCEPTED)).kind).toBe('open')
    expect(many(4, SILENT, met(many(4, SILENT), USER_500)).kind).toBe('open')
  })

  test('silence that one user met before counts no more; a refused connection always does', () => {
    const again = (state: HostState, outcome: Outcome) =>
      nextHostState(state, { kind: 'outcome', outcome, repeated: true }, 0)
    let state = many(4, SILENT)
    for (let at = 0; at < 50; at += 1) state = again(state, SILENT)
    expect(state.kind).toBe('open')
    expect(met(state, SILENT).kind).toBe('unreachable')
    expect(again(HOST_OPEN, REFUSED).kind).toBe('unreachable')
  })

  test('what we gave up ourselves says nothing', () => {
    expect(many(50, trouble({ scope: 'user' }))).toEqual(HOST_OPEN)
  })

  test.each([
    ['unreachable', REFUSED, 5_000],
    ['unauthorized', STOP, 15_000],
  ] as const)('%s: one probe stands for all, and no second before its time', (kind, outcome, everyMs) => {
    let state = met(HOST_OPEN, outcome, 0)
    const sentAt: number[] = []
    for (let nowMs = 0; nowMs <= 60_000; nowMs += 50) {
      if (hostWaitMs(state, nowMs) > 0) continue
      sentAt.push(nowMs)
      state = nextHostState(state, { kind: 'sent' }, nowMs)
      state = met(state, outcome, nowMs + 20)
    }
    expect(state.kind).toBe(kind)
    expect(sentAt).toEqual(Array.from({ length: 60_000 / everyMs }, (_, index) => (index + 1) * everyMs))
    expect(met(state, ACCEPTED)).toEqual(HOST_OPEN)
  })

  test('only an answer that needed the credential shows that it is good again', () => {
    const state = met(HOST_OPEN, STOP)
    expect([met(state, USER_500), met(state, REFUSED), met(state, SILENT)]).toEqual([state, state, state])
    expect(met(state, { kind: 'missing' })).toEqual(HOST_OPEN)
  })

  test('429 and 503 with Retry-After hold everybody until then, whatever older requests are answered', () => {
    const limited = met(HOST_OPEN, trouble({ applied: 'no', floorMs: 3000 }, 429), 1000)
    expect(hostWaitMs(limited, 1000)).toBe(3000)
    expect(met(limited, ACCEPTED, 2000)).toBe(limited)
    expect(hostWaitMs(met(limited, trouble({ floorMs: 500 }, 503), 2000), 2000)).toBe(2000)
    expect(nextHostState(limited, { kind: 'sent' }, 4000)).toEqual(HOST_OPEN)
    expect(hostWaitMs(met(HOST_OPEN, trouble({ applied: 'no' }, 429), 0), 0)).toBe(1000)
    expect(hostWaitMs(met(HOST_OPEN, trouble({ floorMs: 1e12 }, 503), 0), 0)).toBe(3_600_000)
  })

  test('from any state, an hour later something may be sent', () => {
    const outcome = fc.constantFrom<Outcome>(ACCEPTED, STOP, REFUSED, SILENT, USER_500, trouble({ floorMs: 9e9 }, 429))
    const event = fc.oneof(
      fc.constant<HostEvent>({ kind: 'sent' }),
      outcome.map((value): HostEvent => ({ kind: 'outcome', outcome: value })),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.nat(9999))), (events) => {
        let nowMs = 0
        let state: HostState = HOST_OPEN
        for (const [next, elapsedMs] of events) {
          nowMs += elapsedMs
          state = nextHostState(state, next, nowMs)
        }
        expect(hostWaitMs(state, nowMs + 3_600_000)).toBe(0)
      }),
    )
  })
})
