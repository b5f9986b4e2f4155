// A pooler of the kind that takes any connection and ignores the `replication` startup parameter: a TCP proxy in front of
// a server that leaves it out of the startup packet. https://www.postgresql.org/docs/current/protocol-message-formats.html
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Proxy extends AsyncDisposable {
  readonly url: string
}

export async function startDroppingProxy(serverUrl: string): Promise<Proxy> {
  const { hostname, port } = new URL(serverUrl)
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
    // The startup packet is small and comes alone: the client waits for its answer.
    client.once('data', (startup: Buffer) => {
      upstream.write(withoutReplication(startup))
      client.pipe(upstream)
    })
    upstream.pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String(typeof address === 'object' && address ? address.port : 0)
  return {
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Int32 length, Int32 protocol, then name and value as C strings, then a zero byte. */
function withoutReplication(startup: Buffer): Buffer {
  const texts = startup.toString('utf8', 8).split('\0')
  const kept: string[] = []
  for (let at = 0; at + 1 < texts.length; at += 2) {
    const [name, value] = [texts[at] ?? '', texts[at + 1] ?? '']
    if (name !== '' && name !== 'replication') kept.push(name, value)
  }
  const body = Buffer.from(`${kept.join('\0')}\0\0`)
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + body.length)
  startup.copy(head, 4, 4, 8)
  return Buffer.concat([head, body])
}
