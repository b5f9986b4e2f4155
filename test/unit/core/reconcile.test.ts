// What is said of one user: by the state without asking, else by what SuprSend shows; and the figures of all.
import { describe, expect, test } from 'vitest'
import type { Failure, RemoteUser } from '../../../src/core/api.ts'
import type { OnDelete } from '../../../src/core/mapping-spec.ts'
import type { Looked } from '../../../src/core/plan-report.ts'
import { type ChannelKey, type Profile, profileHash } from '../../../src/core/profile.ts'
import {
  beforeLook,
  isDrift,
  isStale,
  isUnmoved,
  judge,
  type ReconciledKind,
  type StoredUser,
  verdict,
} from '../../../src/core/reconcile.ts'
import { repairOf } from '../../../src/core/reconcile-port.ts'
import { driftedUsers, ReconcileTally } from '../../../src/core/reconcile-summary.ts'
import { secretReference } from '../../../src/core/secret-reference.ts'

const profile = (channels: Profile['channels'], properties: Profile['properties'] = {}): Profile => ({
  channels,
  properties,
})
const ROW = profile({ $email: ['a@example.com'] }, { name: 'Ada' })
const OTHER = profile({ $email: ['b@example.com'] })
const at = (desired: Profile | null) => ({ desired, desiredHash: desired === null ? null : profileHash(desired) })

function stored(desired: Profile | null, more: Partial<StoredUser> = {}): StoredUser {
  const hash = at(desired).desiredHash
  return { desiredHash: hash, synced: desired, syncedHash: hash, isPending: false, setAside: null, ...more }
}

describe('without asking', () => {
  const early = (desired: Profile | null, state: StoredUser | null, onDelete: OnDelete = 'delete', caughtUp = false) =>
    beforeLook(at(desired), state, { onDelete, caughtUp })?.kind ?? 'ask'

  test('who is settled is asked for', () => {
    expect(early(ROW, stored(ROW))).toBe('ask')
  })

  test.each<[string, ReconciledKind, StoredUser | null]>([
    ['the state does not know', 'unknown', null],
    ['waits, or is being sent', 'pending', stored(ROW, { isPending: true })],
    ['was set aside', 'set_aside', stored(ROW, { setAside: 'invalid_value', syncedHash: null, synced: null })],
    ['has another row in the state', 'not_captured', stored(OTHER)],
    ['is to be gone by the state', 'not_captured', stored(null)],
    ['is kept as it is', 'kept', stored(ROW, { syncedHash: 'held' })],
  ])('one who %s is not: %s', (_, kind, state) => {
    expect(early(ROW, state)).toBe(kind)
  })

  test('where nothing is on its way, another row in the state is asked for', () => {
    expect(early(ROW, stored(OTHER), 'delete', true)).toBe('ask')
    expect(early(null, stored(OTHER), 'delete', true)).toBe('ask')
    expect(early(ROW, stored(OTHER, { isPending: true }), 'delete', true)).toBe('pending')
    expect(isStale(at(ROW), stored(OTHER))).toBe(true)
    expect(isStale(at(null), stored(null))).toBe(false)
  })

  test('one who shall not exist: asked for only where that means deleted', () => {
    expect(early(null, null)).toBe('same')
    expect(early(null, stored(null))).toBe('ask')
    expect(early(null, stored(null), 'clear')).toBe('same')
    expect(early(null, stored(null, { synced: ROW, syncedHash: 'kept' }), 'keep')).toBe('kept')
    expect(early(null, stored(ROW))).toBe('not_captured')
  })
})

interface Case {
  readonly state?: StoredUser
  readonly exclusive?: readonly ChannelKey[]
  readonly onDelete?: OnDelete
}

function found(desired: Profile | null, remote: Partial<RemoteUser> | 'missing' | Failure, options: Case = {}) {
  const { state = stored(desired), exclusive = [], onDelete = 'delete' } = options
  const looked: Looked =
    remote === 'missing'
      ? { kind: 'missing' }
      : 'code' in remote
        ? { kind: 'failed', failure: remote as Failure }
        : { kind: 'found', user: { channels: {}, properties: {}, ...remote } }
  const policy = { onDelete, exclusive: new Set(exclusive), named: new Set(['name']) }
  const { kind, different, extra } = judge(at(desired), { stored: state, looked, policy })
  return [kind, different, extra] as const
}

