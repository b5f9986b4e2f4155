// Every fault over a real socket: what the client sees, and whether the request was applied.
import { expect, test } from 'vitest'
import { started, until } from './local-emulator.ts'

const body = { $email: ['user@example.com'] }

test('status: so often, for this user and method only, with either form of Retry-After', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  const date = 'Wed, 21 Oct 2026 07:28:00 GMT'
  emulator.addFault(
    {
      user: 'u1',
      method: 'POST',
      times: 2,
      action: { kind: 'status', status: 503, retryAfter: 7, body: '<html></html>' },
    },
    { user: 'u1', method: 'POST', action: { kind: 'status', status: 429, retryAfter: date } },
  )
  expect((await call('POST', at('u2'), { body })).status).toBe(201)
  expect((await call('GET', at('u1'))).status).toBe(404)
  for (const _ of [1, 2]) {
    expect(await call('POST', at('u1'), { body })).toMatchObject({
      status: 503,
      text: '<html></html>',
      headers: { 'retry-after': '7', 'content-type': 'text/html' },
    })
  }
  expect(await call('POST', at('u1'), { body })).toMatchObject({
    status: 429,
    headers: { 'retry-after': date },
    body: { code: 429 },
  })
  expect(emulator.users().has('u1')).toBe(false)
  expect((await call('POST', at('u1'), { body })).status).toBe(201)
})

test('for ever and for everybody, until cleared', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  emulator.addFault({ user: '*', times: null, action: { kind: 'status', status: 500 } })
  for (const id of ['a', 'b', 'c']) expect((await call('POST', at(id), { body })).status).toBe(500)
  emulator.clearFaults()
  expect((await call('POST', at('a'), { body })).status).toBe(201)
})

test('reset applies nothing, apply_then_drop and apply_then_status apply', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  emulator.addFault(
    { user: 'reset', action: { kind: 'reset' } },
    { user: 'drop', action: { kind: 'apply_then_drop' } },
    { user: 'lie', action: { kind: 'apply_then_status', status: 500 } },
  )
  await expect(call('POST', at('reset'), { body })).rejects.toMatchObject({ code: 'ECONNRESET' })
  await expect(call('POST', at('drop'), { body })).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' })
  expect((await call('POST', at('lie'), { body })).status).toBe(500)
  expect([...emulator.users().keys()]).toEqual(['drop', 'lie'])
  expect(emulator.stats().calls).toEqual({ POST: { dropped: 2, '500': 1 } })
})

test('hold: applied before, after or never; released it goes on', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  for (const apply of ['before', 'after', 'never'] as const)
    emulator.addFault({ user: apply, action: { kind: 'hold', apply } })
  const calls = ['before', 'after', 'never'].map((id) => call('POST', at(id), { body }))
  const settled = Promise.allSettled(calls)
  await until(() => emulator.held === 3)
  expect([...emulator.users().keys()]).toEqual(['before'])
  expect(emulator.releaseHolds()).toBe(3)
  expect(await settled).toMatchObject([{ value: { status: 201 } }, { value: { status: 201 } }, { status: 'rejected' }])
  expect([...emulator.users().keys()]).toEqual(['before', 'after'])
  expect(emulator.held).toBe(0)
})

test('hold: a client that leaves has not undone what is applied after it', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  emulator.addFault({ user: '*', times: 2, action: { kind: 'hold', apply: 'after' } })
  emulator.addFault({ user: 'never', action: { kind: 'hold', apply: 'never' } })
  const leave = new AbortController()
  const calls = ['u1', 'u2', 'never'].map((id) => call('POST', at(id), { body, signal: leave.signal }))
  const settled = Promise.allSettled(calls)
  await until(() => emulator.held === 3)
  leave.abort()
  await settled
  await until(() => emulator.held === 0)
  expect([...emulator.users().keys()].sort()).toEqual(['u1', 'u2'])
})

test('delay: applied when its time has come, not for a client that left', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  emulator.addFault(
    { user: 'u1', action: { kind: 'delay', ms: 30 } },
    { user: 'u2', action: { kind: 'delay', ms: 60_000 } },
  )
  const startedAtMs = performance.now()
  expect((await call('POST', at('u1'), { body })).status).toBe(201)
  // Timers may fire a millisecond early by the other clock.
  expect(performance.now() - startedAtMs).toBeGreaterThan(28)
  const leave = new AbortController()
  const late = call('POST', at('u2'), { body, signal: leave.signal })
  const rejected = expect(late).rejects.toThrow()
  await until(() => emulator.stats().inFlight === 1)
  leave.abort()
  await rejected
  await until(() => emulator.stats().inFlight === 0)
  expect([...emulator.users().keys()]).toEqual(['u1'])
})

test('garbage: a success that is none to read', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  emulator.addFault(
    { user: 'html', action: { kind: 'garbage', body: 'html' } },
    { user: 'empty', action: { kind: 'garbage', body: 'empty', status: 202 } },
    { user: 'huge', action: { kind: 'garbage', body: 'huge', sizeBytes: 1_000_000 } },
  )
  expect(await call('POST', at('html'), { body })).toMatchObject({
    status: 200,
    text: expect.stringContaining('<html>'),
  })
  expect(await call('POST', at('empty'), { body })).toMatchObject({ status: 202, text: '' })
  await expect(call('POST', at('huge'), { body })).rejects.toThrow(SyntaxError)
  expect([...emulator.users().keys()]).toEqual(['html', 'empty', 'huge'])
})

test('the rate limit answers 429 with Retry-After; the failure rate repeats by its seed', async () => {
  await using local = await started({ rateLimit: 2 })
  const { call, at, emulator } = local
  const answers = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((id) => call('POST', at(id), { body })))
  const refused = answers.filter((answer) => answer.status === 429)
  // A second may begin in between.
  expect(refused.length).toBeGreaterThanOrEqual(1)
  expect(refused[0]?.headers['retry-after']).toBe('1')
  expect(emulator.users().size).toBe(5 - refused.length)

  const outcomes = async () => {
    emulator.reset()
    emulator.settings({ rateLimit: null, failureRate: 0.5, failureSeed: 7 })
    const seen: unknown[] = []
    for (let at_ = 0; at_ < 30; at_++) {
      seen.push(
        await call('POST', at('u1'), { body }).then(
          (answer) => answer.status,
          (error) => error.code,
        ),
      )
    }
    return seen
  }
  const first = await outcomes()
  expect(await outcomes()).toEqual(first)
  expect(new Set(first).size).toBeGreaterThan(3)
  expect(first.filter((outcome) => outcome === 201).length).toBeGreaterThan(5)
})

test('latency delays the answer, not the effect', async () => {
  await using local = await started({ latencyMs: 60_000 })
  const { call, at, emulator } = local
  const leave = new AbortController()
  const rejected = expect(call('POST', at('u1'), { body, signal: leave.signal })).rejects.toThrow()
  await until(() => emulator.users().has('u1'))
  expect(emulator.stats().inFlight).toBe(1)
  leave.abort()
  await rejected
})
