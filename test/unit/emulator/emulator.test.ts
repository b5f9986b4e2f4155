// The emulator over a real socket: the endpoints as documented, the key, odd ids, what it counts, going away and coming
// back.
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startEmulator } from '../../../src/emulator/emulator.ts'
import { started, until } from './local-emulator.ts'

const body = { $email: ['user@example.com'] }

describe('the user API', () => {
  test('POST 201, GET 200, PATCH 202, DELETE 204, then 404; the list', async () => {
    await using local = await started()
    const { call, at, emulator } = local
    expect(await call('POST', at('u1'), { body })).toMatchObject({ status: 201, body: { distinct_id: 'u1' } })
    expect((await call('GET', at('u1'))).body?.$email).toEqual([
      { value: 'user@example.com', status: 'active', perma_status: 'active' },
    ])
    const edit = { operations: [{ $remove: { $email: 'user@example.com' } }] }
    const edited = await call('PATCH', at('u1'), { body: edit })
    expect(edited).toMatchObject({ status: 202, body: { $email: [{ status: 'inactive' }] } })
    expect(emulator.users()).toEqual(new Map([['u1', { channels: {}, properties: {} }]]))
    expect((await call('GET', '/v1/user/?limit=1')).body).toMatchObject({
      meta: { count: 1, limit: 1, has_next: false },
      results: [{ distinct_id: 'u1' }],
    })
    expect(await call('DELETE', at('u1'))).toMatchObject({ status: 204, text: '' })
    const missing = { code: 404, message: "user [distinct_id: 'u1'] not found" }
    expect(await call('DELETE', at('u1'))).toMatchObject({ status: 404, body: missing })
    expect(await call('GET', at('u1'))).toMatchObject({ status: 404, body: missing })
  })

  test('ids with slashes, percent signs, blanks, dots and emoji are what the client meant', async () => {
    await using local = await started()
    const { call, emulator, at } = local
    const ids = ['a/b', '100%', '%2F', 'a b', 'a+b', 'ü🙂', '..', 'a?b#c', "o'hara", '\\', 'A', 'a', 'x'.repeat(255)]
    for (const id of ids)
      expect(await call('POST', at(id), { body: {} })).toMatchObject({ status: 201, body: { distinct_id: id } })
    expect([...emulator.users().keys()]).toEqual(ids)
    expect(await call('POST', at('x'.repeat(256)), { body: {} })).toMatchObject({ status: 400 })
  })

  test('wants the slash at the end, a known method, JSON, and a body in bounds', async () => {
    await using local = await started({ bodyLimitBytes: 100 })
    const { call, at } = local
    expect(await call('POST', '/v1/user/u1', { body })).toMatchObject({ status: 404 })
    expect(await call('GET', '/v1/user/%zz/')).toMatchObject({ status: 404 })
    expect(await call('PUT', at('u1'), { body })).toMatchObject({ status: 405 })
    expect(await call('POST', '/v1/user/', { body })).toMatchObject({ status: 405 })
    expect(await call('POST', at('u1'), { body, headers: { 'content-type': 'text/plain' } })).toMatchObject({
      status: 415,
    })
    expect(await call('POST', at('u1'), { body: '' })).toMatchObject({
      status: 400,
      body: { message: 'Request body must not be empty' },
    })
    expect(await call('PATCH', at('u1'), { body: { operations: ['x'] } })).toMatchObject({
      status: 400,
      body: {
        code: 400,
        message: 'Request body contains an invalid value for the "Subscriber_EditOperationSet.operations" field',
      },
    })
    expect(await call('POST', at('u1'), { body: { a: 'x'.repeat(100) } })).toMatchObject({ status: 413 })
    expect(local.emulator.users().size).toBe(0)
  })

  test('401 as plain text without the right key, and for all while unauthorized', async () => {
    await using local = await started({ apiKey: 'key' })
    const { call, at, emulator } = local
    const text = 'Not Authenticated - could not find Workspace details'
    for (const authorization of ['', 'Bearer ', 'Bearer other', 'key']) {
      expect(await call('POST', at('u1'), { body, headers: { authorization } })).toMatchObject({ status: 401, text })
    }
    expect(emulator.users().size).toBe(0)
    expect(await call('POST', at('u1'), { body })).toMatchObject({ status: 201 })
    emulator.settings({ unauthorized: true })
    expect(await call('POST', at('u1'), { body })).toMatchObject({ status: 401, text })
    emulator.settings({ unauthorized: false })
    expect(await call('GET', at('u1'))).toMatchObject({ status: 200 })
    emulator.settings({ apiKey: null })
    expect(await call('GET', at('u1'), { headers: { authorization: 'Bearer other' } })).toMatchObject({ status: 200 })
    expect(await call('GET', at('u1'), { headers: { authorization: 'Bearer ' } })).toMatchObject({ status: 401 })
  })

  test('history: what was applied and what it led to, bounded, also of the deleted', async () => {
    await using local = await started({ history: 2 })
    const { call, at, emulator } = local
    await call('POST', at('u1'), { body: { a: 1 } })
    await call('PATCH', at('u1'), { body: { operations: [{ $set: { a: 2 } }] } })
    await call('PATCH', at('u1'), { body: { operations: [{ $set: { $email: 'x' } }] } })
    await call('GET', at('u1'))
    await call('DELETE', at('u1'))
    expect(emulator.history('u1')).toEqual([
      {
        atMs: expect.any(Number),
        method: 'PATCH',
        body: { operations: [{ $set: { a: 2 } }] },
        status: 202,
        state: { channels: {}, properties: { a: 2 } },
      },
      { atMs: expect.any(Number), method: 'DELETE', body: null, status: 204, state: null },
    ])
  })
})

