// The client against real sockets: what goes over the wire, and what each way of not answering is taken for.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { ApiRequest } from '../../../src/core/api.ts'
import { outcomeOf } from '../../../src/core/outcome.ts'
import { AnswerBuffer } from '../../../src/suprsend/answer.ts'
import { type ClientOptions, createClient, type SuprsendClient } from '../../../src/suprsend/client.ts'
import { type LoopbackServer, type Reply, startServer, until } from './loopback-server.ts'

const NEVER = new AbortController().signal
const GET: ApiRequest = { kind: 'get' }
const json: Reply = (response) => response.writeHead(201, { 'content-type': 'application/json' }).end('{"a":1}')

function clientFor(baseUrl: string, more: Partial<ClientOptions> = {}): SuprsendClient {
  return createClient({
    baseUrl,
    apiKey: { reveal: () => 'key-1' },
    maxInFlight: 4,
    connectTimeoutMs: 2_000,
    headersTimeoutMs: 20_000,
    bodyTimeoutMs: 20_000,
    userAgent: 'suprsync/1.2.3',
    ...more,
  })
}

async function withServer(
  reply: Reply,
  use: (client: SuprsendClient, server: LoopbackServer) => Promise<void>,
  more: Partial<ClientOptions> = {},
): Promise<void> {
  await using server = await startServer(reply)
  const client = clientFor(server.url, more)
  try {
    await use(client, server)
  } finally {
    await client.destroy()
  }
}

describe('what goes over the wire', () => {
  test('each kind of request, with its headers', () =>
    withServer(json, async (client, server) => {
      const operations = [{ $append: { $email: 'a@x.io' } }]
      const requests: readonly ApiRequest[] = [
        { kind: 'upsert', body: { $email: ['é@x.io'] } },
        { kind: 'upsert', body: {} },
        { kind: 'edit', operations },
        { kind: 'delete' },
        GET,
      ]
      for (const request of requests) {
        expect(await client.send('user1', request, NEVER)).toEqual({
          kind: 'answered',
          status: 201,
          retryAfterMs: null,
          body: { a: 1 },
        })
      }
      expect(server.received.map(({ method, url, body }) => `${method} ${url} ${body}`)).toEqual([
        'POST /v1/user/user1/ {"$email":["é@x.io"]}',
        'POST /v1/user/user1/ {}',
        'PATCH /v1/user/user1/ {"operations":[{"$append":{"$email":"a@x.io"}}]}',
        'DELETE /v1/user/user1/ ',
        'GET /v1/user/user1/ ',
      ])
      for (const { headers } of server.received) {
        expect(headers).toMatchObject({
          authorization: 'Bearer key-1',
          'content-type': 'application/json',
          'user-agent': 'suprsync/1.2.3',
        })
      }
      expect(server.connections).toBeLessThan(requests.length)
    }))

  test.each([
    ['a/b', 'a%2Fb'],
    ['100%', '100%25'],
    ['with space?#&', 'with%20space%3F%23%26'],
    ['😀', '%F0%9F%98%80'],
    ['.', '%2E'],
    ['..', '%2E%2E'],
    ['...', '...'],
    ['a.b', 'a.b'],
    ['9007199254740993', '9007199254740993'],
    ['\\', '%5C'],
    ['\ud800', '%EF%BF%BD'],
  ])('the id %j stays one segment of the path', (id, segment) =>
    withServer(json, async (client, server) => {
      await client.send(id, GET, NEVER)
      expect(server.received[0]?.url).toBe(`/v1/user/${segment}/`)
    }),
  )

  test('a base URL may have a path, with or without a slash at its end', () =>
    withServer(json, async (_, server) => {
      for (const base of ['/gate/way', '/gate/way/', '']) {
        const client = clientFor(`${server.url}${base}`)
        await client.send('u', GET, NEVER)
        await client.close()
      }
      expect(server.received.map(({ url }) => url)).toEqual([
        '/gate/way/v1/user/u/',
        '/gate/way/v1/user/u/',
        '/v1/user/u/',
      ])
    }))

  test('an empty id is refused before anything is sent', () =>
    withServer(json, async (client, server) => {
      await expect(client.send('', { kind: 'delete' }, NEVER)).rejects.toMatchObject({ code: 'empty_user_id' })
      expect(server.received).toEqual([])
    }))
})