describe('by what SuprSend shows', () => {
  const EQUAL = { channels: { $email: ['a@example.com'] }, properties: { name: 'Ada' } }

  test('the same, whatever others added and however an address is spelt', () => {
    expect(found(ROW, EQUAL)).toEqual(['same', [], []])
    const more = {
      channels: { $email: ['A@Example.com', 'x@example.com'], $sms: ['+1'] },
      properties: { name: 'Ada', x: 1 },
    }
    expect(found(ROW, more)).toEqual(['same', [], []])
  })

  test('missing', () => {
    expect(found(ROW, 'missing')).toEqual(['missing', [], []])
    expect(found(null, 'missing')).toEqual(['same', [], []])
  })

  test('different, by key: what lacks, what is another one', () => {
    expect(found(ROW, { properties: { name: 'Ada' } })).toEqual(['different', ['$email'], []])
    expect(found(ROW, { ...EQUAL, properties: { name: 'Eve' } })).toEqual(['different', ['name'], []])
    expect(found(ROW, {})).toEqual(['different', ['$email', 'name'], []])
  })

  test('extra: a stranger in an exclusive channel, what was sent and is no more wanted, a user of no row', () => {
    const stranger = { ...EQUAL, channels: { $email: ['a@example.com', 'x@example.com'] } }
    expect(found(ROW, stranger, { exclusive: ['$email'] })).toEqual(['extra', [], ['$email']])
    const was = stored(ROW, { synced: profile({ $sms: ['+15550100'] }, { plan: 'pro', name: 'Ada' }) })
    const both = { channels: { ...EQUAL.channels, $sms: ['+15550100'] }, properties: { name: 'Eve', plan: 'pro' } }
    expect(found(ROW, both, { state: was })).toEqual(['different', ['name'], ['$sms', 'properties']])
    expect(found(null, EQUAL)).toEqual(['extra', [], []])
    expect(found(null, EQUAL, { onDelete: 'keep' })).toEqual(['same', [], []])
  })

  test('what must be put back after a removal is not lacking', () => {
    const respelt = profile({ $email: ['Ada@example.com'] })
    const state = stored(respelt, { synced: profile({ $email: ['ada@example.com'] }) })
    const remote = { channels: { $email: ['ada@example.com', 'Ada@example.com'] } }
    expect(found(respelt, remote, { state })).toEqual(['extra', [], ['$email']])
  })

  test('a user who was to be cleared, of whom something is left', () => {
    const state = stored(null, { synced: ROW })
    expect(found(null, EQUAL, { state, onDelete: 'clear' })).toEqual(['extra', [], ['$email', 'name']])
  })

  test('names of properties that the file does not name are not told', () => {
    expect(found(profile({}, { 'secret name': 1, other: 2 }), {})).toEqual(['different', ['properties'], []])
  })

  test('secrets are compared by their references', () => {
    const slack = (token: object | string) => ({ user_id: 'U1', access_token: token })
    const desired = profile({ $slack: [slack(secretReference('TOKEN', 'xoxb-1')) as never] })
    expect(found(desired, { channels: { $slack: [slack('xoxb-1') as never] } })).toEqual(['same', [], []])
    expect(found(desired, { channels: { $slack: [slack('xoxb-2') as never] } })).toEqual(['different', ['$slack'], []])
  })

  test('who could not be asked', () => {
    const failure: Failure = { code: 'server_error', status: 500, key: null, message: 'SuprSend failed' }
    expect(found(ROW, failure)).toEqual(['not_compared', [], []])
  })
})

test('who moved between two readings of the state', () => {
  expect(isUnmoved(stored(ROW), stored(ROW))).toBe(true)
  expect(isUnmoved(stored(ROW), stored(ROW, { isPending: true }))).toBe(false)
  expect(isUnmoved(stored(ROW), stored(OTHER))).toBe(false)
  expect(isUnmoved(stored(ROW), stored(ROW, { setAside: 'invalid_value' }))).toBe(false)
  expect(isUnmoved(stored(ROW), null)).toBe(false)
})

test('how each kind is repaired', () => {
  expect((['missing', 'extra', 'different'] as const).map((kind) => repairOf('u', kind, 'h').how)).toEqual([
    'create',
    'whole',
    'whole',
  ])
})

test('the figures: users by result, keys by how often', () => {
  const tally = new ReconcileTally()
  const different = { ...verdict('different'), different: ['$email'], extra: ['name'] }
  tally.add({ verdict: verdict('same'), repaired: false })
  tally.add({ verdict: verdict('missing'), repaired: true })
  tally.add({ verdict: { ...verdict('extra'), extra: ['$sms'] }, repaired: true })
  for (const repaired of [true, false]) tally.add({ verdict: different, repaired })
  const failure = { code: 'server_error', status: 500, key: null, message: '' }
  tally.add({ verdict: { ...verdict('not_compared'), failure }, repaired: false })
  const { summary } = tally
  expect(summary).toMatchObject({
    users: { same: 1, missing: 1, extra: 1, different: 2, not_compared: 1, pending: 0 },
    keys: [
      { key: '$email', kind: 'different', count: 2 },
      { key: 'name', kind: 'extra', count: 2 },
      { key: '$sms', kind: 'extra', count: 1 },
    ],
    failures: [{ code: 'server_error', count: 1 }],
    repaired: 3,
  })
  expect(driftedUsers(summary)).toBe(4)
  expect(Object.keys(summary.users).filter((kind) => isDrift(kind as ReconciledKind))).toHaveLength(3)
})
