// Every channel and every way to reach somebody on it: what is taken, how it is stored, and why something is refused.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkChannelValue } from '../../../src/core/channel-shape.ts'
import { identity } from '../../../src/core/channel-value.ts'
import { canonical, isJsonObject, type Json } from '../../../src/core/json.ts'
import { CHANNEL_KEYS, type ChannelKey } from '../../../src/core/profile.ts'
import { secretReference } from '../../../src/core/secret-reference.ts'

const TOKEN = 'xoxb-1-a'
const TEAMS = { tenant_id: 't', service_url: 'https://smba.trafficmanager.net/amer' }
const KEYS = { p256dh: 'p', auth: 'a' }
const SECRET = secretReference('SLACK_BOT_TOKEN', TOKEN)

describe('taken, in the form in which SuprSend stores it', () => {
  test.each<[ChannelKey, Json, Json]>([
    ['$email', 'ada@example.com', 'ada@example.com'],
    ['$sms', 447700900123, '447700900123'],
    ['$inbox', ' id-1 ', 'id-1'],
    ['$androidpush', 'fcm-token', 'fcm-token'],
    ['$iospush', 'apns-token', 'apns-token'],
    ['$slack', { email: 'a@x.io', access_token: TOKEN }, { email: 'a@x.io', access_token: TOKEN }],
    ['$slack', { email_id: 'a@x.io', access_token: TOKEN }, { email: 'a@x.io', access_token: TOKEN }],
    ['$slack', { user_id: 'U012', access_token: TOKEN, email: 'a@x.io' }, { user_id: 'U012', access_token: TOKEN }],
    ['$slack', { channel: 'C012', access_token: TOKEN, user_id: 'U0' }, { channel_id: 'C012', access_token: TOKEN }],
    ['$slack', { channel_id: 'C012', access_token: SECRET }, { channel_id: 'C012', access_token: SECRET }],
    [
      '$slack',
      { incoming_webhook: { url: 'https://hooks.slack.com/services/T/B/x', team: 'T' }, email: 'a@x.io' },
      { incoming_webhook: { url: 'https://hooks.slack.com/services/T/B/x' } },
    ],
    [
      '$slack',
      { incoming_webhook: 'https://hooks.slack.com/services/T' },
      { incoming_webhook: { url: 'https://hooks.slack.com/services/T' } },
    ],
    ['$slack', { incoming_webhook: SECRET }, { incoming_webhook: { url: SECRET } }],
    ['$ms_teams', { ...TEAMS, user_id: 'u', extra: 1 }, { ...TEAMS, user_id: 'u' }],
    ['$ms_teams', { ...TEAMS, user_id: 'u', conversation_id: ' c ' }, { ...TEAMS, conversation_id: 'c' }],
    [
      '$ms_teams',
      { incoming_webhook: { url: 'https://x.webhook.office.com/a' }, user_id: 'u' },
      { incoming_webhook: { url: 'https://x.webhook.office.com/a' } },
    ],
    [
      '$webpush',
      { endpoint: 'https://push.example/1', expirationTime: null, keys: KEYS, token: 'x' },
      { endpoint: 'https://push.example/1', keys: KEYS },
    ],
    [
      '$webpush',
      { endpoint: 'https://push.example/1', expirationTime: 5, keys: KEYS },
      { endpoint: 'https://push.example/1', expirationTime: 5, keys: KEYS },
    ],
  ])('%s %j', (key, given, stored) => {
    expect(checkChannelValue(key, given)).toEqual({ kind: 'value', value: stored })
    // Stored as it is sent: a second look changes nothing, and the planner takes both for one.
    expect(checkChannelValue(key, stored)).toEqual({ kind: 'value', value: stored })
    if (isJsonObject(given) && isJsonObject(stored)) expect(identity(key, stored)).toBe(canonical(stored))
  })
})

describe('refused', () => {
  test.each<[ChannelKey, Json, string, RegExp]>([
    ['$email', { a: 1 }, 'invalid_value', /expected/],
    ['$inbox', '  ', 'invalid_inbox', /empty/],
    ['$androidpush', 'a b', 'invalid_androidpush', /blanks/],
    ['$iospush', 'x'.repeat(4_097), 'invalid_iospush', /4096/],
    ['$iospush', null, 'invalid_value', /expected/],
    ['$slack', 'a@x.io', 'invalid_slack', /object/],
    ['$slack', {}, 'invalid_slack', /needs one of/],
    ['$slack', { email: 'a@x.io' }, 'invalid_slack', /access_token/],
    ['$slack', { email: 'a@x.io', access_token: 'xoxp-1' }, 'invalid_slack', /xoxb-/],
    ['$slack', { email: 'nobody', access_token: TOKEN }, 'invalid_slack', /e-mail/],
    ['$slack', { user_id: 'X1', access_token: TOKEN }, 'invalid_slack', /member/],
    ['$slack', { channel: '#general', access_token: TOKEN }, 'invalid_slack', /channel/],
    ['$slack', { incoming_webhook: { url: 'http://hooks.slack.com/x' } }, 'invalid_slack', /https/],
    ['$ms_teams', { user_id: 'u', service_url: TEAMS.service_url }, 'invalid_ms_teams', /tenant_id/],
    ['$ms_teams', { user_id: 'u', tenant_id: 't' }, 'invalid_ms_teams', /service_url/],
    ['$ms_teams', { ...TEAMS, service_url: 'https://evil.example/' }, 'invalid_ms_teams', /needs one of/],
    [
      '$ms_teams',
      { ...TEAMS, user_id: 'u', service_url: 'https://smba.trafficmanager.net.evil.example/' },
      'invalid_ms_teams',
      /service_url/,
    ],
    ['$webpush', { endpoint: 'nowhere', keys: KEYS }, 'invalid_webpush', /endpoint/],
    ['$webpush', { endpoint: 'https://push.example/1', keys: { auth: 'a' } }, 'invalid_webpush', /p256dh/],
    ['$webpush', { endpoint: 'https://push.example/1' }, 'invalid_webpush', /p256dh/],
  ])('%s %j', (key, value, code, message) => {
    expect(checkChannelValue(key, value)).toMatchObject({ kind: 'invalid', code, message })
  })

  test('whatever the value, a message never holds it, and nothing throws', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CHANNEL_KEYS),
        fc.jsonValue(),
        fc.string({ minLength: 12 }),
        (key, value, canary) => {
          const given = { email: canary, access_token: canary, endpoint: canary, user_id: canary, more: value } as Json
          for (const it of [value as Json, given, canary]) {
            const checked = checkChannelValue(key, it)
            if (checked.kind === 'invalid') expect(checked.message.includes(canary)).toBe(false)
          }
        },
      ),
    )
  })
})