describe('answers', () => {
  test.each<[string, number, string, unknown]>([
    ['JSON', 400, '{"code":400,"message":"no"}', { code: 400, message: 'no' }],
    ['text', 401, 'Not Authenticated', 'Not Authenticated'],
    ['HTML', 502, '<html></html>', '<html></html>'],
    ['nothing', 204, '', null],
    ['a redirect, which is not followed', 302, '', null],
    ['JSON cut short', 200, '{"distinct_id":', '{"distinct_id":'],
  ])('%s', (_, status, text, body) =>
    withServer(
      (response) => response.writeHead(status, { location: '/elsewhere' }).end(text),
      async (client, server) => {
        expect(await client.send('u', GET, NEVER)).toEqual({ kind: 'answered', status, retryAfterMs: null, body })
        expect(server.received).toHaveLength(1)
      },
    ),
  )

  test.each(['[', '{"a":'])(
    'nested too deep (%s): its text, cut, so that nothing that reads it overflows the stack',
    (open) => {
      const close = open === '[' ? ']' : '}'
      const text = open.repeat(100_000) + (open === '[' ? '' : '1') + close.repeat(100_000)
      return withServer(
        (response) => response.writeHead(400).end(text),
        async (client) => {
          const answer = await client.send('u', GET, NEVER)
          expect(answer).toMatchObject({ kind: 'answered', status: 400, body: text.slice(0, 4_096) })
          expect(outcomeOf('edit', answer)).toMatchObject({ kind: 'rejected' })
        },
      )
    },
  )

  test.each<[string, Record<string, string>, number | null]>([
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['parts of a second', { 'retry-after': '0.5' }, 500],
    [
      "a date, by the server's own clock",
      { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT', date: 'Fri, 31 Dec 1999 23:59:29 GMT' },
      30_000,
    ],
    ['a date gone by', { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' }, 0],
    ['nonsense', { 'retry-after': 'soon' }, null],
    ['nonsense that could be a year', { 'retry-after': 'wait 35' }, null],
    ['a power', { 'retry-after': '1e99' }, null],
    ['less than nothing', { 'retry-after': '-5' }, null],
  ])('Retry-After: %s', (_, headers, retryAfterMs) =>
    withServer(
      (response) => response.writeHead(429, headers).end(),
      async (client) => {
        expect(await client.send('u', GET, NEVER)).toMatchObject({ kind: 'answered', status: 429, retryAfterMs })
      },
    ),
  )

  test.each([201, 500])('an endless body is cut, and the status %i still counts', (status) =>
    withServer(
      (response) => {
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
        }
        response.writeHead(status).on('drain', more)
        more()
      },
      async (client) => {
        expect(await client.send('u', GET, NEVER)).toEqual({ kind: 'answered', status, retryAfterMs: null, body: null })
      },
    ),
  )

  test.each(['cut', 'broken off'])(
    'of a web page that is %s its beginning is kept, so that it is not taken for success',
    (how) =>
      withServer(
        (response, _, socket) => {
          response.writeHead(200, { 'content-length': '9000000' })
          response.write('<html>', () => {
            if (how === 'cut') response.write(Buffer.alloc(2_000_000, 0x20))
            else socket.end()
          })
        },
        async (client) => {
          const body = expect.stringMatching(/^<html>/)
          expect(await client.send('u', GET, NEVER)).toMatchObject({ kind: 'answered', status: 200, body })
        },
      ),
  )

  test('a 2xx whose body breaks off was applied; any other status whose body breaks off is unclear', async () => {
    for (const [status, expected] of [
      [201, { kind: 'answered', status: 201, retryAfterMs: null, body: null }],
      [400, { kind: 'unclear', code: 'UND_ERR_SOCKET' }],
    ] as const) {
      await withServer(
        (response, _, socket) => {
          response.writeHead(status, { 'content-length': '100' })
          response.write('{"a', () => socket.end())
        },
        async (client) => expect(await client.send('u', GET, NEVER)).toEqual(expected),
      )
    }
  })
})

describe('no answer', () => {
  test('a refused connection: unsent', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const client = clientFor(`http://127.0.0.1:${port}`)
    const answers = await Promise.all([1, 2, 3].map((n) => client.send(`u${n}`, GET, NEVER)))
    expect(answers).toEqual(answers.map(() => ({ kind: 'unsent', code: 'ECONNREFUSED' })))
    await client.close()
  })

  test('a name that does not exist: unsent', async () => {
    const client = clientFor('http://nobody.invalid')
    const answer = await client.send('u', GET, NEVER)
    expect(answer.kind).toBe('unsent')
    expect(['ENOTFOUND', 'EAI_AGAIN']).toContain(answer.kind === 'unsent' ? answer.code : '')
    await client.close()
  })

  test('a TLS handshake that fails: unsent', () =>
    withServer(json, async (_, server) => {
      const client = clientFor(server.url.replace('http:', 'https:'))
      expect(await client.send('u', GET, NEVER)).toMatchObject({ kind: 'unsent' })
      expect(server.received).toEqual([])
      await client.close()
    }))

  // Not the code decides but whether anything was written: each of these can come before and after it.
  test.each([
    ...['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_SOCKET', 'ECONNRESET'],
    ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EPIPE', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'],
    ...['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID', 'HPE_INVALID_CONSTANT'],
  ])('%s: unsent before the request was begun, unclear after', (code) => {
    for (const started of [false, true]) {
      const buffer = new AnswerBuffer()
      buffer.started = started
      const answer = buffer.broken(Object.assign(new Error('x'), { code }))
      expect(answer).toEqual({ kind: started ? 'unclear' : 'unsent', code })
      const outcome = { kind: 'retry', scope: 'host', applied: started ? 'unclear' : 'no' }
      expect(outcomeOf('edit', answer)).toMatchObject(outcome)
    }
  })

  test('a connection that is never made: unsent when its time is over', async () => {
    // Accepts, and then says nothing of the TLS that the client begins.
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const client = clientFor(`https://127.0.0.1:${port}`, { connectTimeoutMs: 100 })
    expect(await client.send('u', GET, NEVER)).toEqual({ kind: 'unsent', code: 'UND_ERR_CONNECT_TIMEOUT' })
    await client.destroy()
    server.close()
  })

  test('reset after the request arrived: unclear, and the next request has a new connection', () => {
    let first = true
    return withServer(
      (response, request, socket) => {
        if (!first) return json(response, request, socket)
        first = false
        socket.resetAndDestroy()
      },
      async (client, server) => {
        expect(await client.send('u', { kind: 'delete' }, NEVER)).toEqual({ kind: 'unclear', code: 'ECONNRESET' })
        expect(await client.send('u', GET, NEVER)).toMatchObject({ kind: 'answered', status: 201 })
        expect(server.received.map(({ method }) => method)).toEqual(['DELETE', 'GET'])
      },
    )
  })

  test('closed after the request arrived: unclear, and never sent again by itself', () =>
    withServer(
      (_, __, socket) => socket.destroy(),
      async (client, server) => {
        for (const request of [GET, { kind: 'delete' }, { kind: 'upsert', body: {} }] satisfies ApiRequest[]) {
          expect(await client.send('u', request, NEVER)).toEqual({ kind: 'unclear', code: 'UND_ERR_SOCKET' })
        }
        expect(server.received.map(({ method }) => method)).toEqual(['GET', 'DELETE', 'POST'])
      },
    ))

  test('headers that never come: unclear', () =>
    withServer(
      () => undefined,
      async (client) => {
        expect(await client.send('u', GET, NEVER)).toEqual({ kind: 'unclear', code: 'UND_ERR_HEADERS_TIMEOUT' })
      },
      { headersTimeoutMs: 100 },
    ))

  test('a body that never ends: unclear', () =>
    withServer(
      (response) => response.writeHead(400, { 'content-length': '9' }).write('{'),
      async (client) => {
        expect(await client.send('u', GET, NEVER)).toEqual({ kind: 'unclear', code: 'UND_ERR_BODY_TIMEOUT' })
      },
      { bodyTimeoutMs: 100 },
    ))

  test('a body that trickles in is not waited for without end', () =>
    withServer(
      (response) => {
        response.writeHead(400)
        const drip = setInterval(() => response.write('.'), 10)
        response.on('close', () => clearInterval(drip))
      },
      async (client) => {
        expect(await client.send('u', GET, NEVER)).toEqual({ kind: 'unclear', code: 'answer_too_slow' })
      },
      { headersTimeoutMs: 100, bodyTimeoutMs: 100 },
    ))
})

