// Which of the values that a request carried a refusal is about, and what profiles are without it.
import { describe, expect, test } from 'vitest'
import type { ApiRequest } from '../../../src/core/api.ts'
import { patchValue } from '../../../src/core/channel-value.ts'
import type { Json } from '../../../src/core/json.ts'
import { type Entry, operationsOf, wholeChange } from '../../../src/core/operations.ts'
import { outcomeOf } from '../../../src/core/outcome.ts'
import type { Profile } from '../../../src/core/profile.ts'
import {
  failureOfKeys,
  heldAnyway,
  minus,
  NOTHING_REFUSED,
  refusedBy,
  valuesOf,
  withHeld,
  withoutRefused,
  withoutShown,
} from '../../../src/core/refusal.ts'
import { namedPlaces } from '../../../src/core/server-message.ts'

const message = (text: string): Json => ({ code: 400, message: text })

describe('the value that a text repeats', () => {
  const cases: readonly (readonly [string, string, readonly Json[], readonly number[]])[] = [
    ['one of many', "invalid value for channel 'sms': +15. error: x", ['+14', '+15', '+16'], [1]],
    ['not a part of a longer one', "invalid value for channel 'sms': +1555. error: x", ['+155', '+1555'], [1]],
    ['nor one that is a word of the text', "invalid value for channel 'sms': +15. error: x", ['+15', 'value'], []],
    ['of two the longer', "'email': ann@example.com.au. error: x", ['ann@example.com', 'ann@example.com.au'], [1]],
    ['twice the same', "'sms': 12345. error: x", ['12345', '6', '12345'], [0, 2]],
    ['none', 'invalid email address. must be 6 <= len(email) <= 320', ['a@b.c', 'ann@example.com'], []],
    ['too short to be sure', "'sms': 12. error: x", ['12', '13'], []],
    [
      'a map as Go prints it',
      "'slack': map[access_token:xoxb-1 user_id:X2]. error: x",
      [
        { user_id: 'U1', access_token: 'xoxb-1' },
        { user_id: 'X2', access_token: 'xoxb-1' },
      ],
      [],
    ],
    [
      'a map of longer texts',
      "'slack': map[access_token:xoxb-1 user_id:X23]. error: x",
      [
        { user_id: 'U12', access_token: 'xoxb-1' },
        { user_id: 'X23', access_token: 'xoxb-1' },
      ],
      [1],
    ],
    [
      'a subscription as JSON',
      'invalid webpush subscription: {"endpoint":"https://push/2","keys":{"auth":"aaa"}}',
      [
        { endpoint: 'https://push/1', keys: { auth: 'aaa' } },
        { endpoint: 'https://push/2', keys: { auth: 'aaa' } },
      ],
      [1],
    ],
    ['no values at all', 'invalid value', [{}, null, 7], []],
  ]
  test.each(cases)('%s', (_what, text, values, places) => {
    expect(namedPlaces(message(text), '$sms', values)).toEqual(places)
  })

  test('an outcome tells its place and never the value', () => {
    const request = { kind: 'upsert', body: { $sms: ['+14155550100', 'canary-1'] } } as const
    const body = message("invalid value for channel 'sms': canary-1. error: x")
    const outcome = outcomeOf(request, { kind: 'answered', status: 400, retryAfterMs: null, body })
    expect(outcome).toMatchObject({ kind: 'rejected', failure: { key: '$sms' }, places: [1] })
    expect(JSON.stringify(outcome)).not.toContain('canary')
  })
})

const OLD: Profile = { channels: { $email: ['old@example.com', 'ann@example.com'] }, properties: { $timezone: 'UTC' } }
const NEW: Profile = {
  channels: { $email: ['ann@example.com', 'new@example.com'], $inbox: ['i'] },
  properties: { $timezone: 'EST', name: 'Ann' },
}
const REQUEST: ApiRequest = { kind: 'edit', operations: operationsOf(wholeChange([OLD], NEW)) }
const suspects = {
  ...{ desired: NEW, synced: OLD, unclear: [] },
  sent: ({ key, value }: Entry) => patchValue(key, value)[key],
}
const email = (value: string): Entry => ({ key: '$email', value })

