// Profiles over every channel and variant, with secrets in them, for property tests of what is sent. Values of one list are
// such that SuprSend can hold them side by side; those of `THEIRS` are never ours.
import fc from 'fast-check'
import type { Json, JsonObject } from '../../../src/core/json.ts'
import type { ChannelValue, Profile } from '../../../src/core/profile.ts'
import { secretReference } from '../../../src/core/secret-reference.ts'

const PLACE = { tenant_id: 'tenant', service_url: 'https://smba.trafficmanager.net/amer' }
const webpush = (endpoint: string, auth: string, more: JsonObject = {}) => ({
  endpoint: `https://push.example/${endpoint}`,
  keys: { p256dh: 'p', auth },
  ...more,
})

/** What the environment says at one time; each rotation makes another of it, and the former texts are then gone. */
export interface Environment {
  readonly bot: string
  readonly webhook: string
  readonly address: string
  readonly push: string
}

export function environment(age: number): Environment {
  return {
    bot: `xoxb-canary-${age}`,
    webhook: `https://hooks.slack.com/services/canary-${age}`,
    address: `canary-${age}@x.example`,
    push: `canary-push-${age}`,
  }
}

/** Several values, each once. */
const some = (...values: readonly ChannelValue[]) => fc.subarray([...values], { minLength: 1 })
const one = (...values: readonly ChannelValue[]) => fc.constantFrom(...values).map((value) => [value])

/** What a mapping may give while the environment is this one. */
export function profiles(env: Environment): fc.Arbitrary<Profile> {
  const bot = secretReference('SLACK_BOT_TOKEN', env.bot)
  const url = secretReference('WEBHOOK_URL', env.webhook)
  const address = secretReference('ADDRESS', env.address)
  const push = secretReference('PUSH_TOKEN', env.push)
  return fc.record({
    channels: fc.record(
      {
        $email: some('ann@x.example', 'Ann@x.example', 'bob@x.example', address),
        $sms: some('+14155550101', '+14155550102'),
        $whatsapp: some('+14155550101', '+14155550103'),
        $inbox: some('inbox-a', 'inbox-b'),
        $androidpush: some(
          'tok-1',
          { value: 'tok-1', $id_provider: 'xiaomi' },
          { value: 'tok-2', $id_provider: 'fcm' },
          { value: 'tok-3', $id_provider: 'oppo' },
          push,
          { value: push, $id_provider: 'oppo' },
        ),
        // Of one token one bundle: SuprSend knows it by the token.
        $iospush: one(
          'ios-1',
          { value: 'ios-1', $bundle_id: 'b.1' },
          { value: 'ios-1', $id_provider: 'apns' },
          'ios-2',
        ),
        $webpush: some(
          webpush('e1', 'a1'),
          webpush('e1', 'a2', { expirationTime: null }),
          webpush('e2', 'a1', { expirationTime: 1_900_000_000_000 }),
        ),
        $slack: some(
          { email_id: 'ann@x.example', access_token: 'xoxb-1' },
          { email: 'ann@x.example', access_token: bot },
          { user_id: 'U1', access_token: bot, team_id: 'T1' },
          { channel: 'C1', user_id: 'U2', access_token: bot },
          { channel_id: 'C2', access_token: 'xoxb-1' },
          { incoming_webhook: { url: 'https://hooks.slack.com/services/open' }, user_id: 'U3' },
          { incoming_webhook: { url } },
        ),
        $ms_teams: some(
          { ...PLACE, conversation_id: 'conv', user_id: 'ignored' },
          { ...PLACE, user_id: 'user' },
          { ...PLACE, user_id: bot },
          { incoming_webhook: { url } },
        ),
      },
      { requiredKeys: [] },
    ),
    properties: fc.record(
      {
        name: fc.constantFrom<Json>('A', 'B', bot),
        nested: fc.constantFrom<Json>({ x: [1, null] }, { token: bot, list: [address, 'open'] }),
        constructor: fc.constantFrom<Json>(1, true),
        $timezone: fc.constantFrom('Europe/Paris', 'Asia/Tokyo'),
        $locale: fc.constantFrom('en-GB', 'en_GB', 'fr'),
        $preferred_language: fc.constantFrom('en', 'fr'),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  })
}

/** What the app's front end or a colleague added. */
export const THEIRS: Profile = {
  channels: {
    $email: ['theirs@x.example'],
    $whatsapp: ['+14155550199'],
    $androidpush: [{ value: 'their-token', $id_provider: 'oppo' }],
    $iospush: [{ value: 'their-ios', $bundle_id: 'their.bundle' }],
    $webpush: [webpush('theirs', 'a1', { token: 'their-device' })],
    $slack: [{ email: 'ann@x.example', access_token: 'xoxb-theirs' }],
    $ms_teams: [{ ...PLACE, user_id: 'theirs' }],
  },
  properties: { theirs: 1 },
}

/** The same profile in clear. */
export function inClear(profile: Profile, environments: readonly Environment[]): Profile {
  const texts = new Map(
    environments.flatMap((env) =>
      Object.values(env).map((text: string) => [JSON.stringify(Object.values(secretReference('', text))[0]), text]),
    ),
  )
  return JSON.parse(JSON.stringify(profile), (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('$suprsync_secret' in value)) return value
    return texts.get(JSON.stringify({ ...(value.$suprsync_secret as object), name: '' })) ?? value
  }) as Profile
}
