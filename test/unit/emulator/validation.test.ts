// What the API is known to reject, with its messages, and that what it documents as right passes.
import fc from 'fast-check'
import { parsePhoneNumberFromString } from 'libphonenumber-js'
import { describe, expect, test } from 'vitest'
import type { Json, JsonObject } from '../../../src/core/json.ts'
import { isLanguage, isLocale, isTimeZone } from '../../../src/emulator/language-tags.ts'
import { isE164 } from '../../../src/emulator/phone-number.ts'
import { parseBody } from '../../../src/emulator/request-body.ts'
import { distinctIdProblem, editProblem, operationsOf, upsertProblem } from '../../../src/emulator/validation.ts'

test.each<[JsonObject]>([
  [{}],
  [{ $email: ['user@example.com'], $sms: ['+1234567890'], $whatsapp: ['+919999999999'], name: 'Ada' }],
  [{ $email: 'user@example.com' }],
  [{ $slack: [{ email_id: 'user@example.com', access_token: 'xoxb-1' }] }],
  [{ $slack: [{ user_id: 'U1', access_token: 'xoxb-1' }] }],
  [{ $slack: [{ incoming_webhook: { url: 'https://hooks.slack.com/services/T/B/x' } }] }],
  [{ $ms_teams: [{ user_id: 'u', tenant_id: 't', service_url: 'https://smba.trafficmanager.net/amer' }] }],
  [{ $ms_teams: [{ conversation_id: 'c', tenant_id: 't', service_url: 'https://smba.trafficmanager.net/amer/' }] }],
  [{ $webpush: [{ endpoint: 'https://push.example', expirationTime: null, keys: { p256dh: 'p', auth: 'a' } }] }],
  [{ $androidpush: ['tok'], $iospush: ['tok'], $inbox: ['in'] }],
  [{ $timezone: 'Asia/Kolkata', $locale: 'en_GB', $preferred_language: 'en' }],
  [{ nested: { a: [1, null] }, flag: false, nothing: null }],
])('accepts POST %j', (body) => {
  expect(upsertProblem(JSON.parse(JSON.stringify(body)))).toBeNull()
})

test.each<[JsonObject, string]>([
  [{ $email: ['a@b.c'] }, 'invalid email address. must be 6 <= len(email) <= 320'],
  [{ $email: [`${'a'.repeat(315)}@b.com`] }, 'invalid email address. must be 6 <= len(email) <= 320'],
  [
    { $email: [' user@example.com'] },
    "invalid value for channel 'email':  user@example.com. error: value in email format required",
  ],
  [{ $email: ['user.example.com'] }, 'value in email format required'],
  [{ $email: null }, '$email: value must be of string type'],
  [{ $email: [null] }, '$email: value must be of string type'],
  [{ $email: [] }, '$email: must contain at least 1 item'],
  [
    { $sms: ['+1 415 555 0100'] },
    "invalid value for channel 'sms': +1 415 555 0100. error: error while parsing number to E164 format",
  ],
  [{ $whatsapp: ['9199999999'] }, 'error while parsing number to E164 format'],
  [{ $whatsapp: ['+9990000000'] }, 'error while parsing number to E164 format'],
  [{ $sms: [4155550100] }, '$sms: value must be of string type'],
  [{ $iospush: [{ value: 'tok' }] }, '$iospush: value must be of string type'],
  [{ $androidpush: [''] }, 'invalid value'],
  [{ $slack: ['U1'] }, '$slack: value must be of dict/map type'],
  [
    { $slack: [{ channel: 'C...', access_token: 'xoxb-...' }] },
    "invalid value for channel 'slack': map[access_token:xoxb-... channel:C...]. error: invalid value",
  ],
  [{ $slack: [{ email: 'user@example.com', access_token: 'xoxp-1' }] }, 'error: invalid value'],
  [{ $slack: [{ email: 'user@example.com' }] }, 'error: invalid value'],
  [
    { $ms_teams: [{ user_id: 'u', tenant_id: 't', serviceUrl: 'https://smba.trafficmanager.net/amer' }] },
    'invalid value: {',
  ],
  [
    { $ms_teams: [{ user_id: 'u ', tenant_id: 't', service_url: 'https://smba.trafficmanager.net/amer' }] },
    'invalid value: {',
  ],
  [{ $ms_teams: [{ tenant_id: 't', service_url: 'https://smba.trafficmanager.net/amer' }] }, 'invalid value: {'],
  [{ $webpush: [{ endpoint: 'https://push.example', keys: { p256dh: 'p' } }] }, 'invalid webpush subscription: {'],
  [{ $timezone: 'EST' }, 'invalid timezone: EST'],
  [{ $timezone: 'UTC+5:30' }, 'invalid timezone: UTC+5:30'],
  [{ $timezone: null }, 'invalid timezone: null'],
  [{ $locale: 'english' }, "invalid locale/language: 'english'"],
  [{ $preferred_language: 'eng' }, 'invalid language: eng'],
  [{ $messenger: 'x' }, 'invalid key: $messenger'],
  [{ SS_plan: 'x' }, 'invalid key: SS_plan'],
  [{ ' ': 'x' }, 'property key must not be empty'],
])('rejects POST %j', (body, message) => {
  expect(upsertProblem(body)).toContain(message)
})