test('two writes of one user at the same time are seen; reads and other users are not', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  emulator.addFault({ user: '*', times: 3, action: { kind: 'hold' } })
  const calls = [call('POST', at('u1'), { body }), call('POST', at('u2'), { body }), call('GET', at('u1'))]
  await until(() => emulator.held === 3)
  expect(emulator.stats()).toMatchObject({
    concurrencyViolations: { count: 0, users: [] },
    maxInFlight: 3,
    maxInFlightPerUser: 1,
  })
  expect((await call('PATCH', at('u1'), { body: { operations: [] } })).status).toBe(202)
  expect(emulator.stats()).toMatchObject({ concurrencyViolations: { count: 1, users: ['u1'] }, maxInFlightPerUser: 2 })
  emulator.releaseHolds()
  await Promise.all(calls)
  expect(emulator.stats()).toMatchObject({
    requests: 4,
    inFlight: 0,
    calls: { POST: { '201': 2 }, PATCH: { '202': 1 } },
  })
})

test('calls one after the other are never taken for concurrent ones', async () => {
  await using local = await started()
  const { call, at, emulator } = local
  for (let n = 0; n < 200; n++) await call('PATCH', at('u1'), { body: { operations: [{ $set: { n } }] } })
  expect(emulator.stats().concurrencyViolations.count).toBe(0)
  expect(emulator.stats().peakRequestsPerSecond).toBeGreaterThan(0)
})

describe('coming and going', () => {
  test('pause refuses connections and applies nothing of what waited; resume is the same place with its users', async () => {
    await using local = await started()
    const { call, at, emulator } = local
    await call('POST', at('u1'), { body })
    emulator.addFault({ user: 'held', action: { kind: 'hold', apply: 'after' } })
    const cut = expect(call('POST', at('held'), { body })).rejects.toThrow()
    await until(() => emulator.held === 1)
    await emulator.pause()
    await cut
    await expect(call('GET', at('u1'))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await emulator.resume()
    expect((await call('GET', at('u1'))).status).toBe(200)
    expect([...emulator.users().keys()]).toEqual(['u1'])
  })

  test('close answers what was accepted; ending twice is no error', async () => {
    await using local = await started()
    const { call, at, emulator } = local
    emulator.addFault({ user: 'u1', action: { kind: 'delay', ms: 50 } }, { user: 'u2', action: { kind: 'hold' } })
    const calls = ['u1', 'u2'].map((id) => call('POST', at(id), { body }))
    await until(() => emulator.held === 1 && emulator.stats().inFlight === 2)
    await emulator.close()
    expect((await Promise.all(calls)).map((answer) => answer.status)).toEqual([201, 201])
    await emulator.close()
    await emulator.destroy()
  })

  test('a port that is taken is a coded error', async () => {
    await using local = await started()
    const { port } = local.emulator
    await expect(startEmulator({ port })).rejects.toMatchObject({
      code: 'emulator_listen_failed',
      message: `cannot listen on 127.0.0.1:${port}: EADDRINUSE`,
    })
  })

  test('what is no HTTP does not end it', async () => {
    await using local = await started()
    const socket = connect(local.emulator.port, '127.0.0.1')
    const ended = new Promise((resolve) => socket.on('close', resolve))
    socket.on('error', () => undefined)
    socket.resume()
    socket.end('no http at all\r\n\r\n')
    await ended
    expect((await local.call('GET', local.at('u1'))).status).toBe(404)
  })
})