describe('giving up and ending', () => {
  test('given up while under way: unclear, and the socket is reset', () => {
    let closed = false
    return withServer(
      (_, __, socket) => {
        socket.on('close', () => {
          closed = true
        })
      },
      async (client, server) => {
        const giveUp = new AbortController()
        const sending = client.send('u', GET, giveUp.signal)
        await until(() => server.received.length === 1)
        giveUp.abort()
        expect(await sending).toEqual({ kind: 'unclear', code: 'aborted' })
        await until(() => closed)
      },
    )
  })

  test('given up before: unsent, also while it waits for a connection, and it is never written', () => {
    const held: (() => void)[] = []
    return withServer(
      (response) => held.push(() => response.writeHead(200).end()),
      async (client, server) => {
        const gone = AbortSignal.abort()
        expect(await client.send('gone', GET, gone)).toEqual({ kind: 'unsent', code: 'aborted' })
        const first = client.send('first', GET, NEVER)
        const giveUp = new AbortController()
        const queued = client.send('queued', GET, giveUp.signal)
        await until(() => held.length === 1)
        giveUp.abort()
        expect(await queued).toEqual({ kind: 'unsent', code: 'aborted' })
        held.pop()?.()
        expect(await first).toMatchObject({ status: 200 })
        const last = client.send('last', GET, NEVER)
        await until(() => held.length === 1)
        held.pop()?.()
        expect(await last).toMatchObject({ status: 200 })
        expect(server.received.map(({ url }) => url)).toEqual(['/v1/user/first/', '/v1/user/last/'])
      },
      { maxInFlight: 1 },
    )
  })

  test('never more connections than allowed', () => {
    const held: (() => void)[] = []
    return withServer(
      (response) => held.push(() => response.writeHead(200).end()),
      async (client, server) => {
        let ended = 0
        const sending = Array.from({ length: 20 }, (_, n) => client.send(`u${n}`, GET, NEVER).then(() => ended++))
        while (ended < 20) {
          await until(() => held.length > 0 || ended === 20)
          expect(held.length).toBeLessThanOrEqual(4)
          held.shift()?.()
        }
        await Promise.all(sending)
        expect(server.connections).toBeLessThanOrEqual(4)
      },
    )
  })

  test('close waits for what is under way; destroy does not; both may be called twice', () => {
    const held: (() => void)[] = []
    return withServer(
      (response) => held.push(() => response.writeHead(200).end()),
      async (client, server) => {
        const sending = client.send('u', GET, NEVER)
        await until(() => held.length === 1)
        const closing = client.close()
        expect(await client.send('late', GET, NEVER)).toMatchObject({ kind: 'unsent' })
        held.pop()?.()
        expect(await sending).toMatchObject({ status: 200 })
        await closing
        await client.close()
        await client.destroy()

        const other = clientFor(server.url)
        const lost = other.send('u', GET, NEVER)
        await until(() => held.length === 1)
        await Promise.all([other.close(), other.destroy(), other.destroy()])
        expect(await lost).toMatchObject({ kind: 'unclear' })
        await other.close()
      },
    )
  })
})

test('what may no longer leave when it is about to be written is unsent, and the connection serves on', () =>
  withServer(json, async (client, server) => {
    expect(await client.send('user1', GET, NEVER, () => false)).toEqual({ kind: 'unsent', code: 'aborted' })
    expect((await client.send('user2', GET, NEVER, () => true)).kind).toBe('answered')
    expect(server.received.map(({ url }) => url)).toEqual(['/v1/user/user2/'])
  }))
