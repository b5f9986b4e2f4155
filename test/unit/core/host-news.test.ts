// What one sender learns of the host counts for all: told once, obeyed by the others, and never told on.
import { describe, expect, test } from 'vitest'
import type { Outcome } from '../../../src/core/api.ts'
import {
  HOST_OPEN,
  type HostNews,
  type HostState,
  hostWaitMs,
  newsOf,
  nextHostState,
} from '../../../src/core/host-state.ts'
import { seeded } from './load-model.ts'

function retry(status: number | null, floorMs = 0): Outcome {
  const failure = { code: 'x', status, key: null, message: 'x' }
  return { kind: 'retry', applied: 'no', scope: 'host', floorMs, failure }
}

const stop = (status: number): Outcome => ({
  kind: 'stop',
  failure: { code: 'x', status, key: null, message: 'x' },
})
const ACCEPTED: Outcome = { kind: 'accepted', user: null }

function meet(state: HostState, outcome: Outcome, nowMs: number) {
  const after = nextHostState(state, { kind: 'outcome', outcome }, nowMs)
  return { after, news: newsOf(state, after, outcome, nowMs) }
}

const tell = (state: HostState, news: HostNews, nowMs: number) => nextHostState(state, { kind: 'told', news }, nowMs)

describe('what is told', () => {
  test('a Retry-After, once for a burst, and again when it is put off', () => {
    const first = meet(HOST_OPEN, retry(429, 3000), 0)
    expect(first.news).toEqual({ kind: 'throttled', forMs: 3000 })
    const again = meet(first.after, retry(429, 3000), 20)
    expect(again.news).toBeNull()
    expect(meet(again.after, retry(503, 9000), 40).news).toEqual({ kind: 'throttled', forMs: 9000 })
  })

  test('a refused key, once, and that it is right again', () => {
    const refused = meet(HOST_OPEN, stop(401), 0)
    expect(refused.news).toEqual({ kind: 'unauthorized' })
    const again = meet(refused.after, stop(401), 15_000)
    expect(again.news).toBeNull()
    expect(meet(again.after, ACCEPTED, 30_000)).toEqual({ after: HOST_OPEN, news: { kind: 'open' } })
  })

  test.each([402, 403])('not a %i, which may be about one user whom the others must not wait for', (status) => {
    const { after, news } = meet(HOST_OPEN, stop(status), 0)
    expect(after.kind).toBe('unauthorized')
    expect(news).toBeNull()
  })

  test('not that the host cannot be reached: another sender may have another way there', () => {
    const { after, news } = meet(HOST_OPEN, retry(null), 0)
    expect(after.kind).toBe('unreachable')
    expect(news).toBeNull()
    expect(meet(after, ACCEPTED, 5000).news).toBeNull()
  })

  test('nothing of what goes well', () => {
    expect(meet(HOST_OPEN, ACCEPTED, 0).news).toBeNull()
  })
})

describe('what was told', () => {
  test('a Retry-After is a floor in every state', () => {
    const news: HostNews = { kind: 'throttled', forMs: 60_000 }
    const states: readonly HostState[] = [
      HOST_OPEN,
      { kind: 'throttled', untilMs: 100 },
      { kind: 'unreachable', probeAtMs: 100 },
      { kind: 'unauthorized', probeAtMs: 100 },
    ]
    for (const state of states) expect(hostWaitMs(tell(state, news, 0), 0)).toBe(60_000)
    const later: HostState = { kind: 'throttled', untilMs: 90_000 }
    expect(tell(later, news, 0)).toEqual(later)
    expect(hostWaitMs(tell(HOST_OPEN, { kind: 'throttled', forMs: 1e12 }, 0), 0)).toBe(3_600_000)
  })

  test('a refused key stops this sender too, and told again and again does not put its probe off', () => {
    let state = tell(HOST_OPEN, { kind: 'unauthorized' }, 0)
    for (let nowMs = 0; nowMs < 15_000; nowMs += 100) state = tell(state, { kind: 'unauthorized' }, nowMs)
    expect(hostWaitMs(state, 14_900)).toBe(100)
    expect(hostWaitMs(state, 15_000)).toBe(0)
  })

  test('the key is right again: a refusal ends, met or told, and nothing else does', () => {
    const news: HostNews = { kind: 'open' }
    expect(tell(meet(HOST_OPEN, stop(401), 0).after, news, 10)).toEqual(HOST_OPEN)
    expect(tell(tell(HOST_OPEN, { kind: 'unauthorized' }, 0), news, 10)).toEqual(HOST_OPEN)
    const throttled: HostState = { kind: 'throttled', untilMs: 100 }
    const unreachable: HostState = { kind: 'unreachable', probeAtMs: 100 }
    expect([tell(throttled, news, 0), tell(unreachable, news, 0)]).toEqual([throttled, unreachable])
  })

  test('a refused key while throttled: no probe before the Retry-After is over', () => {
    const throttled: HostState = { kind: 'throttled', untilMs: 60_000 }
    expect(hostWaitMs(tell(throttled, { kind: 'unauthorized' }, 0), 0)).toBe(60_000)
  })
})

describe('the probes of all senders', () => {
  test.each([1, 2, 8])('%i of them: one request in 15 s, all together', (probers) => {
    const random = seeded(3)
    const probesAtMs: number[] = []
    const among = () => ({ probers, random: random() })
    let states = Array.from({ length: probers }, () =>
      nextHostState(HOST_OPEN, { kind: 'told', news: { kind: 'unauthorized' } }, 0, among()),
    )
    for (let nowMs = 0; nowMs < 1_200_000; nowMs += 50) {
      states = states.map((state) => {
        if (hostWaitMs(state, nowMs) > 0) return state
        probesAtMs.push(nowMs)
        const sent = nextHostState(state, { kind: 'sent' }, nowMs, among())
        return nextHostState(sent, { kind: 'outcome', outcome: stop(401) }, nowMs, among())
      })
    }
    expect(probesAtMs.length).toBeLessThanOrEqual(1_200_000 / 15_000)
    expect(probesAtMs.length).toBeGreaterThanOrEqual(1_200_000 / 15_000 - probers)
    // Spread: the first ones too.
    expect(probesAtMs.filter((at) => at <= 30_000).length).toBeLessThanOrEqual(Math.max(2, probers / 2))
  })

  test('the other senders are gone: the one that is left probes within 15 s', () => {
    const among = { probers: 8, random: 0.9 }
    const waiting = nextHostState(HOST_OPEN, { kind: 'outcome', outcome: stop(401) }, 0, among)
    expect(hostWaitMs(waiting, 0)).toBeGreaterThan(100_000)
    const alone = nextHostState(waiting, { kind: 'recounted' }, 1_000, { probers: 1, random: 0.5 })
    expect(hostWaitMs(alone, 1_000)).toBe(15_000)
    expect(nextHostState(alone, { kind: 'recounted' }, 9_000, among)).toEqual(alone)
  })
})
