// Every key of a profile from its columns through the real service to the emulator, in both readings of POST: created, changed,
// emptied and filled again, each key in its wire shape of POST and of PATCH.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { startService } from '../support/service.ts'

const PROFILE = {
  $email: ['email', { column: 'emails', format: ['trim', 'lower'] }],
  $sms: { column: 'phone', region: 'GB' },
  $whatsapp: { column: 'phones', region: { column: 'country' } },
  $inbox: 'inbox',
  $androidpush: ['fcm', { column: 'xiaomi', provider: 'xiaomi' }, { column: 'token', provider: { column: 'vendor' } }],
  $iospush: [
    'apns',
    { column: 'inbox', bundle_id: 'com.example.second' },
    { column: 'apns', bundle_id: 'com.example.third' },
  ],
  $webpush: ['push', { endpoint: 'endpoint', keys: { p256dh: 'p256dh', auth: 'auth' } }],
  $slack: [
    { email: 'email', access_token: { const: 'xoxb-1' } },
    { user_id: 'slack_user', access_token: { const: 'xoxb-1' } },
    { channel: 'slack_channel', access_token: { const: 'xoxb-1' } },
    { incoming_webhook: { url: 'webhook' } },
    'slack',
  ],
  $ms_teams: [
    { tenant_id: 'tenant', service_url: { const: 'https://smba.trafficmanager.net/emea' }, user_id: 'teams_user' },
    {
      tenant_id: 'tenant',
      service_url: { const: 'https://smba.trafficmanager.net/emea' },
      conversation_id: 'teams_chat',
    },
    { incoming_webhook: 'webhook' },
  ],
  $timezone: { column: 'tz', map: { East: 'America/New_York' }, default: 'UTC' },
  $preferred_language: 'locale',
  $locale: 'locale',
  name: { value: 'coalesce(given, "") + " " + coalesce(family, "")', format: 'trim' },
  settings: 'settings',
}

const TEXTS = [
  ...['email', 'phone', 'country', 'inbox', 'fcm', 'xiaomi', 'token', 'vendor', 'apns', 'endpoint', 'p256dh', 'auth'],
  ...[
    'slack_user',
    'slack_channel',
    'webhook',
    'tenant',
    'teams_user',
    'teams_chat',
    'tz',
    'locale',
    'given',
    'family',
  ],
]

/** Of user n in its v-th form. */
const FILL = (v: number) => `
  email = 'u' || id || 'v${v}@example.com', emails = ARRAY[' Second' || id || '@X.io ', 'third${v}@x.io', NULL], phone = '07700 90010' || ${v},
  phones = jsonb_build_array('+4477009002' || lpad(id::text, 2, '0'), '07700 900300'), country = 'GB', inbox = 'inbox-${v}-' || id, fcm = 'fcm-${v}',
  xiaomi = 'mi-${v}', token = 't-${v}', vendor = CASE WHEN id % 2 = 0 THEN 'oppo' ELSE 'FCM' END, apns = 'apns-${v}', endpoint = 'https://push.example/${v}/' || id, p256dh = 'p${v}', auth = 'a',
  push = jsonb_build_object('endpoint', 'https://push.example/json', 'expirationTime', null, 'keys', jsonb_build_object('p256dh', 'j${v}', 'auth', 'a')),
  slack_user = 'U0${v}', slack_channel = 'C0' || id, webhook = 'https://hooks.example.com/${v}/' || id,
  slack = jsonb_build_array(jsonb_build_object('email_id', 'list${v}@example.com', 'access_token', 'xoxb-2', 'team_id', 'T1')),
  tenant = 'tenant-1', teams_user = 'tu-${v}', teams_chat = 'chat-' || id, tz = CASE WHEN id % 3 = 0 THEN 'East' END, locale = CASE WHEN id % 2 = ${v % 2} THEN 'en_US' ELSE 'de' END,
  given = 'Given${v}', family = CASE WHEN id % 2 = 0 THEN 'Family' END, settings = jsonb_build_object('v', ${v}, 'list', jsonb_build_array(1, id))`

test.each(['append', 'replace'] as const)('every key: POST %s', async (postReading) => {
  await using database = await createTestDatabase()
  await database.query(
    `CREATE TABLE users (id int PRIMARY KEY, ${TEXTS.map((name) => `${name} text`).join(', ')}, emails text[], phones jsonb, push jsonb, slack jsonb, settings jsonb);
     INSERT INTO users (id) SELECT generate_series(1, 8); UPDATE users SET ${FILL(1)} WHERE id < 7`,
  )
  await using emulator = await startEmulator({ postReading })
  const config = { profile: PROFILE }
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
    config,
  })
  await service.waitStreaming()
  const same = () => expectConverged({ database, emulator, config: service.config })
  await same()
  const first = emulator.users().get('2')
  expect(Object.keys(first?.channels ?? {}).sort()).toEqual(
    Object.keys(PROFILE)
      .filter((key) => /^\$(?!timezone|preferred|locale)/.test(key))
      .sort(),
  )
  expect(first?.channels.$slack).toHaveLength(5)
  expect(first?.channels.$ms_teams).toHaveLength(3)
  expect(first?.channels.$androidpush).toHaveLength(3)
  expect(first?.properties).toMatchObject({ $timezone: 'UTC', name: 'Given1 Family' })

  await database.query(`UPDATE users SET ${FILL(2)} WHERE id IN (1, 2, 3, 8)`)
  await same()
  await database.query(
    `UPDATE users SET ${[...TEXTS, 'emails', 'phones', 'push', 'slack', 'settings'].map((name) => `${name} = NULL`).join(', ')} WHERE id IN (1, 4)`,
  )
  await same()
  expect(emulator.users().get('1')).toEqual({ channels: {}, properties: { $timezone: 'UTC' } })
  await database.query(`UPDATE users SET ${FILL(3)} WHERE id IN (1, 5)`)
  await same()
  expect(await database.query('SELECT distinct_id, failure FROM suprsync.profile WHERE failure IS NOT NULL')).toEqual(
    [],
  )
  const statuses = Object.values(emulator.stats().calls).flatMap((byStatus) => Object.keys(byStatus))
  expect(statuses.filter((status) => status.startsWith('4'))).toEqual(['404'])
})
