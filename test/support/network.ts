// A TCP proxy whose network a test breaks: connections are cut, stand still, or lose one direction without a word. What stands still
// in `stalled` may arrive when its sender has long given it up, as in a network that delays; in `held` it is lost with its connection.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** `to_server`, `to_client`: what goes that way is lost, and nobody is told. */
export type Fault = 'none' | 'refused' | 'stalled' | 'held' | 'to_server' | 'to_client'

export interface Network extends AsyncDisposable {
  /** The given URL through the proxy. */
  readonly url: string
  readonly connections: number
  /** From now on, for connections that are there as well, except that what was lost stays lost: they never recover. */
  become(fault: Fault): void
  /** Resets every connection. */
  cut(): void
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  fault: Fault
  /** What came in `held`, in order. */
  held: { readonly to: Socket; readonly data: Buffer }[]
}

export async function startNetwork(serverUrl: string): Promise<Network> {
  const { hostname, port } = new URL(serverUrl)
  const pairs = new Set<Pair>()
  let fault: Fault = 'none'
  const listener = createServer({ pauseOnConnect: false }, (client) => {
    if (fault === 'refused') {
      client.resetAndDestroy()
      return
    }
    const server = connect(Number(port), hostname)
    const pair: Pair = { client, server, fault, held: [] }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      pair.held = []
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) {
      socket.on('error', end)
      socket.on('close', end)
    }
    client.on('data', (data) => {
      if (pair.fault !== 'to_server') pass(pair, server, data)
    })
    server.on('data', (data) => {
      if (pair.fault !== 'to_client') pass(pair, client, data)
    })
    apply(pair)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String(typeof address === 'object' && address ? address.port : 0)
  return {
    url: url.href,
    get connections() {
      return pairs.size
    },
    become: (next) => {
      fault = next
      for (const pair of pairs) {
        // A byte that was lost is never sent again: such a connection is dead for good.
        if (pair.fault === 'to_server' || pair.fault === 'to_client') continue
        pair.fault = next
        apply(pair)
      }
      if (next === 'refused') for (const { client } of pairs) client.resetAndDestroy()
    },
    cut: () => {
      for (const { client, server } of pairs) {
        client.resetAndDestroy()
        server.resetAndDestroy()
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const { client, server } of pairs) {
        client.destroy()
        server.destroy()
      }
      listener.close()
      await once(listener, 'close')
    },
  }
}

function pass({ fault, held }: Pair, to: Socket, data: Buffer): void {
  if (fault === 'held') held.push({ to, data })
  else to.write(data)
}

function apply(pair: Pair): void {
  const { client, server, fault } = pair
  for (const socket of [client, server]) {
    if (fault === 'stalled') socket.pause()
    else socket.resume()
  }
  if (fault === 'held') return
  for (const { to, data } of pair.held) to.write(data)
  pair.held = []
}