describe('what is refused', () => {
  test('the values of a key stand in the order of the request', () => {
    expect(valuesOf(REQUEST, '$email')).toEqual(['old@example.com', 'ann@example.com', 'new@example.com'])
    expect(valuesOf(REQUEST, '$timezone')).toEqual(['EST'])
    expect(valuesOf({ kind: 'upsert', body: { $email: ['a', 'b'], list: [1] } }, '$email')).toEqual(['a', 'b'])
    expect(valuesOf({ kind: 'upsert', body: { $email: ['a', 'b'], list: [1] } }, 'list')).toEqual([[1]])
    expect([valuesOf({ kind: 'get' }, '$email'), valuesOf({ kind: 'delete' }, '$email')]).toEqual([[], []])
  })

  test('what is named; else what is new; then what is wanted; then what was to go; then nothing', () => {
    const complaint = { request: REQUEST, key: '$email' }
    const named = refusedBy({ ...complaint, places: [1] }, suspects, NOTHING_REFUSED)
    expect(named?.entries).toEqual([email('ann@example.com')])
    let refused = NOTHING_REFUSED
    const blamed = [1, 2, 3].map(() => {
      refused = refusedBy({ ...complaint, places: [] }, suspects, refused) ?? refused
      return refused.entries.at(-1)?.value
    })
    expect(blamed).toEqual(['new@example.com', 'ann@example.com', 'old@example.com'])
    expect(refusedBy({ ...complaint, places: [] }, suspects, refused)).toBeNull()
  })

  test('a key that was not sent is none, whatever the answer says', () => {
    for (const key of ['$sms', '$locale'])
      expect(refusedBy({ request: REQUEST, key, places: [] }, suspects, NOTHING_REFUSED)).toBeNull()
  })

  test('a property once', () => {
    const complaint = { request: REQUEST, key: '$timezone', places: [0] }
    const refused = refusedBy(complaint, suspects, NOTHING_REFUSED)
    expect(refused).toEqual({ entries: [], properties: ['$timezone'] })
    expect(refusedBy(complaint, suspects, refused ?? NOTHING_REFUSED)).toBeNull()
  })

  test('profiles without it, and with what is held all the same', () => {
    const refused = { entries: [email('new@example.com'), email('old@example.com')], properties: ['$timezone'] }
    const without = { channels: { $email: ['ann@example.com'], $inbox: ['i'] }, properties: { name: 'Ann' } }
    expect(withoutRefused(NEW, refused)).toEqual(without)
    expect(withoutRefused(NEW, { entries: [email('other@example.com')], properties: ['$locale'] })).toBe(NEW)
    expect(withoutRefused(without, { entries: [email('ann@example.com')], properties: [] }).channels).toEqual({
      $inbox: ['i'],
    })
    const view = { channels: { $email: ['new@example.com'] }, properties: { $timezone: 'EST' } }
    const shown = heldAnyway(refused, { view, desired: NEW, synced: OLD })
    expect(shown).toEqual({ entries: [email('new@example.com')], properties: ['$timezone'] })
    expect(minus(refused, shown)).toEqual({ entries: [email('old@example.com')], properties: [] })
    const unseen = heldAnyway(refused, { view: null, desired: NEW, synced: OLD })
    expect(unseen).toEqual({ entries: [email('old@example.com')], properties: [] })
    expect(withHeld(without, unseen)?.channels.$email).toEqual(['ann@example.com', 'old@example.com'])
    expect(withHeld(null, NOTHING_REFUSED)).toBeNull()
  })

  test('the failure names the keys, and that the rest was sent', () => {
    const failure = { code: 'invalid_value', status: 400, key: '$email', message: 'm' }
    expect(failureOfKeys(failure, { entries: [email('x')], properties: ['$timezone'] })).toEqual({
      ...{ code: 'invalid_value', status: 400, key: '$email', keys: ['$email', '$timezone'] },
      message: 'SuprSend refused a value (keys $email, $timezone, HTTP 400); the rest of the profile was sent',
    })
  })
})

test('thousands of subscriptions, of which none is named, are told apart within a moment', () => {
  const subscription = (n: number, at: number) => ({
    endpoint: `https://push.example.com/${n}/${at}`,
    keys: { auth: `a${at}`, p256dh: `p${at}` },
  })
  const profile = (n: number, size = 1_000): Profile => ({
    channels: { $webpush: Array.from({ length: size }, (_, at) => subscription(n, at)) },
    properties: {},
  })
  const [desired, synced, ...unclear] = [profile(0), profile(1), profile(2), profile(3)]
  const request: ApiRequest = { kind: 'edit', operations: operationsOf(wholeChange([synced, ...unclear], desired)) }
  const startedAt = performance.now()
  const all = { ...suspects, desired, synced, unclear }
  const refused = refusedBy({ request, key: '$webpush', places: [] }, all, NOTHING_REFUSED)
  expect(refused?.entries).toHaveLength(1_000)
  const view = { channels: { ...profile(9, 10_000).channels, $sms: ['+1'] }, properties: {} }
  expect(heldAnyway(refused ?? NOTHING_REFUSED, { view, desired, synced }).entries).toEqual([])
  const shown = { ...view, channels: { ...view.channels, $webpush: [subscription(0, 5), subscription(9, 5)] } }
  expect(withoutShown(shown, refused ?? NOTHING_REFUSED).channels).toEqual({
    $webpush: [subscription(9, 5)],
    $sms: ['+1'],
  })
  expect(performance.now() - startedAt).toBeLessThan(3_000)
})
