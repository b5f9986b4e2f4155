// Answer → outcome, over the documented answers and the odd ones; and that no word of the server gets through (P8).
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Answer, Outcome, RequestKind } from '../../../src/core/api.ts'
import { ERROR_POLICY } from '../../../src/core/error-policy.ts'
import type { Json } from '../../../src/core/json.ts'
import { outcomeOf, unreadable } from '../../../src/core/outcome.ts'

function answered(status: number, body: Json = null, retryAfterMs: number | null = null): Answer {
  return { kind: 'answered', status, body, retryAfterMs }
}

/** `retry no user busy`, `rejected invalid_value $sms`, … : what matters, in one line. */
function brief(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'accepted':
      return outcome.user === null ? 'accepted' : 'accepted user'
    case 'missing':
      return 'missing'
    case 'retry':
      return `retry ${outcome.applied} ${outcome.scope} ${outcome.failure.code}`
    case 'rejected':
      return ['rejected', outcome.failure.code, outcome.failure.key].filter((part) => part !== null).join(' ')
    case 'stop':
      return `stop ${outcome.failure.code}`
  }
}

const message = (status: number, text: string) => answered(status, { code: status, message: text })
const user = { distinct_id: 'u', properties: {} }
const missing = "user [distinct_id: 'u'] not found"

