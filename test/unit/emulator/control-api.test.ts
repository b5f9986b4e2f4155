// The controls under /_emulator/, as a test in another process or a developer with curl uses them.
import { expect, test } from 'vitest'
import { started, until } from './local-emulator.ts'

const body = { $email: ['user@example.com'] }

test('users, history, stats', async () => {
  await using local = await started()
  const { call, at } = local
  await call('POST', at('a/b'), { body: { ...body, n: 1 } })
  const state = { channels: { $email: ['user@example.com'] }, properties: { n: 1 } }
  expect((await call('GET', '/_emulator/users')).body).toEqual({ 'a/b': state })
  expect((await call('GET', '/_emulator/users/a%2Fb/history')).body).toMatchObject([
    { method: 'POST', status: 201, state },
  ])
  expect((await call('GET', '/_emulator/stats')).body).toMatchObject({ requests: 1, calls: { POST: { '201': 1 } } })
  expect((await call('GET', '/_emulator/nothing')).status).toBe(404)
})

test('faults are scripted, released, cleared; wrong ones are refused with what is wrong', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  const faults = '/_emulator/faults'
  expect(await call('POST', faults, { body: { user: 'u1', action: { kind: 'status', status: 500 } } })).toMatchObject({
    status: 201,
    body: { added: 1 },
  })
  expect((await call('POST', at('u1'), { body })).status).toBe(500)
  const several = [
    { user: 'u2', action: { kind: 'hold' } },
    { user: '*', times: null, action: { kind: 'status', status: 502 } },
  ]
  expect((await call('POST', faults, { body: { faults: several } })).body).toEqual({ added: 2 })
  const held = call('POST', at('u2'), { body })
  await until(() => emulator.held === 1)
  expect((await call('POST', '/_emulator/release')).body).toEqual({ released: 1 })
  expect((await held).status).toBe(201)
  expect((await call('POST', at('u3'), { body })).status).toBe(502)
  expect((await call('DELETE', faults)).status).toBe(204)
  expect((await call('POST', at('u3'), { body })).status).toBe(201)
  const wrong = await call('POST', faults, { body: { user: 'u1', times: 0, action: { kind: 'explode' } } })
  expect(wrong).toMatchObject({ status: 400, body: { message: expect.stringContaining('kind') } })
})

test('settings change one by one and never show the key; reset goes back to the start', async () => {
  await using local = await started({ apiKey: 'secret', postReading: 'replace' })
  const { call, at, emulator } = local
  const authorization = 'Bearer secret'
  expect((await call('POST', '/_emulator/settings', { body: { latencyMs: 1 } })).body).toMatchObject({
    latencyMs: 1,
    postReading: 'replace',
    apiKey: '[redacted]',
  })
  expect((await call('POST', '/_emulator/settings', { body: { latency: 1 } })).status).toBe(400)
  await call('POST', at('u1'), { body, headers: { authorization } })
  expect(emulator.users().get('u1')?.channels.$email).toEqual(['user@example.com'])
  expect((await call('POST', '/_emulator/reset')).status).toBe(204)
  expect(emulator.users().size).toBe(0)
  expect(emulator.history('u1')).toEqual([])
  expect(emulator.settings()).toMatchObject({ latencyMs: 0, postReading: 'replace', apiKey: 'secret' })
})

test('reset drops the requests that wait', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  emulator.addFault({ user: 'u1', action: { kind: 'hold', apply: 'after' } })
  const dropped = expect(call('POST', at('u1'), { body })).rejects.toThrow()
  await until(() => emulator.held === 1)
  emulator.reset()
  await dropped
  expect(emulator.users().size).toBe(0)
  expect(emulator.stats().inFlight).toBe(0)
})
