// Which call answered for which change: by what SuprSend shows afterwards, in either order of the news.
import { expect, test } from 'vitest'
import type { RemoteUser } from '../../../src/core/api.ts'
import { type Call, type Change, Ledger, percentile } from '../../../src/demo/ledger.ts'

const state = (email: string): RemoteUser => ({ channels: { $email: [email] }, properties: {} })
const change = (email: string | null, committedAtMs: number, measured = true): Change => ({
  kind: email === null ? 'delete' : 'update',
  id: '1',
  name: 'Elin F.',
  detail: '',
  committedAtMs,
  expected: email === null ? null : { channels: { $email: [email] }, properties: {} },
  measured,
})
const call = (email: string | null, atMs: number): Call => ({
  distinctId: '1',
  method: email === null ? 'DELETE' : 'PATCH',
  status: 202,
  body: null,
  state: email === null ? null : state(email),
  atMs,
})

test('a change is settled by the call after which the user equals the row', () => {
  const ledger = new Ledger()
  expect(ledger.committed(change('a@example.com', 100))).toBeNull()
  expect(ledger.behind).toBe(1)
  expect(ledger.called(call('a@example.com', 110))).toMatchObject({ latencyMs: 10 })
  expect(ledger.behind).toBe(0)
  expect(ledger.committed(change(null, 200, false))).toBeNull()
  expect(ledger.called(call(null, 230))).toMatchObject({ latencyMs: 30 })
  expect(ledger.latenciesMs).toEqual([10])
  expect(ledger.calls).toEqual({ PATCH: 1, DELETE: 1 })
  expect([ledger.unexplained, ledger.backwards]).toEqual([0, 0])
})

test('a call that is heard of before its change is settled by the change', () => {
  const ledger = new Ledger()
  expect(ledger.called(call('a@example.com', 99))).toBeNull()
  expect(ledger.unexplained).toBe(1)
  expect(ledger.committed(change('a@example.com', 100))).toMatchObject({ latencyMs: 0 })
  expect(ledger.unexplained).toBe(0)
})

test('one call for several changes settles them all; one for the first of them leaves the user behind', () => {
  const ledger = new Ledger()
  for (const [at, email] of ['a@example.com', 'b@example.com', 'c@example.com'].entries()) {
    ledger.committed(change(email, at))
  }
  expect(ledger.called(call('b@example.com', 10))?.changes).toHaveLength(2)
  expect(ledger.behind).toBe(1)
  expect(ledger.latenciesMs).toEqual([10, 9])
  ledger.called(call('c@example.com', 20))
  expect(ledger.behind).toBe(0)
})

test('a call that brings nothing, wrong or repeated, settles nothing and is counted', () => {
  const ledger = new Ledger()
  ledger.committed(change('a@example.com', 0))
  expect(ledger.called(call('other@example.com', 1))).toBeNull()
  expect(ledger.behind).toBe(1)
  ledger.called(call('a@example.com', 2))
  ledger.called(call('a@example.com', 3))
  expect(ledger.unexplained).toBe(2)
  expect(ledger.backwards).toBe(0)
})

test('a user who is set back to an older state of the row is seen', () => {
  const ledger = new Ledger()
  for (const email of ['a@example.com', 'b@example.com']) {
    ledger.committed(change(email, 0))
    ledger.called(call(email, 1))
  }
  ledger.called(call('a@example.com', 2))
  expect(ledger.backwards).toBe(1)
  expect(ledger.behind).toBe(0)
})

test('percentiles by nearest rank', () => {
  const samples = Array.from({ length: 100 }, (_, at) => 100 - at)
  expect([0, 0.5, 0.99, 1].map((share) => percentile(samples, share))).toEqual([1, 50, 99, 100])
  expect(percentile([], 0.5)).toBeNull()
})
