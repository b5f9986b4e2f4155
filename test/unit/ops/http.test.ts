// The endpoints, over a real socket.
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { SILENT_LOGGER } from '../../../src/core/logger.ts'
import { type HttpOptions, type Readiness, startHttpServer } from '../../../src/ops/http.ts'

const PARTS = { capture: 'active', delivery: 'standby' }
const READY: Readiness = { ready: true, ...PARTS, reasons: [], warnings: [] }

function start(options: Partial<HttpOptions> = {}) {
  return startHttpServer({
    host: '127.0.0.1',
    port: 0,
    readiness: () => READY,
    metrics: { contentType: 'text/plain; version=0.0.4', expose: async () => 'suprsync_drift_total 0\n' },
    log: SILENT_LOGGER,
    ...options,
  })
}

test('/livez, /readyz and /metrics answer; port 0 picks a free one', async () => {
  await using server = await start()
  expect(server.port).toBeGreaterThan(0)
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`)
  const [live, ready, metrics] = await Promise.all(
    ['/livez', '/readyz', '/metrics'].map((path) => fetch(server.url + path)),
  )
  expect(live?.status).toBe(200)
  expect(ready?.status).toBe(200)
  expect(await ready?.json()).toEqual({ ready: true, ...PARTS, reasons: [], warnings: [] })
  expect(metrics?.headers.get('content-type')).toBe('text/plain; version=0.0.4')
  expect(await metrics?.text()).toBe('suprsync_drift_total 0\n')
})

test('/readyz is 503 with every reason as long as it is not ready', async () => {
  const reasons = [{ code: 'unauthorized', message: 'SuprSend refuses the API key.' }]
  let readiness: Readiness = { ready: false, ...PARTS, reasons, warnings: [] }
  await using server = await start({ readiness: () => readiness })
  const before = await fetch(`${server.url}/readyz`)
  expect(before.status).toBe(503)
  expect(await before.json()).toEqual({ ready: false, ...PARTS, reasons, warnings: [] })
  readiness = READY
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
})

test('a failure behind an endpoint shows no message; other paths are 404', async () => {
  const expose = () => Promise.reject(new Error('canary'))
  await using server = await start({ metrics: { contentType: 'text/plain', expose } })
  const failed = await fetch(`${server.url}/metrics`)
  expect(failed.status).toBe(500)
  expect(await failed.json()).toEqual({ code: 'internal_error' })
  const missing = await fetch(`${server.url}/admin`)
  expect(missing.status).toBe(404)
  expect(await missing.json()).toEqual({ code: 'not_found' })
})

test('an address in use is an error that names it', async () => {
  await using server = await start()
  await expect(start({ port: server.port })).rejects.toMatchObject({
    code: 'http_listen_failed',
    message: `cannot listen on 127.0.0.1:${server.port}: the address is in use`,
    details: { host: '127.0.0.1', port: server.port, reason: 'EADDRINUSE' },
  })
})

test('closing does not wait for idle connections', async () => {
  const server = await start()
  const socket = connect(server.port, '127.0.0.1')
  const closed = Promise.withResolvers<void>()
  socket.on('close', () => closed.resolve())
  socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n')
  await new Promise((resolve) => socket.once('data', resolve))
  await server[Symbol.asyncDispose]()
  await closed.promise
  await expect(fetch(`${server.url}/livez`)).rejects.toThrow()
})