const TABLE: readonly (readonly [RequestKind, Answer, string])[] = [
  ['upsert', answered(201, user), 'accepted user'],
  ['edit', answered(202, user), 'accepted user'],
  // A 2xx of something else is none of the API's.
  ['edit', answered(200, '<html>'), 'retry unclear user not_the_api'],
  ['delete', answered(200, ' <!DOCTYPE html>'), 'retry unclear user not_the_api'],
  ['get', answered(200, '<html>'), 'retry unclear user not_the_api'],
  ['edit', answered(200, 'OK'), 'retry unclear user not_the_api'],
  ['upsert', answered(207, 'OK'), 'retry unclear user not_the_api'],
  ['upsert', answered(200, []), 'retry unclear user not_the_api'],
  ['upsert', answered(201), 'accepted'],
  ['upsert', answered(201, {}), 'accepted'],
  ['edit', answered(200, ' {"distinct_id":"u","prop'), 'accepted'],
  ['delete', answered(200, 'OK'), 'accepted'],
  // An error in the clothes of success.
  ['edit', answered(200, { code: 400, message: 'invalid timezone: X' }), 'rejected invalid_value $timezone'],
  ['delete', answered(200, { code: 500, message: 'internal' }), 'retry unclear user server_error'],
  ['delete', answered(202, { code: 404, message: missing }), 'missing'],
  ['edit', answered(200, { code: 200, message: 'ok' }), 'accepted'],
  ['edit', answered(200, { ...user, code: 400, message: 'm' }), 'accepted user'],
  ['delete', answered(204), 'accepted'],
  ['delete', message(404, missing), 'missing'],
  ['edit', message(404, "User [distinct_id: 'u'] not found"), 'missing'],
  ['get', answered(404, missing), 'missing'],
  ['upsert', message(404, missing), 'rejected not_found'],
  // A wrong base_url must neither lose a DELETE nor fail everybody.
  ['delete', answered(404, '404 page not found\n'), 'retry no user not_the_api'],
  ['delete', answered(404, '<html>user not found</html>'), 'retry no user not_the_api'],
  ['delete', answered(404), 'retry no user not_the_api'],
  ['delete', message(404, 'no such endpoint'), 'retry no user not_the_api'],
  ['upsert', answered(404, { detail: 'Not Found' }), 'retry no user not_the_api'],
  ['upsert', answered(301, '<html>'), 'retry no user redirected'],
  ['upsert', answered(308), 'retry no user redirected'],
  ['edit', answered(401, 'Not Authenticated - could not find Workspace details'), 'stop unauthorized'],
  ['edit', message(402, 'pay'), 'stop payment_required'],
  ['edit', message(403, 'workspace key inactive'), 'stop forbidden'],
  ['edit', answered(403, '<!DOCTYPE html><title>Attention Required!</title>'), 'retry no user gateway_refused'],
  ['edit', answered(408), 'retry unclear user busy'],
  ['edit', answered(409), 'retry no user busy'],
  ['edit', answered(425), 'retry no user busy'],
  ['edit', message(429, 'slow down'), 'retry no host rate_limited'],
  ['edit', message(500, 'internal'), 'retry unclear user server_error'],
  ['edit', answered(502, '<html>bad gateway</html>'), 'retry unclear host server_error'],
  ['edit', answered(503), 'retry unclear host server_error'],
  ['edit', answered(413), 'rejected too_large'],
  ['upsert', message(400, 'invalid_request_error'), 'rejected invalid_request'],
  ['upsert', answered(400, 'BAD REQUEST'), 'rejected invalid_request'],
  ['upsert', answered(418, 'teapot'), 'rejected invalid_request'],
  ['upsert', answered(422), 'rejected invalid_request'],
  // Errors that name their key.
  ['edit', message(400, '$iospush: value must be of string type'), 'rejected invalid_value $iospush'],
  ['edit', message(400, '{"$sms":"is bad"}'), 'rejected invalid_value $sms'],
  [
    'edit',
    message(400, "invalid value for channel 'sms': 12. error: error while parsing"),
    'rejected invalid_value $sms',
  ],
  ['edit', message(400, 'invalid email address. must be 6 <= len(email) <= 320'), 'rejected invalid_value $email'],
  ['edit', message(400, 'value in email format required'), 'rejected invalid_value $email'],
  ['edit', message(400, 'invalid timezone: EST'), 'rejected invalid_value $timezone'],
  ['edit', message(400, "invalid locale/language: 'xx'"), 'rejected invalid_value $locale'],
  ['edit', message(400, 'invalid language: xx'), 'rejected invalid_value $preferred_language'],
  ['edit', message(400, 'invalid webpush subscription: {}'), 'rejected invalid_value $webpush'],
  ['edit', answered(400, { error: { message: 'invalid timezone: X' } }), 'rejected invalid_value $timezone'],
  ['edit', message(400, '$secret: value'), 'rejected invalid_request'],
  // Passing trouble, whatever the status; but not where a refused value only reads like it.
  ['edit', message(400, 'db_error tcp 10.0.0.1:5432: i/o timeout'), 'retry unclear user transient'],
  ['edit', message(401, 'datacache failure during GET'), 'retry unclear user transient'],
  ['edit', message(500, 'redis eval error: EOF'), 'retry unclear user transient'],
  ['upsert', answered(409, 'db_integrity_violation duplicate key value violates'), 'retry unclear user transient'],
  ['edit', message(400, "invalid value for channel 'email': db_error. error: x"), 'rejected invalid_value $email'],
  // No answer.
  ['edit', { kind: 'unsent', code: 'ECONNREFUSED' }, 'retry no host unreachable'],
  ['edit', { kind: 'unclear', code: 'ECONNRESET' }, 'retry unclear host no_answer'],
  ['edit', { kind: 'unsent', code: 'aborted' }, 'retry no user aborted'],
  ['edit', { kind: 'unclear', code: 'aborted' }, 'retry unclear user aborted'],
]