describe('PATCH', () => {
  test.each<[Json, string]>([
    [
      { $append: ['x'] },
      "decoding failed: '$append[0]' expected type 'map[string]interface {}', got unconvertible type 'string'",
    ],
    [{ $append: { $email: ['user@example.com'] } }, '$email: value must be of string type'],
    [{ $append: { $email: 'nobody' } }, 'value in email format required'],
    [{ $append: { $androidpush: 'tok', $id_provider: 7 } }, '$id_provider: value must be of string type'],
    [{ $remove: { $slack: 'U1' } }, '$slack: value must be of dict/map type'],
    [{ $set: { $email: 'user@example.com' } }, '$set: channel $email cannot be set'],
    [{ $set: { $timezone: 'EST' } }, 'invalid timezone: EST'],
    [{ $set_once: { $sms: '+14155550100' } }, '$set_once: channel $sms cannot be set'],
    [{ $add: { n: '1' } }, '$add: n value must be of number type'],
    [{ $unset: '$email' }, "decoding failed: '$unset'"],
    [{ $unset: [1] }, '$unset: keys must be non-empty strings'],
    [{ $unset: ['$os'] }, 'invalid key: $os'],
    [{ $push: { a: 1 } }, "decoding failed: '' has invalid keys: $push"],
  ])('rejects %j', (operation, message) => {
    expect(editProblem(operationsOf({ operations: [operation] }) ?? [])).toContain(message)
  })

  test('operations are a list of maps', () => {
    expect([{}, { operations: null }, { operations: {} }, { operations: ['x'] }].map(operationsOf)).toEqual([
      null,
      null,
      null,
      null,
    ])
    expect(operationsOf({ operations: [{ $unset: ['a'] }] })).toEqual([{ $unset: ['a'] }])
  })

  test('a value that could not be added can still be removed', () => {
    expect(
      editProblem([{ $remove: { $email: 'nobody', $sms: '123' } }, { $unset: ['$email', '$timezone', 'a'] }]),
    ).toBeNull()
  })
})

test('bodies', () => {
  expect(parseBody(' ')).toMatchObject({ status: 400, message: 'Request body must not be empty' })
  expect(parseBody('{"a":')).toMatchObject({ status: 400, message: 'BAD REQUEST' })
  for (const text of ['[]', 'null', '1', '"x"']) {
    expect(parseBody(text)).toMatchObject({ message: 'Request body must only contain a single JSON object' })
  }
})

test('a distinct_id has 1 to 255 characters', () => {
  expect(distinctIdProblem('🙂'.repeat(255))).toBeNull()
  expect(distinctIdProblem('🙂'.repeat(256))).toContain('255')
  expect(distinctIdProblem('  ')).toContain('blank')
})

test('time zones, locales and languages', () => {
  const zones = ['America/Argentina/Buenos_Aires', 'America/Port-au-Prince', 'Etc/GMT+5', 'UTC']
  expect(zones.filter((name) => !isTimeZone(name))).toEqual([])
  expect(['asia/kolkata', '+05:30', 'Mars/Base', 'Etc/', ''].filter(isTimeZone)).toEqual([])
  expect(Intl.supportedValuesOf('timeZone').filter((name) => !isTimeZone(name))).toEqual([])
  expect(['en', 'en-GB', 'es-419', 'zh-Hant-TW'].filter((tag) => !isLocale(tag))).toEqual([])
  expect(['xx', 'EN', 'en-gb', 'en-QQ', 'en-ZZ', ''].filter(isLocale)).toEqual([])
  expect(['en', 'de', 'en-US', 'es-419', 'fil', 'english'].filter(isLanguage)).toEqual(['en', 'de', 'en-US'])
})

test('phone numbers: the quick check agrees with a full parse by libphonenumber', () => {
  const digits = fc.stringMatching(/^[1-9]\d{4,16}$/)
  fc.assert(
    fc.property(digits, (number) => {
      const parsed = parsePhoneNumberFromString(`+${number}`, { extract: false })
      const plausible = number.length >= 7 && number.length <= 15
      expect(isE164(`+${number}`)).toBe(plausible && parsed !== undefined)
    }),
    { numRuns: 500 },
  )
  expect(['14155550100', '+0155550100', '+1415555010a', '00 14155550100', '+1 4155550100'].filter(isE164)).toEqual([])
})
