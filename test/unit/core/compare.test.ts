// Reading SuprSend's user object, and the repair it calls for.
import { expect, test } from 'vitest'
import type { RemoteUser } from '../../../src/core/api.ts'
import { repairPlan as repair } from '../../../src/core/compare.ts'
import type { Json } from '../../../src/core/json.ts'
import type { ChannelKey, Profile } from '../../../src/core/profile.ts'
import { parseRemoteUser } from '../../../src/core/remote-user.ts'

const profile = (channels: Profile['channels'], properties: Profile['properties'] = {}): Profile => ({
  channels,
  properties,
})
const entry = (value: Json, more: { readonly [key: string]: Json } = {}) => ({
  value,
  status: 'active',
  perma_status: 'active',
  ...more,
})

/** Without exclusive channels. */
function repairPlan(user: RemoteUser, target: Profile | null, owned: readonly (Profile | null)[]) {
  return repair(user, target, { owned, exclusive: new Set() })
}

function remote(body: { readonly [key: string]: Json }) {
  const user = parseRemoteUser({ distinct_id: 'u', properties: {}, ...body })
  if (user === null) throw new Error('not a user')
  return user
}

test('the user object of the API page is read: inactive entries and the inbox of the platform are absent', () => {
  const user = remote({
    properties: { $timezone: 'America/New_York' },
    created_at: '2025-04-04T21:37:36.712496+00:00',
    $email: [entry('john@example.com'), entry('old@example.com', { status: 'inactive' })],
    $inbox: [entry('4nlPk4t4', { id_provider: 'suprsend' })],
    $androidpush: [entry('t1', { id_provider: 'xiaomi' })],
    $slack: [{ value: '', value_json: { user_id: 'U1' }, status: 'active' }],
  })
  expect(user).toEqual({
    channels: {
      $email: ['john@example.com'],
      $inbox: [],
      $androidpush: [{ value: 't1', $id_provider: 'xiaomi' }],
      $slack: [{ user_id: 'U1' }],
    },
    properties: { $timezone: 'America/New_York' },
  })
})

test.each<[string, Json]>([
  ['null', null],
  ['text', 'OK'],
  ['another answer', { success: true }],
  ['a user without properties', { distinct_id: 'u' }],
  ['a channel that is no list', { distinct_id: 'u', properties: {}, $email: 'a@x.io' }],
  ['an entry without a value', { distinct_id: 'u', properties: {}, $email: [{ status: 'active' }] }],
  ['an entry that is a number', { distinct_id: 'u', properties: {}, $email: [7] }],
])('%s is no user', (_, body) => {
  expect(parseRemoteUser(body)).toBeNull()
})

test('what is missing is added, what we sent earlier is removed, what others added stays', () => {
  const user = remote({
    properties: { name: 'old', gone: 1, theirs: 1 },
    $email: [entry('old@x.io'), entry('theirs@x.io')],
  })
  const target = profile({ $email: ['new@x.io'] }, { name: 'new', tags: ['t'] })
  const owned = [profile({ $email: ['old@x.io', 'older@x.io'] }, { name: 'old', gone: 1, away: 1 }), null]
  expect(repairPlan(user, target, owned)).toEqual([
    { $remove: { $email: 'old@x.io' } },
    { $unset: ['gone'] },
    { $append: { $email: 'new@x.io' } },
    { $set: { name: 'new', tags: ['t'] } },
  ])
})

test('spellings that SuprSend changes by itself are no difference', () => {
  const user = remote({
    properties: { $locale: 'en_GB', nested: { b: 1, a: [2] } },
    $email: [entry('ann@x.io')],
    $slack: [entry({ email_id: 'ann@x.io', access_token: 'xoxb-1' })],
    $androidpush: [entry('t1', { id_provider: 'fcm' }), entry('t2')],
    $ms_teams: [entry({ conversation_id: 'c', tenant_id: 't', service_url: 's' })],
  })
  const target = profile(
    {
      $email: ['Ann@x.io'],
      $slack: [{ email: 'ann@x.io', access_token: 'xoxb-1', team_id: 'T' }],
      $androidpush: ['t1', { value: 't2', $id_provider: 'xiaomi' }],
      $ms_teams: [{ user_id: 'u', conversation_id: 'c', service_url: 's', tenant_id: 't' }],
    },
    { $locale: 'en-GB', nested: { a: [2], b: 1 } },
  )
  expect(repairPlan(user, target, [target])).toEqual([])
})

test('a spelling that we sent earlier ourselves is the old value', () => {
  const user = remote({ $email: [entry('ann@x.io')] })
  expect(repairPlan(user, profile({ $email: ['Ann@x.io'] }), [profile({ $email: ['ann@x.io'] })])).toEqual([
    { $remove: { $email: 'ann@x.io' } },
    { $append: { $email: 'Ann@x.io' } },
  ])
})

test('a spelling that is itself wanted does not stand for another one', () => {
  const user = remote({ $email: [entry('ann@x.io')] })
  const target = profile({ $email: ['ann@x.io', 'Ann@x.io'] })
  expect(repairPlan(user, target, [])).toEqual([{ $append: { $email: 'Ann@x.io' } }])
})

