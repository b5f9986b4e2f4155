// What is said of a user: by the state where it knows them, else by what SuprSend holds; and the figures of all.
import { describe, expect, test } from 'vitest'
import type { Failure, RemoteUser } from '../../../src/core/api.ts'
import type { AssembledUser } from '../../../src/core/plan-assembly.ts'
import { isKnown, type KnownUser, type Looked, needsLook, planReported } from '../../../src/core/plan-report.ts'
import { hasDifferences, PlanTally } from '../../../src/core/plan-summary.ts'
import type { Profile } from '../../../src/core/profile.ts'

const email = (address: string): Profile => ({ channels: { $email: [address] }, properties: {} })
const OLD = email('old@example.com')
const NEW = email('new@example.com')
const user = (desired: Profile | null): AssembledUser => ({
  distinctId: 'u',
  desired,
  row: '1',
  reasons: [],
  duplicates: [],
})
const sent = (synced: Profile | null, unclear: KnownUser['unclear'] = []): KnownUser => ({
  synced,
  unclear,
  setAside: null,
})
const found = (profile: Profile): Looked => ({ kind: 'found', user: profile as unknown as RemoteUser })
const MISSING: Looked = { kind: 'missing' }
const FAILURE: Failure = { code: 'server_error', status: 500, key: null, message: 'SuprSend failed' }
const FAILED: Looked = { kind: 'failed', failure: FAILURE }

function plan(
  desired: Profile | null,
  known: KnownUser | null,
  looked: Looked | null,
  policy: { readonly onDelete?: 'delete' | 'clear' | 'keep'; readonly firstContact?: 'upsert' | 'edit' } = {},
) {
  const { onDelete = 'delete', firstContact = 'upsert' } = policy
  return planReported({
    user: user(desired),
    known,
    looked,
    policy: { onDelete, firstContact, exclusive: new Set<never>() },
  })
}
const swap = {
  kind: 'edit',
  operations: [{ $remove: { $email: 'old@example.com' } }, { $append: { $email: 'new@example.com' } }],
}
const create = { kind: 'upsert', body: { $email: ['new@example.com'] } }

describe('a user whom the state does not know', () => {
  test.each([null, sent(null)])('is created where SuprSend has none', (known) => {
    for (const firstContact of ['upsert', 'edit'] as const) {
      expect(plan(NEW, known, MISSING, { firstContact })).toMatchObject({ action: 'create', requests: [create] })
    }
  })

  test('is made ours where SuprSend has one; what others added stays', () => {
    const requests = [{ kind: 'edit', operations: [{ $append: { $email: 'new@example.com' } }] }]
    expect(plan(NEW, null, found(OLD))).toMatchObject({ action: 'update', requests })
    const both = found({ channels: { $email: ['old@example.com', 'NEW@example.com'] }, properties: {} })
    expect(plan(NEW, null, both)).toMatchObject({ action: 'unchanged', requests: [] })
  })

  test('is never deleted, and not even asked for', () => {
    expect(needsLook(user(null), null)).toBe(false)
    expect(plan(null, null, null)).toMatchObject({ action: 'unchanged', requests: [] })
    expect(plan(null, null, found(OLD))).toMatchObject({ action: 'unchanged', requests: [] })
  })

  test('cannot be planned where SuprSend did not answer', () => {
    expect(plan(NEW, null, FAILED)).toMatchObject({ action: 'not_compared', requests: [], failure: FAILURE })
  })
})

describe('a user whom the state knows', () => {
  test('is known by what was sent or may have been', () => {
    expect([null, sent(null), sent(OLD), sent(null, [null])].map(isKnown)).toEqual([false, false, true, true])
    expect(needsLook(user(null), sent(OLD))).toBe(true)
  })

  test('is planned as the service does it', () => {
    expect(plan(NEW, sent(OLD), found(OLD))).toMatchObject({ action: 'update', requests: [swap], drifted: false })
    expect(plan(NEW, sent(OLD), FAILED)).toMatchObject({ action: 'update', requests: [swap], failure: FAILURE })
    expect(plan(null, sent(OLD), found(OLD))).toMatchObject({ action: 'delete', requests: [{ kind: 'delete' }] })
  })

  test('by the policy for users who are gone', () => {
    const clear = { kind: 'edit', operations: [{ $remove: { $email: 'old@example.com' } }] }
    expect(plan(null, sent(OLD), found(OLD), { onDelete: 'clear' })).toMatchObject({ requests: [clear] })
    expect(plan(null, sent(OLD), found(OLD), { onDelete: 'keep' })).toMatchObject({ action: 'unchanged' })
  })

  test('and who vanished from SuprSend: created again, or nothing left to delete', () => {
    expect(plan(NEW, sent(OLD), MISSING)).toMatchObject({ action: 'create', requests: [create] })
    expect(plan(NEW, sent(OLD), MISSING, { firstContact: 'edit' })).toMatchObject({ requests: [create] })
    expect(plan(null, sent(OLD), MISSING)).toMatchObject({ action: 'unchanged', requests: [] })
    expect(plan(null, sent(OLD, [null]), MISSING, { onDelete: 'clear' })).toMatchObject({ requests: [] })
  })

  test('unclear targets are told whole; a user who is there is updated even by a POST', () => {
    expect(plan(NEW, sent(null, [OLD, null]), found(OLD))).toMatchObject({
      action: 'update',
      requests: [create, { kind: 'edit', operations: [{ $remove: { $email: 'old@example.com' } }] }],
    })
    expect(plan(NEW, sent(null, [OLD, null]), FAILED)).toMatchObject({ action: 'create' })
  })

  test('drift: nothing would be sent, and SuprSend holds something else', () => {
    expect(plan(NEW, sent(NEW), found(NEW))).toMatchObject({ action: 'unchanged', drifted: false })
    expect(plan(NEW, sent(NEW), found(OLD))).toMatchObject({ action: 'unchanged', requests: [], drifted: true })
    expect(plan(NEW, sent(NEW), MISSING)).toMatchObject({ action: 'unchanged', drifted: true })
    expect(plan(NEW, sent(NEW), FAILED)).toMatchObject({ action: 'unchanged', drifted: false, failure: FAILURE })
  })

  test('who was set aside is told so', () => {
    expect(plan(NEW, { ...sent(OLD), setAside: 'invalid_value' }, found(OLD)).setAside).toBe('invalid_value')
  })
})

test('the figures', () => {
  const tally = new PlanTally()
  expect(hasDifferences(tally.summary)).toBe(false)
  tally.addRows(3)
  tally.addUser(plan(NEW, sent(NEW), MISSING))
  tally.addUser(plan(NEW, null, FAILED))
  expect(hasDifferences(tally.summary)).toBe(false)
  const reason = (key: string) => ({ key, code: 'invalid_email', message: 'm' })
  tally.addUser({ ...plan(NEW, null, MISSING), reasons: [reason('$email'), reason('a')], duplicates: ['4', '5'] })
  tally.addLeftOut([reason('a')])
  tally.addDuplicates(1)
  expect(tally.summary).toEqual({
    rows: 3,
    actions: { create: 1, update: 0, delete: 0, unchanged: 1, not_compared: 1 },
    duplicates: 3,
    drifted: 1,
    leftOut: [
      { key: 'a', code: 'invalid_email', count: 2 },
      { key: '$email', code: 'invalid_email', count: 1 },
    ],
    failures: [{ code: 'server_error', count: 1 }],
  })
  expect(hasDifferences(tally.summary)).toBe(true)
})
