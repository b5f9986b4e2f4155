// The preflight against a real socket: what passes, and which finding each trouble gives.
import { expect, test } from 'vitest'
import { checkSuprsend } from '../../../src/suprsend/check.ts'
import { createClient } from '../../../src/suprsend/client.ts'
import { type LoopbackServer, type Received, startServer } from './loopback-server.ts'

async function check(
  status: number,
  text: string,
): Promise<{ findings: readonly unknown[]; received: readonly Received[] }> {
  await using server = await startServer((response) => response.writeHead(status).end(text))
  return { findings: await run(server.url), received: server.received }
}

async function run(baseUrl: LoopbackServer['url']) {
  await using client = createClient({
    baseUrl,
    apiKey: { reveal: () => 'secret-key' },
    maxInFlight: 1,
    connectTimeoutMs: 2_000,
    headersTimeoutMs: 2_000,
    bodyTimeoutMs: 2_000,
    userAgent: 'suprsync/0',
  })
  return checkSuprsend({ client, signal: new AbortController().signal })
}

test.each([
  ['unknown, as it must be', 404, '{"code":404,"message":"user [distinct_id: \'x\'] not found"}'],
  ['the only error the reference lists', 400, '{"code":400,"message":"invalid_request_error"}'],
  ['a user after all', 200, '{"distinct_id":"x","properties":{}}'],
])('passes: %s', async (_, status, text) => {
  const { findings, received } = await check(status, text)
  expect(findings).toEqual([])
  expect(received).toHaveLength(1)
  expect(received[0]?.method).toBe('GET')
  expect(received[0]?.url).toMatch(/^\/v1\/user\/suprsync-check-[0-9a-f-]{36}\/$/)
})

test.each([
  [401, 'Not Authenticated - could not find Workspace details', 'error', 'api_key_rejected'],
  [403, '{"code":403,"message":"workspace key inactive"}', 'error', 'api_key_rejected'],
  [404, '404 page not found', 'error', 'suprsend_wrong_address'],
  [301, '', 'error', 'suprsend_wrong_address'],
  [200, '<html>welcome</html>', 'error', 'suprsend_wrong_address'],
  [200, '{"status":"ok"}', 'error', 'suprsend_wrong_address'],
  [204, '', 'error', 'suprsend_wrong_address'],
  [503, '', 'warning', 'suprsend_unavailable'],
  [429, '', 'warning', 'suprsend_unavailable'],
  [418, 'teapot', 'warning', 'suprsend_unexpected'],
])('%i %s → %s %s', async (status, text, level, code) => {
  const { findings } = await check(status, text)
  expect(findings).toMatchObject([{ level, code }])
  expect(JSON.stringify(findings)).not.toContain('secret-key')
})

test('nobody there', async () => {
  const server = await startServer(() => undefined)
  await server[Symbol.asyncDispose]()
  expect(await run(server.url)).toMatchObject([{ level: 'error', code: 'suprsend_unreachable', cause: 'ECONNREFUSED' }])
})
