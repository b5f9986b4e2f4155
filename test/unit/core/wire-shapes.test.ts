// Exactly what is sent for each channel and variant: in the body of POST, as `$append` and as `$remove` of PATCH.
// https://docs.suprsend.com/reference/edit-user-profile
import { expect, test } from 'vitest'
import type { JsonObject } from '../../../src/core/json.ts'
import { minimalChange, operationsOf, postBody } from '../../../src/core/operations.ts'
import { type ChannelKey, type ChannelValue, EMPTY_PROFILE, type Profile } from '../../../src/core/profile.ts'
import { resolveRequest, secretReference } from '../../../src/core/secret-reference.ts'

const SLACK = { access_token: 'xoxb-1' }
const TEAMS = { tenant_id: 't', service_url: 'https://smba.trafficmanager.net/emea' }
const PUSH = { endpoint: 'https://push.example/1', keys: { p256dh: 'p', auth: 'a' } }
const HOOK = { incoming_webhook: { url: 'https://hooks.example.com/1' } }

/** Value, what POST says (null: it has no shape for it), what stands under `$append` and `$remove`. */
test.each<[ChannelKey, ChannelValue, ChannelValue | null, JsonObject]>([
  ['$email', 'a@x.io', 'a@x.io', { $email: 'a@x.io' }],
  ['$sms', '+14155550100', '+14155550100', { $sms: '+14155550100' }],
  ['$whatsapp', '+14155550100', '+14155550100', { $whatsapp: '+14155550100' }],
  ['$inbox', 'i', 'i', { $inbox: 'i' }],
  ['$androidpush', 't', 't', { $androidpush: 't', $id_provider: 'fcm' }],
  ['$androidpush', { value: 't', $id_provider: 'xiaomi' }, null, { $androidpush: 't', $id_provider: 'xiaomi' }],
  ['$androidpush', { value: 't', $id_provider: 'oppo' }, null, { $androidpush: 't', $id_provider: 'oppo' }],
  ['$iospush', 't', 't', { $iospush: 't', $id_provider: 'apns' }],
  ['$iospush', { value: 't', $bundle_id: 'com.x' }, null, { $iospush: 't', $id_provider: 'apns', $bundle_id: 'com.x' }],
  ['$webpush', PUSH, PUSH, { $webpush: PUSH, $id_provider: 'vapid' }],
  ['$slack', { email: 'a@x.io', ...SLACK }, { email: 'a@x.io', ...SLACK }, { $slack: { email: 'a@x.io', ...SLACK } }],
  ['$slack', { user_id: 'U1', ...SLACK }, { user_id: 'U1', ...SLACK }, { $slack: { user_id: 'U1', ...SLACK } }],
  [
    '$slack',
    { channel_id: 'C1', ...SLACK },
    { channel_id: 'C1', ...SLACK },
    { $slack: { channel_id: 'C1', ...SLACK } },
  ],
  ['$slack', HOOK, HOOK, { $slack: HOOK }],
  ['$ms_teams', { ...TEAMS, user_id: 'u' }, { ...TEAMS, user_id: 'u' }, { $ms_teams: { ...TEAMS, user_id: 'u' } }],
  [
    '$ms_teams',
    { ...TEAMS, conversation_id: 'c' },
    { ...TEAMS, conversation_id: 'c' },
    { $ms_teams: { ...TEAMS, conversation_id: 'c' } },
  ],
  ['$ms_teams', HOOK, HOOK, { $ms_teams: HOOK }],
])('%s %j', (key, value, posted, operand) => {
  const profile: Profile = { channels: { [key]: [value] }, properties: {} }
  expect(postBody(profile)).toEqual(posted === null ? {} : { [key]: [posted] })
  expect(operationsOf(minimalChange(EMPTY_PROFILE, profile))).toEqual([{ $append: operand }])
  expect(operationsOf(minimalChange(profile, EMPTY_PROFILE))).toEqual([{ $remove: operand }])
  expect(operationsOf(minimalChange(profile, profile))).toEqual([])
})

test('never two values in one operation', () => {
  const tokens = { $androidpush: ['a', { value: 'b', $id_provider: 'oppo' }], $iospush: ['c'], $webpush: [PUSH] }
  const operations = operationsOf(minimalChange(EMPTY_PROFILE, { channels: tokens, properties: {} }))
  expect(operations).toHaveLength(4)
  for (const operation of operations) {
    const keys = Object.keys('$append' in operation ? operation.$append : {}).filter((key) => /push$/.test(key))
    expect(keys).toHaveLength(1)
  }
})

test('properties and reserved ones stand flat in POST, under $set and $unset in PATCH', () => {
  const profile: Profile = {
    channels: {},
    properties: { name: 'Ada', $timezone: 'Europe/Berlin', $locale: 'en-US', list: [1] },
  }
  expect(postBody(profile)).toEqual(profile.properties)
  expect(operationsOf(minimalChange(EMPTY_PROFILE, profile))).toEqual([{ $set: profile.properties }])
  expect(operationsOf(minimalChange(profile, EMPTY_PROFILE))).toEqual([
    { $unset: ['$locale', '$timezone', 'list', 'name'] },
  ])
})

test('a secret is put in when the request leaves; one that nobody knows is never sent half', () => {
  const reference = secretReference('SLACK_BOT_TOKEN', 'xoxb-1')
  const profile: Profile = { channels: { $slack: [{ email: 'a@x.io', access_token: reference }] }, properties: {} }
  const known = () => 'xoxb-1'
  const unknown = () => undefined
  const body = postBody(profile)
  expect(JSON.stringify(body)).not.toContain('xoxb-1')
  expect(resolveRequest({ kind: 'upsert', body }, known)).toEqual({
    ...{ kind: 'resolved', dropped: false },
    request: { kind: 'upsert', body: { $slack: [{ email: 'a@x.io', access_token: 'xoxb-1' }] } },
  })
  expect(resolveRequest({ kind: 'upsert', body }, unknown)).toMatchObject({ kind: 'missing', name: 'SLACK_BOT_TOKEN' })
  const removal = operationsOf(minimalChange(profile, EMPTY_PROFILE))
  // Nobody can say what is to be removed: SuprSend is asked what it holds instead.
  expect(resolveRequest({ kind: 'edit', operations: removal }, unknown)).toMatchObject({
    ...{ kind: 'resolved', dropped: true },
    request: { kind: 'get' },
  })
})
