// Answers that HTTP allows and nobody expects, and some that it does not allow: each is an Answer, in bounded time and memory,
// and none passes for another.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { ApiRequest } from '../../../src/core/api.ts'
import { outcomeOf } from '../../../src/core/outcome.ts'
import { AnswerBuffer } from '../../../src/suprsend/answer.ts'
import { createClient, type SuprsendClient } from '../../../src/suprsend/client.ts'
import { type LoopbackServer, type Reply, startServer } from './loopback-server.ts'

const NEVER = new AbortController().signal
const EDIT: ApiRequest = { kind: 'edit', operations: [{ $unset: ['a'] }] }
const USER = { distinct_id: 'u', properties: {}, $email: ['a@x.io'] }

async function withServer(
  reply: Reply,
  use: (client: SuprsendClient, server: LoopbackServer) => Promise<void>,
): Promise<void> {
  await using server = await startServer(reply)
  const client = createClient({
    baseUrl: server.url,
    apiKey: { reveal: () => 'key-1' },
    maxInFlight: 1,
    connectTimeoutMs: 2_000,
    headersTimeoutMs: 1_000,
    bodyTimeoutMs: 1_000,
    userAgent: 'suprsync/1.2.3',
  })
  try {
    await use(client, server)
  } finally {
    await client.destroy()
  }
}

test.each([
  [429, true],
  [503, true],
  [400, false],
  [500, false],
])('the head of a %i whose body never ends', (status, counts) => {
  const buffer = new AnswerBuffer()
  buffer.started = true
  buffer.begin(status, { 'retry-after': '9' }, 0)
  buffer.add(Buffer.from('{"message": "slow'))
  const answer = buffer.broken(new Error('cut'))
  if (counts) expect(answer).toEqual({ kind: 'answered', status, retryAfterMs: 9_000, body: null })
  else expect(answer).toMatchObject({ kind: 'unclear' })
})

describe('compressed although we ask for plain', () => {
  test.each([
    ['gzip', gzipSync(JSON.stringify(USER))],
    ['x-gzip', gzipSync(JSON.stringify(USER))],
    ['deflate', deflateSync(JSON.stringify(USER))],
    ['BR', brotliCompressSync(JSON.stringify(USER))],
    ['gzip, br', brotliCompressSync(gzipSync(JSON.stringify(USER)))],
    ['identity', Buffer.from(JSON.stringify(USER))],
  ])('%s is read', (coding, bytes) =>
    withServer(
      (response) => response.writeHead(200, { 'content-encoding': coding }).end(bytes),
      async (client, server) => {
        expect(await client.send('u', EDIT, NEVER)).toMatchObject({ kind: 'answered', status: 200, body: USER })
        expect(server.received[0]?.headers['accept-encoding']).toBe('identity')
      },
    ),
  )

  test.each<[string, string, Buffer]>([
    ['a web page', 'gzip', gzipSync('<html>portal</html>')],
    ['a web page of 30 MB', 'gzip', gzipSync(`<html>${' '.repeat(30_000_000)}`, { level: 1 })],
    ['a web page that is cut', 'gzip', gzipSync(`<html>${'portal '.repeat(9_000)}`).subarray(0, 60)],
  ])('%s does not pass for a deletion', (_, coding, bytes) =>
    withServer(
      (response) => response.writeHead(200, { 'content-encoding': coding }).end(bytes),
      async (client) => {
        const answer = await client.send('u', { kind: 'delete' }, NEVER)
        expect(answer).toMatchObject({ kind: 'answered', status: 200, body: expect.stringMatching(/^<html>/) })
        expect(outcomeOf('delete', answer)).toMatchObject({ kind: 'retry', failure: { code: 'not_the_api' } })
      },
    ),
  )

  test.each([
    ['a coding that nobody knows', 'rot13', Buffer.from('{"a":1}')],
    ['what is not what it says', 'gzip', Buffer.from('no gzip')],
  ])('%s is no reason to fail', (_, coding, bytes) =>
    withServer(
      (response) => response.writeHead(200, { 'content-encoding': coding }).end(bytes),
      async (client) => expect(await client.send('u', EDIT, NEVER)).toMatchObject({ kind: 'answered', status: 200 }),
    ),
  )

  test('a few kilobytes that hold a hundred megabytes: the status counts, the body does not', () => {
    const bomb = gzipSync(Buffer.alloc(100_000_000, 0x20), { level: 1 })
    return withServer(
      (response) => response.writeHead(201, { 'content-encoding': 'gzip' }).end(bomb),
      async (client) => {
        expect(bomb.length).toBeLessThan(500_000)
        const before = process.memoryUsage().rss
        expect(await client.send('u', EDIT, NEVER)).toMatchObject({ kind: 'answered', status: 201, body: null })
        expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000)
      },
    )
  })
})