test('an exclusive channel holds what is wanted and nothing else; the inbox of the platform stays', () => {
  const subscription = { endpoint: 'https://push.example/1', keys: { p256dh: 'p', auth: 'a' }, token: 'device' }
  const user = remote({
    $email: [entry('ANN@x.io'), entry('theirs@x.io'), entry('gone@x.io', { status: 'inactive' })],
    $sms: [entry('+14155550101')],
    $inbox: [entry('made-by-suprsend', { id_provider: 'suprsend' }), entry('theirs')],
    $androidpush: [entry('t1', { id_provider: 'fcm' }), entry('t2', { id_provider: 'oppo' })],
    $webpush: [entry(subscription, { id_provider: 'vapid' })],
    $slack: [entry({ email_id: 'ann@x.io', access_token: 'xoxb-theirs' })],
  })
  const target = profile({ $email: ['Ann@x.io'], $androidpush: ['t1'] })
  const exclusive: ReadonlySet<ChannelKey> = new Set(['$email', '$inbox', '$androidpush', '$webpush', '$slack'])
  const removals = [
    { $remove: { $email: 'theirs@x.io' } },
    { $remove: { $inbox: 'theirs' } },
    { $remove: { $androidpush: 't2', $id_provider: 'oppo' } },
    { $remove: { $webpush: subscription, $id_provider: 'vapid' } },
    { $remove: { $slack: { email: 'ann@x.io', access_token: 'xoxb-theirs' } } },
  ]
  expect(repair(user, target, { owned: [], exclusive })).toEqual(removals)
  expect(repair(user, target, { owned: [], exclusive: new Set() })).toEqual([])
  // Of a user who must not be there everything in them goes.
  expect(repair(user, null, { owned: [], exclusive })).toEqual([
    { $remove: { $email: 'ANN@x.io' } },
    removals[0],
    removals[1],
    { $remove: { $androidpush: 't1', $id_provider: 'fcm' } },
    ...removals.slice(2),
  ])
})

test('an access token that was rotated is repaired, the old one first', () => {
  const slack = (token: string) => ({ email: 'ann@x.io', access_token: token })
  const user = remote({ $slack: [entry({ email_id: 'ann@x.io', access_token: 'xoxb-1' })] })
  expect(repairPlan(user, profile({ $slack: [slack('xoxb-2')] }), [profile({ $slack: [slack('xoxb-1')] })])).toEqual([
    { $remove: { $slack: slack('xoxb-1') } },
    { $append: { $slack: slack('xoxb-2') } },
  ])
})

test('a cleared user keeps nothing of ours', () => {
  const user = remote({ properties: { name: 'A', theirs: 1 }, $sms: [entry('+14155550101')] })
  expect(repairPlan(user, null, [profile({ $sms: ['+14155550101'] }, { name: 'A' })])).toEqual([
    { $remove: { $sms: '+14155550101' } },
    { $unset: ['name'] },
  ])
})

test('one token under another provider is the old value', () => {
  const token = (provider: string) => ({ value: 't1', $id_provider: provider })
  const user = remote({ $androidpush: [entry('t1', { id_provider: 'xiaomi' }), entry('t2', { id_provider: 'fcm' })] })
  const target = profile({ $androidpush: [token('fcm'), 't2'] })
  expect(repairPlan(user, target, [profile({ $androidpush: [token('xiaomi')] })])).toEqual([
    { $remove: { $androidpush: 't1', $id_provider: 'xiaomi' } },
    { $append: { $androidpush: 't1', $id_provider: 'fcm' } },
  ])
})

test('removing one spelling puts the wanted one back after it', () => {
  const user = remote({ $email: [entry('Bob@x.io'), entry('bob@x.io')] })
  expect(repairPlan(user, profile({ $email: ['bob@x.io'] }), [profile({ $email: ['Bob@x.io'] })])).toEqual([
    { $remove: { $email: 'Bob@x.io' } },
    { $append: { $email: 'bob@x.io' } },
  ])
})

test.each<ChannelKey>(['$email', '$androidpush', '$webpush'])(
  'an answer that lists 50,000 values of %s is compared at once, and its repair stays within the limit of a body',
  (key) => {
    const value = (name: string) =>
      key === '$webpush' ? { endpoint: `https://push.example.com/${name}`, keys: { p256dh: 'p', auth: 'a' } } : name
    const theirs = Array.from({ length: 50_000 }, (_, n) => entry(value(`theirs${n}@x.io`)))
    const many = (name: string) => Array.from({ length: 100 }, (_, n) => value(`${name}${n}@x.io`))
    const user = remote({ [key]: [...theirs, ...many('old').map((it) => entry(it))] })
    const holdings = { owned: [profile({ [key]: many('old') })], exclusive: new Set([key]) }
    const operations = repair(user, profile({ [key]: many('new') }), holdings)
    const kinds = Map.groupBy(operations, (operation) => Object.keys(operation)[0])
    // Ours whole, and of theirs what one request may take away.
    expect(kinds.get('$append')).toHaveLength(100)
    expect(kinds.get('$remove')?.length).toBeGreaterThan(1_000)
    expect(JSON.stringify(operations).length).toBeLessThan(800_000)
    for (const old of many('old')) expect(JSON.stringify(kinds.get('$remove'))).toContain(JSON.stringify(old))
  },
)

test('one value of half a megabyte that others added to an exclusive channel does not keep ours from being sent', () => {
  const user = remote({
    $slack: [entry({ user_id: 'U'.repeat(500_000) }), entry({ user_id: 'U2', access_token: 'x' })],
  })
  const target = profile({ $slack: [{ user_id: 'U1', access_token: 'xoxb-1' }] })
  expect(repair(user, target, { owned: [], exclusive: new Set<ChannelKey>(['$slack']) })).toEqual([
    { $remove: { $slack: { user_id: 'U2', access_token: 'x' } } },
    { $append: { $slack: { user_id: 'U1', access_token: 'xoxb-1' } } },
  ])
})
