// The server that a test run shares: a Docker that answers and then gives none costs a line, not the run.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const SCRIPT = `
  const { startSharedServer } = await import(${JSON.stringify(new URL('../support/shared-server.ts', import.meta.url).href)})
  const server = await startSharedServer()
  process.stdout.write(server.url)
  await server.close()`

test('an engine that answers but starts nothing: the embedded server, and one line that says so', async () => {
  const engine = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(engine, 'listening')
  const { TEST_POSTGRES_URL: _url, TEST_POSTGRES_MAJOR: _major, ...rest } = process.env
  const env = { ...rest, DOCKER_HOST: `tcp://127.0.0.1:${(engine.address() as AddressInfo).port}` }
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT], {
      env,
    })
    expect(stdout).toMatch(/^postgres:\/\/postgres@127\.0\.0\.1:\d+\/postgres$/)
    expect(stderr).toMatch(/^Docker gives no PostgreSQL \(.+\): the tests use the embedded one\.\n$/)
  } finally {
    engine.close()
  }
})
