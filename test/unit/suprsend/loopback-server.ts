// A real HTTP server on loopback for one test: records what arrives and answers by the test's own function.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface LoopbackServer extends AsyncDisposable {
  readonly url: string
  readonly received: readonly Received[]
  readonly connections: number
}

export type Reply = (response: ServerResponse, request: Received, socket: Socket) => void

export async function startServer(reply: Reply): Promise<LoopbackServer> {
  const received: Received[] = []
  let connections = 0
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      // The client gave up while it was sending.
      return
    }
    const { method = '', url = '', headers } = request
    const arrived = { method, url, headers, body: Buffer.concat(chunks).toString() }
    received.push(arrived)
    reply(response, arrived, request.socket)
  }
  const server = createServer((request, response) => void handle(request, response))
  server.on('connection', () => connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    get connections() {
      return connections
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export async function until(condition: () => boolean, deadlineMs = 5_000): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!condition()) {
    if (performance.now() > end) throw new Error('the condition did not come true in time')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
