// A trivial HTTP server in SuprSend's place: answers every request alike after a fixed time, and tells its parent how many
// there were and when each value of the `seq` property first arrived. Run as a child process with an IPC channel.
// node bench/sink-server.ts <latency-ms>
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const latencyMs = Number(process.argv[2] ?? 0)
let requests = 0
let lastAt = 0
const arrivals = new Map<number, number>()
const SEQ = /"seq":(\d+)/

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const answer = () => {
      const status = request.method === 'POST' ? 201 : request.method === 'PATCH' ? 202 : 204
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
      requests += 1
      lastAt = performance.timeOrigin + performance.now()
      const seq = SEQ.exec(Buffer.concat(chunks).toString())
      if (seq && !arrivals.has(Number(seq[1]))) arrivals.set(Number(seq[1]), lastAt)
    }
    if (latencyMs > 0) setTimeout(answer, latencyMs)
    else answer()
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('message', (message) => {
  if (message === 'count') process.send?.({ requests, lastAt })
  if (message === 'arrivals') process.send?.({ arrivals: [...arrivals] })
  if (message === 'reset') {
    requests = 0
    arrivals.clear()
    process.send?.({})
  }
})
