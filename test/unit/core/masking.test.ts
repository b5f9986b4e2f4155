// What is shown of a request: a value's kind and length, never the value unless asked for, and never a secret.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: how a secret is shown
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Json } from '../../../src/core/json.ts'
import { type Masking, maskChannelValue, maskValue, showRequest } from '../../../src/core/masking.ts'

const reference = (name: string) => `$${'{'}${name}}`

test.each<[Json, Json]>([
  ['ada@example.com', 'a…@e….com (15)'],
  ['al@ex.io', '…@….io (8)'],
  ['ada@example.internal', 'text(20)'],
  ['+447911123423', '+44…23 (13)'],
  ['+4479111', 'text(8)'],
  ['Ada Lovelace', 'text(12)'],
  ['', 'text(0)'],
  [42, 'number'],
  [true, 'boolean'],
  [null, 'null'],
  [['a', 'b'], 'list(2)'],
  [{ 'ada@example.com': 1 }, 'object(1)'],
  [{ $suprsync_secret: { name: 'SLACK_BOT_TOKEN', fingerprint: 'f' } }, reference('SLACK_BOT_TOKEN')],
])('of %j is shown %j', (value, shown) => {
  expect(maskValue(value, 'masked')).toEqual(shown)
})

test('of an object of the API each field is shown, the names of others are not', () => {
  const value = {
    email: 'ada@example.com',
    access_token: { $suprsync_secret: { name: 'SLACK_BOT_TOKEN', fingerprint: 'f' } },
    keys: { auth: 'k' },
    'ada@example.com': true,
  }
  expect(maskChannelValue(value, 'masked')).toEqual({
    email: 'a…@e….com (15)',
    access_token: reference('SLACK_BOT_TOKEN'),
    keys: { auth: 'text(1)' },
    '…': 'fields(1)',
  })
})

test('a name that only a row knows may be an address as well', () => {
  const body = { 'ada@example.com': 1, 'ann@example.org': 2, 'adi@example.com': 3, '+447911123423': 'x', plan_2024: 4 }
  const names = (masking: Masking) => Object.keys(showRequest({ kind: 'upsert', body }, masking).body ?? {})
  expect(names('masked')).toEqual([
    ...['a…@e….com (15)', 'a…@e….org (15)', 'a…@e….com (15) 2', '+44…23 (13)', 'plan_2024'],
  ])
  expect(names('clear')).toEqual(Object.keys(body))
  const operations = [{ $unset: ['ada@example.com', 'plan'] }]
  expect(showRequest({ kind: 'edit', operations }, 'masked').body).toEqual({
    operations: [{ $unset: ['a…@e….com (15)', 'plan'] }],
  })
})

test.each<[Masking, Json]>([
  ['masked', 'text(6)'],
  ['clear', 'token1'],
])('every kind of request, %s', (masking, token) => {
  const clear = masking === 'clear'
  expect(
    showRequest({ kind: 'upsert', body: { $androidpush: ['token1'], name: 'Ada', tags: ['x'] } }, masking),
  ).toEqual({
    method: 'POST',
    body: { $androidpush: [token], name: clear ? 'Ada' : 'text(3)', tags: clear ? ['x'] : 'list(1)' },
  })
  const operations = [
    { $remove: { $androidpush: 'token1', $id_provider: 'xiaomi' } },
    { $unset: ['plan'] },
    { $append: { $iospush: 'token1', $id_provider: 'apns', $bundle_id: 'app.id' } },
    { $set: { $timezone: 'Asia/Kolkata' } },
  ]
  expect(showRequest({ kind: 'edit', operations }, masking)).toEqual({
    method: 'PATCH',
    body: {
      operations: [
        { $remove: { $androidpush: token, $id_provider: 'xiaomi' } },
        { $unset: ['plan'] },
        { $append: { $iospush: token, $id_provider: 'apns', $bundle_id: clear ? 'app.id' : 'text(6)' } },
        { $set: { $timezone: clear ? 'Asia/Kolkata' : 'text(12)' } },
      ],
    },
  })
  expect(showRequest({ kind: 'delete' }, masking)).toEqual({ method: 'DELETE', body: null })
})

test('a provider that is none is a value like any other', () => {
  const operations = [{ $append: { $androidpush: 't', $id_provider: 'canary' } }]
  expect(JSON.stringify(showRequest({ kind: 'edit', operations }, 'masked'))).not.toContain('canary')
})

test('secrets stay references even where values are shown', () => {
  const value = { user_id: 'U1', access_token: { $suprsync_secret: { name: 'TOKEN', fingerprint: 'abc' } } }
  expect(maskChannelValue(value, 'clear')).toEqual({ user_id: 'U1', access_token: reference('TOKEN') })
  expect(maskValue({ nested: [value] }, 'clear')).toEqual({
    nested: [{ user_id: 'U1', access_token: reference('TOKEN') }],
  })
  expect(maskValue({ $suprsync_secret: { name: 'N', fingerprint: 'f' } }, 'clear')).toBe(reference('N'))
})

test('no text of any value is shown masked', () => {
  const canary = 'canary'
  const holds = fc.oneof(
    fc.constant(canary),
    fc.string().map((text) => `${text}${canary}`),
    fc.constant(`${canary}@${canary}.${canary}`),
    fc.constant({ [canary]: canary, email: `${canary}@example.com`, keys: { p256dh: canary, [canary]: [canary] } }),
    fc.constant([canary, { [canary]: 1 }]),
  )
  fc.assert(
    fc.property(holds, (value: Json) => {
      const body = { $email: [value], $slack: [value], $webpush: value, name: value }
      const operations = [{ $append: { $slack: value } }, { $set: { name: value } }, { $remove: { $email: value } }]
      const shown = [
        showRequest({ kind: 'upsert', body }, 'masked'),
        showRequest({ kind: 'edit', operations }, 'masked'),
      ]
      return !JSON.stringify(shown).includes(canary)
    }),
  )
})

test('a token is shown to nobody, whoever put it there', () => {
  const value = { user_id: 'U1', access_token: 'xoxb-canary' }
  expect(maskChannelValue(value, 'clear')).toEqual({ user_id: 'U1', access_token: 'text(11)' })
  const removal = { kind: 'edit', operations: [{ $remove: { $slack: value } }] } as const
  expect(JSON.stringify(showRequest(removal, 'clear'))).not.toContain('canary')
})
