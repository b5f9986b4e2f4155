// A connection that does not answer, over real sockets.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { endWhenSilent, endWithin } from '../../../src/core/silent-connection.ts'

async function silentServer() {
  const server = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const stream = connect(typeof address === 'object' && address ? address.port : 0, '127.0.0.1')
  await once(stream, 'connect')
  return { stream, [Symbol.dispose]: () => void [stream.destroy(), server.close()] }
}

test('whoever waits in a later silence is told, too: idle before is no answer', async () => {
  using it = await silentServer()
  const client = { readyForQuery: true, connection: { stream: it.stream }, end: async () => undefined }
  endWhenSilent(client, 20)
  await once(it.stream, 'timeout')
  expect(it.stream.destroyed).toBe(false)
  client.readyForQuery = false
  const broken = once(it.stream, 'error')
  it.stream.write('a question')
  expect(await broken).toMatchObject([{ code: 'connection_silent' }])
})

test('goodbye is not waited for where nobody hears it', async () => {
  using it = await silentServer()
  const end = async () => void (await once(it.stream, 'close'))
  await endWithin({ readyForQuery: true, connection: { stream: it.stream }, end }, 20)
  expect(it.stream.destroyed).toBe(true)
})