test('a body that comes byte by byte takes the memory of its bytes, not of a hundred times as many', () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const answer = new AnswerBuffer()
  answer.begin(200, {}, 0)
  collect()
  const before = process.memoryUsage().heapUsed
  const text = JSON.stringify({ a: 'x'.repeat(500_000) })
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 1) answer.add(bytes.subarray(at, at + 1))
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000)
  expect(answer.whole()).toMatchObject({ status: 200, body: JSON.parse(text) })
})

describe('interim answers', () => {
  test.each<[string, Reply]>([
    ['100, which undici takes for an error', (response) => response.writeContinue()],
    ['102', (response) => response.writeProcessing()],
    ['103', (response) => response.writeEarlyHints({ link: '</a>; rel=preload' })],
    [
      'several',
      (response) => {
        for (let time = 0; time < 3; time += 1) response.writeContinue()
      },
    ],
  ])('%s: the answer is the one after it, and the connection serves on', (_, interim) =>
    withServer(
      (response, request, socket) => {
        interim(response, request, socket)
        response.writeHead(200).end(JSON.stringify(USER))
      },
      async (client, server) => {
        for (let time = 0; time < 3; time += 1)
          expect(await client.send('u', EDIT, NEVER)).toMatchObject({ kind: 'answered', status: 200, body: USER })
        expect(server.received).toHaveLength(3)
        expect(server.connections).toBe(1)
      },
    ),
  )

  test.each<[string, Reply]>([
    ['100', (response) => response.writeContinue()],
    ['102', (response) => response.writeProcessing()],
  ])('nothing but %s, again and again, is not waited for without end', (_, interim) =>
    withServer(
      (response, request, socket) => {
        const more = setInterval(() => interim(response, request, socket), 20)
        socket.on('close', () => clearInterval(more))
      },
      async (client) => expect(await client.send('u', EDIT, NEVER)).toMatchObject({ kind: 'unclear' }),
    ),
  )
})

describe('connections', () => {
  const body = JSON.stringify(USER)
  test.each([
    ['HTTP/1.0 without a length', `HTTP/1.0 200 OK\r\n\r\n${body}`],
    ['Connection: close', `HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`],
    ['closed although it was to be kept', `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`],
  ])('%s: each request is answered', (_, text) =>
    withServer(
      (__, ___, socket) => socket.end(text),
      async (client) => {
        for (let time = 0; time < 4; time += 1)
          expect(await client.send('u', EDIT, NEVER)).toMatchObject({ kind: 'answered', status: 200, body: USER })
      },
    ),
  )

  test('a kept connection that is closed when the next request arrives: unclear, sent once, and the one after it is answered', () => {
    let seen = 0
    return withServer(
      (response, _, socket) => {
        seen += 1
        if (seen % 2 === 0) socket.destroy()
        else response.writeHead(200).end(body)
      },
      async (client, server) => {
        for (let time = 0; time < 3; time += 1) {
          expect((await client.send('u', { kind: 'upsert', body: {} }, NEVER)).kind).toBe('answered')
          const lost = await client.send('u', { kind: 'upsert', body: {} }, NEVER)
          expect(outcomeOf('upsert', lost)).toMatchObject({ kind: 'retry', applied: 'unclear' })
        }
        expect(server.received).toHaveLength(6)
      },
    )
  })

  test('what follows an answer unasked is never taken for the next one', () =>
    withServer(
      (response, _, socket) => {
        response.writeHead(200).end(body)
        socket.write(
          'HTTP/1.1 404 Not Found\r\ncontent-length: 43\r\n\r\n{"code":404,"message":"user not found", "":1}',
        )
      },
      async (client) => {
        for (let time = 0; time < 3; time += 1)
          expect(await client.send('u', { kind: 'delete' }, NEVER)).toMatchObject({ status: 200 })
      },
    ))

  test.each<[string, string]>([
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n'],
    ['no status', 'HTTP/1.1 000 Nothing\r\ncontent-length: 0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'],
    ['a header without end', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(1_000_000)}`],
  ])('%s: unclear', (_, text) =>
    withServer(
      (__, ___, socket) => socket.write(text),
      async (client) => {
        for (let time = 0; time < 2; time += 1)
          expect(await client.send('u', EDIT, NEVER)).toMatchObject({ kind: 'unclear' })
      },
    ),
  )

  test('headers that trickle in are not waited for without end', () =>
    withServer(
      (_, __, socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        const drip = setInterval(() => socket.write('x: y\r\n'), 20)
        socket.on('close', () => clearInterval(drip))
      },
      async (client) => expect(await client.send('u', EDIT, NEVER)).toMatchObject({ kind: 'unclear' }),
    ))
})
