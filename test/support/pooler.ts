// A pooler between us and a real server, speaking the protocol as far as poolers do: it answers the start of a session itself, and
// lends sessions of the server, the one that came back last first. No TLS, one user, one database, as many sessions as are needed.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
import { once } from 'node:events'
import { createServer, type Server, Socket } from 'node:net'
import pg from 'pg'

export interface PoolerBehaviour {
  /** For how long a session of the server is lent. */
  readonly lends: 'transaction' | 'session'
  /** What becomes of the settings that a client sends at its start. The server's session has those of its first borrower. */
  readonly options: 'forwarded' | 'dropped' | 'refused'
  /** Which free session is lent; default: the one that came back last. */
  readonly next?: 'last' | 'longest_free'
}

export interface Pooler extends AsyncDisposable {
  /** The given URL through the pooler. */
  readonly url: string
  /** From now on; every connection is cut. */
  become(behaviour: PoolerBehaviour): void
}

export async function startPooler(serverUrl: string, behaviour: PoolerBehaviour): Promise<Pooler> {
  const pool = new Pool(serverUrl, behaviour)
  pool.listener.listen(0, '127.0.0.1')
  await once(pool.listener, 'listening')
  const address = pool.listener.address()
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String(typeof address === 'object' && address ? address.port : 0)
  return {
    url: url.href,
    become: (next) => pool.become(next),
    [Symbol.asyncDispose]: async () => {
      pool.cut()
      pool.listener.close()
      await once(pool.listener, 'close')
    },
  }
}

interface Session {
  readonly socket: Socket
  borrower: Client | null
}

interface Client {
  readonly socket: Socket
  options: string | undefined
  session: Session | null
}

class Pool {
  readonly listener: Server
  readonly #serverUrl: string
  readonly #clients = new Set<Client>()
  readonly #sessions = new Set<Session>()
  #free: Session[] = []
  #behaviour: PoolerBehaviour

  constructor(serverUrl: string, behaviour: PoolerBehaviour) {
    this.#serverUrl = serverUrl
    this.#behaviour = behaviour
    this.listener = createServer((socket) => this.#accept(socket))
  }

  become(behaviour: PoolerBehaviour): void {
    this.#behaviour = behaviour
    this.cut()
  }

  cut(): void {
    for (const { socket } of this.#clients) socket.destroy()
    for (const { socket } of this.#sessions) socket.destroy()
    this.#free = []
  }

  #accept(socket: Socket): void {
    const client: Client = { socket, options: undefined, session: null }
    this.#clients.add(client)
    let working: Promise<void> = Promise.resolve()
    const read = splitter((message, isFirst) => {
      working = working.then(() => (isFirst ? this.#start(client, message) : this.#forward(client, message)))
      working.catch(() => socket.destroy())
    }, true)
    socket.on('data', read)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#clients.delete(client)
      // What it has begun in there ends with the session.
      client.session?.socket.destroy()
    })
  }

  #start(client: Client, startup: Buffer): void {
    const texts = startup.toString('utf8', 8).split('\0')
    const at = texts.findIndex((name, index) => index % 2 === 0 && name === 'options')
    const options = at < 0 ? undefined : texts[at + 1]
    if (options !== undefined && this.#behaviour.options === 'refused') {
      const fields = ['SFATAL', 'C08P01', 'Munsupported startup parameter: options', '', ''].join('\0')
      client.socket.end(message('E', Buffer.from(fields)))
      return
    }
    if (this.#behaviour.options === 'forwarded') client.options = options
    const authenticated = message('R', Buffer.alloc(4))
    const keyOfOurOwn = message('K', Buffer.alloc(8, 1))
    client.socket.write(Buffer.concat([authenticated, keyOfOurOwn, message('Z', Buffer.from('I'))]))
  }

  async #forward(client: Client, sent: Buffer): Promise<void> {
    if (sent.toString('latin1', 0, 1) === 'X') {
      client.socket.end()
      return
    }
    client.session ??= await this.#lend(client)
    client.session.socket.write(sent)
  }

  async #lend(client: Client): Promise<Session> {
    const free = this.#behaviour.next === 'longest_free' ? this.#free.shift() : this.#free.pop()
    const session = free ?? (await this.#open(client.options))
    session.borrower = client
    return session
  }

  /** The library connects and proves who we are; from then on the socket is ours. */
  async #open(options: string | undefined): Promise<Session> {
    const socket = new Socket()
    const opening = new pg.Client({
      connectionString: this.#serverUrl,
      stream: () => socket,
      ...(options !== undefined && { options }),
    })
    await opening.connect()
    for (const event of ['data', 'end', 'error', 'close']) socket.removeAllListeners(event)
    const session: Session = { socket, borrower: null }
    this.#sessions.add(session)
    socket.on(
      'data',
      splitter((received) => this.#answer(session, received), false),
    )
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#sessions.delete(session)
      this.#free = this.#free.filter((other) => other !== session)
      session.borrower?.socket.destroy()
    })
    return session
  }

  #answer(session: Session, received: Buffer): void {
    const { borrower } = session
    borrower?.socket.write(received)
    // ReadyForQuery outside of a transaction.
    if (received.toString('latin1', 0, 1) !== 'Z' || received.toString('latin1', 5, 6) !== 'I') return
    if (borrower === null || this.#behaviour.lends === 'session') return
    borrower.session = null
    session.borrower = null
    this.#free.push(session)
  }
}

/** Calls back with each whole message. `starts`: the first one is a client's startup packet, which has no type. */
function splitter(onMessage: (message: Buffer, isFirst: boolean) => void, starts: boolean): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  let isFirst = starts
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const typeBytes = isFirst ? 0 : 1
      if (rest.length < typeBytes + 4) return
      const length = typeBytes + rest.readInt32BE(typeBytes)
      if (rest.length < length) return
      onMessage(rest.subarray(0, length), isFirst)
      isFirst = false
      rest = rest.subarray(length)
    }
  }
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, body])
}
