// Takes `100 Continue` out of what a connection reads. Any server may send it before its answer (RFC 9110, 15.2), and undici, which
// passes over every other interim answer, ends the connection on it: nobody behind such a gateway would ever be answered.
// Guarantees that nothing else is touched; one that arrives in pieces, which nobody sends, ends the connection as before.
import type { Duplex } from 'node:stream'

const BEGINNING = Buffer.from('HTTP/1.1 100')
const INTERIM = /^HTTP\/1\.1 100(?: [^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n/

export function passOverContinue(socket: Pick<Duplex, 'read'>): void {
  const read = socket.read.bind(socket)
  socket.read = (size) => {
    for (;;) {
      const chunk: unknown = read(size)
      if (!Buffer.isBuffer(chunk)) return chunk
      const rest = afterContinue(chunk)
      if (rest.length > 0) return rest
    }
  }
}

function afterContinue(chunk: Buffer): Buffer {
  let rest = chunk
  while (rest.subarray(0, BEGINNING.length).equals(BEGINNING)) {
    const interim = INTERIM.exec(rest.toString('latin1'))?.[0]
    if (interim === undefined) return rest
    rest = rest.subarray(interim.length)
  }
  return rest
}
