// A connection on which a statement waits longer than any statement may take is dead, though nobody has said so: a host that vanished, a
// firewall that forgot, a network that lost one direction. It is ended, so that what waits on it fails and is tried on another.
import { SuprsyncError } from './error.ts'

/** The parts of a connected `pg` client that are used; `readyForQuery`: no statement is under way. */
interface Connected {
  readonly readyForQuery: boolean
  end(): Promise<void>
  readonly connection: {
    readonly stream: {
      setTimeout(idleMs: number): unknown
      on(name: 'timeout', onIdle: () => void): unknown
      destroy(error?: Error): unknown
    }
  }
}

/** @param client connected: with TLS the stream is another before. */
export function endWhenSilent(client: object, mostMs: number): void {
  const connected = client as Connected
  const { stream } = connected.connection
  stream.setTimeout(mostMs)
  // As often as it comes: what is given to setTimeout hears the first silence alone, which nobody waited in.
  stream.on('timeout', () => {
    if (connected.readyForQuery) return
    const message = `The server has not answered for ${Math.round(mostMs / 1_000)} s; the connection is given up.`
    stream.destroy(new SuprsyncError('connection_silent', message))
  })
}

/** Says goodbye, and does not wait for long to be heard: a server that vanished never answers. Never rejects. */
export async function endWithin(client: object, mostMs: number): Promise<void> {
  const connected = client as Connected
  const { stream } = connected.connection
  stream.setTimeout(mostMs)
  stream.on('timeout', () => stream.destroy())
  try {
    await connected.end()
  } catch {
    // Gone already: that is what is wanted.
  }
}
