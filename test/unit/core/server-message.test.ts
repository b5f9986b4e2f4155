// Which key, and which of its values, an error answer is about, in every shape in which APIs say such a thing.
import { describe, expect, test } from 'vitest'
import type { ApiRequest, Outcome } from '../../../src/core/api.ts'
import type { Json } from '../../../src/core/json.ts'
import { outcomeOf } from '../../../src/core/outcome.ts'
import { messageText } from '../../../src/core/server-message.ts'

const POST: ApiRequest = {
  kind: 'upsert',
  body: {
    $email: ['ann@example.com', 'bad-one', 'bad-two'],
    $sms: ['+14155550100', '+1555'],
    $whatsapp: ['+1555'],
    $timezone: 'EST',
    bio: 'long',
  },
}
const PATCH: ApiRequest = {
  kind: 'edit',
  operations: [
    { $remove: { $email: 'old@example.com' } },
    { $unset: ['nickname'] },
    { $append: { $email: 'bad-one' } },
    { $append: { $sms: '+1555' } },
    { $append: { $iospush: 'token', $id_provider: 'apns' } },
    { $set: { bio: 'long', $locale: 'xx' } },
  ],
}

function outcome(request: ApiRequest, body: Json, status = 400): Outcome {
  return outcomeOf(request, { kind: 'answered', status, retryAfterMs: null, body })
}

function brief(request: ApiRequest, body: Json): string {
  const drawn = outcome(request, body)
  if (drawn.kind !== 'rejected') return drawn.kind
  const { failure, places } = drawn
  return failure.key === null ? failure.code : `${failure.key} ${(places ?? []).join()}`.trim()
}

const SMS = "invalid value for channel 'sms': +1555. error: error while parsing number to E164 format"
const email = (value: string) => `invalid value for channel 'email': ${value}. error: invalid value`

describe('a key, whatever the shape of the answer', () => {
  const cases: readonly (readonly [string, ApiRequest, Json, string])[] = [
    ['plain text', POST, SMS, '$sms 1'],
    ['message', POST, { code: 400, message: SMS }, '$sms 1'],
    ['detail beside a general message', POST, { code: 400, message: 'invalid_request_error', detail: SMS }, '$sms 1'],
    ['detail beside an empty message', POST, { message: '', detail: SMS }, '$sms 1'],
    ['an error object', POST, { error: { type: 'x', message: SMS } }, '$sms 1'],
    ['JSON in a string', POST, { message: JSON.stringify({ message: SMS }) }, '$sms 1'],
    ['JSON by key in a string', POST, { message: '{"$sms":"+1555 is no number"}' }, '$sms 1'],
    ['a list of texts', POST, { errors: ['invalid_request_error', SMS] }, '$sms 1'],
    ['a list of objects', POST, { errors: [{ code: 1, message: SMS }] }, '$sms 1'],
    ['a list at the top', POST, [{ message: SMS }], '$sms 1'],
    ['by key', POST, { $sms: ['+1555 is no number'] }, '$sms 1'],
    ['by key, further in', POST, { code: 400, errors: { $sms: ['+1555 is no number'] } }, '$sms 1'],
    ['by field', POST, { errors: [{ field: '$sms', message: 'invalid: +1555' }] }, '$sms 1'],
    ['by location', PATCH, { detail: [{ loc: ['operations', 3, '$append', '$sms'], msg: 'bad' }] }, '$sms 0'],
    ['a path', PATCH, { message: 'operations[3].$append.$sms: value must be of string type' }, '$sms 0'],
    ['a path to the second value', PATCH, { message: 'operations.2.$append.$email: bad' }, '$email 1'],
    ['a path to what was to be removed', PATCH, { message: 'operations[0].$remove.$email: bad' }, '$email 0'],
    ['the place of an operation alone', PATCH, { message: 'operations[4]: decoding failed' }, '$iospush 0'],
    ['the place of an operation that is not there', PATCH, { message: 'operations[40]: bad' }, 'invalid_request'],
    ['the place of an operation of many keys', PATCH, { message: 'operations[5]: bad' }, 'invalid_request'],
    ['a quoted path', PATCH, { message: "decoding failed: '$append[0].$email' expected type 'string'" }, '$email'],
    ['a field', POST, { message: 'Request body contains an invalid value for the "$email" field' }, '$email'],
    ['a key as a subject', POST, { message: '"$timezone" must be an IANA name' }, '$timezone'],
    ['a channel in other quotes', POST, { message: 'Invalid value for channel "SMS": +1555' }, '$sms 1'],
    ['one value in two channels', POST, { message: SMS.replace('sms', 'whatsapp') }, '$whatsapp 0'],
    ['two values of one key', POST, { errors: [email('bad-one'), email('bad-two')] }, '$email 1,2'],
    ['two keys: the first', POST, { errors: [SMS, email('bad-one')] }, '$sms 1'],
    ['a property that was sent', POST, { message: 'bio: is too long' }, 'bio 0'],
    ['a property that was sent, by path', PATCH, { message: 'operations[5].$set.bio: is too long' }, 'bio 0'],
    ['a property that was not sent', POST, { message: 'age: is too long' }, 'invalid_request'],
    ['what is in every object', POST, { message: 'constructor: is bad', toString: 'x' }, 'invalid_request'],
    ['a key that is a part of the text', POST, { message: 'body is too large; see $sms: 12' }, 'invalid_request'],
    ['passing trouble beside it', POST, { message: 'db_error tcp h: i/o timeout', detail: 'x' }, 'retry'],
    ['passing trouble in a list', POST, { errors: [{ message: 'datacache failure during GET' }] }, 'retry'],
  ]
  test.each(cases)('%s', (_what, request, body, expected) => {
    expect(brief(request, body)).toBe(expected)
  })

  test('a value that is too large is left out as one that is refused', () => {
    expect(outcome(POST, { message: 'bio: is too large' }, 413)).toMatchObject({
      failure: { code: 'too_large', key: 'bio' },
    })
  })
})

test('deep, long and endless answers are read at once', () => {
  let deep: Json = 'x'
  for (let at = 0; at < 250; at += 1) deep = at % 2 === 0 ? [deep] : { errors: deep }
  let wrapped = JSON.stringify({ message: SMS })
  for (let at = 0; at < 8; at += 1) wrapped = JSON.stringify({ message: wrapped })
  const wide = Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`$k${at}`, ['v'.repeat(10)]]))
  const startedAt = performance.now()
  for (const body of [
    deep,
    wrapped,
    wide,
    { errors: Array(100_000).fill('') },
    '['.repeat(4_000),
    `${'a.'.repeat(2_000)}`,
  ])
    expect(['rejected', 'retry']).toContain(outcome(PATCH, body).kind)
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  expect(messageText(wide).length).toBeLessThanOrEqual(4_096)
})
