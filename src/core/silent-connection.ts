// A connection on which a statement waits longer than any statement may take is dead, though nobody has said so: a host that vanished, a
// firewall that forgot, a network that lost one direction. It is ended, so that what waits on it fails and is tried on another.
import { SuprsyncError } from './error.ts'

/** The parts of a connected `pg` client that are used; `readyForQuery`: no statement is under way. */
interface Connected {
  readonly readyForQuery: boolean
  readonly connection: {
    readonly stream: {
      setTimeout(idleMs: number, onIdle: () => void): unknown
      destroy(error: Error): unknown
    }
  }
}

/** @param client connected: with TLS the stream is another before. */
export function endWhenSilent(client: object, mostMs: number): void {
  const connected = client as Connected
  const { stream } = connected.connection
  stream.setTimeout(mostMs, () => {
    if (connected.readyForQuery) return
    const message = `The server has not answered for ${Math.round(mostMs / 1_000)} s; the connection is given up.`
    stream.destroy(new SuprsyncError('connection_silent', message))
  })
}