describe('outcome', () => {
  test.each(TABLE.map(([kind, answer, expected]) => ({ kind, answer, expected })))(
    '$kind $answer.status $answer.code $answer.body → $expected',
    ({ kind, answer, expected }) => {
      expect(brief(outcomeOf(kind, answer))).toBe(expected)
    },
  )

  test('an answer that does not tell what it should is counted, and tolerated', () => {
    for (const body of [null, {}, 'OK', [], { distinct_id: 7, properties: {} }, { distinct_id: 'u', properties: [] }]) {
      for (const kind of ['upsert', 'edit', 'get'] as const)
        expect(unreadable(kind, answered(200, body))).toBe('no_user')
      expect(unreadable('delete', answered(204, body))).toBeNull()
    }
    expect(unreadable('edit', answered(202, user))).toBeNull()
    for (const body of [null, '', ' ', {}, [], 7, { message: '' }, { message: { code: 1 } }, { error: [7] }])
      expect(unreadable('edit', answered(500, body))).toBe('no_message')
    for (const body of ['BAD REQUEST', { detail: 'x' }, { error: { message: 'x' } }, { error: ['x'] }])
      expect(unreadable('edit', answered(400, body))).toBeNull()
    expect(unreadable('edit', { kind: 'unclear', code: 'ECONNRESET' })).toBeNull()
    expect(unreadable('edit', answered(308))).toBeNull()
  })

  test('Retry-After is the floor', () => {
    expect(outcomeOf('edit', answered(429, null, 7000))).toMatchObject({ floorMs: 7000 })
    expect(outcomeOf('edit', answered(503, '<html>', 5000))).toMatchObject({ floorMs: 5000 })
    // The API's own 503 speaks for everybody then, whatever its text.
    for (const text of ['try later', 'db_error tcp h: i/o timeout']) {
      const body = { code: 503, message: text }
      expect(outcomeOf('edit', answered(503, body, 5000))).toMatchObject({ floorMs: 5000, scope: 'host' })
      expect(outcomeOf('edit', answered(503, body))).toMatchObject({ scope: 'user' })
      expect(outcomeOf('edit', answered(429, body))).toMatchObject({ scope: 'host' })
      expect(outcomeOf('edit', answered(500, body, 5000))).toMatchObject({ scope: 'user' })
    }
  })

  test('a failure says what and which key, and never a word of the server', () => {
    expect(outcomeOf('edit', message(400, "invalid value for channel 'sms': +1 555. error: x"))).toEqual({
      kind: 'rejected',
      failure: {
        code: 'invalid_value',
        status: 400,
        key: '$sms',
        message: 'SuprSend refused a value (key $sms, HTTP 400)',
      },
    })
    const canary = 'canary-ann@example.com'
    const wrapped = fc.constantFrom<(text: string) => Json>(
      (text) => text,
      (text) => ({ code: 400, message: text }),
      (text) => ({ detail: text }),
      (text) => ({ error: { message: text } }),
      (text) => ({ error: { error: { error: text } } }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 300, max: 599 }), wrapped, fc.string(), fc.string(), (status, wrap, a, b) => {
        const outcome = outcomeOf('edit', answered(status, wrap(`${a}${canary}${b}`)))
        expect(JSON.stringify(outcome)).not.toContain('canary')
      }),
    )
  })

  test('a text of 1 MB is read at once', () => {
    const text = 'user '.repeat(200_000)
    const startedAt = performance.now()
    for (const body of [text, { code: 400, message: text }, { error: { message: text } }])
      expect(brief(outcomeOf('delete', answered(404, body)))).toBe('retry no user not_the_api')
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })

  test('only what certainly did nothing is `applied: no`', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), fc.jsonValue(), (status, body) => {
        const outcome = outcomeOf('upsert', answered(status, body as Json))
        if (outcome.kind === 'accepted') expect(status >= 200 && status < 300).toBe(true)
        else if (status >= 500 || status === 408) expect(outcome).toMatchObject({ kind: 'retry', applied: 'unclear' })
      }),
    )
  })
})

test('the page for operators lists every code with what happens', async () => {
  const page = await readFile(new URL('../../../docs/delivery-errors.md', import.meta.url), 'utf8')
  const rows = [...(page.split('## Findings')[0] ?? '').matchAll(/^\| `(\w+)` \| ([\w ]+) \|/gm)].map(
    ([, code, action]) => [code, action],
  )
  expect(Object.fromEntries(rows)).toEqual(
    Object.fromEntries(Object.entries(ERROR_POLICY).map(([code, policy]) => [code, policy.action])),
  )
})
