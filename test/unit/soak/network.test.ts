// What the network of the tests promises of `held`: nothing passes, what is there still arrives in order when it ends, and nothing
// ever arrives of a connection that its client gave up meanwhile. A request may so be given up without being applied later.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { startNetwork } from '../../support/network.ts'
import { until } from '../../support/wait.ts'

async function listening(): Promise<AsyncDisposable & { readonly url: string; readonly received: string[] }> {
  const received: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.setEncoding('utf8').on('data', (text: string) => received.push(text))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    received,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

test('held: arrives in order when it ends, unless its client has left', async () => {
  await using server = await listening()
  await using network = await startNetwork(server.url)
  const port = Number(new URL(network.url).port)
  const [staying, leaving] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  await until(() => network.connections === 2, { what: 'both to be connected' })
  network.become('held')
  leaving.write('given up')
  staying.write('one ')
  staying.write('two')
  leaving.end()
  await until(() => network.connections === 1, { what: 'the leaving to be seen' })
  expect(server.received).toEqual([])
  network.become('none')
  staying.write(' three')
  await until(() => server.received.join('') === 'one two three', { what: 'the rest to arrive' })
  staying.destroy()
})
