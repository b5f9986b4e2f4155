// P1, P4, P6: users of whom SuprSend has refused a key, in the state: they are listed and counted with it, sent again when their row
// changes, no loss to the circuit breaker and no drift to reconcile; and what was given up of them rests.
import { expect, test } from 'vitest'
import type { Failure } from '../../src/core/api.ts'
import { type Profile, profileHash } from '../../src/core/profile.ts'
import { beforeLook } from '../../src/core/reconcile.ts'
import { countFailed, countPending } from '../../src/state/counts.ts'
import { listFailed, remedyAllFailed, remedyUsers } from '../../src/state/failed-store.ts'
import { readKnownUsers } from '../../src/state/known-users.ts'
import { readStoredUsers, repairUsers, sampleSettledUser } from '../../src/state/reconcile-store.ts'
import { type BreakerState, breakerState, FULL, ids, NO_SMS } from '../support/breaker-state.ts'

const SMS: Failure = { code: 'invalid_value', status: 400, key: '$sms', keys: ['$sms'], message: 'refused' }
const EDITED: Profile = { ...FULL, properties: { name: 'B' } }

/** As core/refusal.ts leaves them: everything but the number was accepted. */
async function refuseSms(it: BreakerState, users: readonly string[], desired = FULL): Promise<void> {
  await it.write(users, desired)
  const synced = { ...desired, channels: NO_SMS.channels }
  await it.record(await it.claim(), { synced, syncedHash: profileHash(synced), attempts: 1, failure: SMS })
}

const listed = async (it: BreakerState) =>
  (await listFailed(it.db, { code: null, limit: 99 })).map(({ distinctId, keys }) => [distinctId, keys])

test('listed and counted with the key; nothing is due until the row changes, and then all of it', async () => {
  await using it = await breakerState()
  await refuseSms(it, ['ann'])
  expect(await listed(it)).toEqual([['ann', ['$sms']]])
  expect(await countFailed(it.db, 10)).toMatchObject({ byCode: [{ code: 'invalid_value', count: 1 }] })
  expect(await countPending(it.db, 10)).toMatchObject({ total: 0 })
  await it.write(['ann'], FULL)
  expect(await it.claim()).toEqual([])
  expect(await listed(it)).toHaveLength(1)

  await it.write(['ann'], EDITED)
  expect(await listed(it)).toEqual([])
  const [claim] = await it.claim()
  expect(claim).toMatchObject({ desired: EDITED, synced: NO_SMS, unclear: [], attempts: 0 })
  await it.record([claim].filter((each) => each !== undefined))
  expect(await listed(it)).toEqual([])
})

test('an edit that comes while the rest is sent is not set aside with it', async () => {
  await using it = await breakerState()
  await it.write(['ann'], FULL)
  const claims = await it.claim()
  await it.write(['ann'], EDITED)
  await it.record(claims, { synced: NO_SMS, syncedHash: profileHash(NO_SMS), attempts: 1, failure: SMS })
  expect(await listed(it)).toEqual([])
  expect(await it.claim()).toMatchObject([{ desired: EDITED, synced: NO_SMS }])
})

test('to the breaker a value that was refused is no loss when it goes; a channel that was accepted is', async () => {
  await using it = await breakerState()
  const users = ids(1, 10)
  await refuseSms(it, users)
  await it.write(users, NO_SMS)
  expect(it.trips).toBe(0)
  // There is nothing to send: SuprSend holds it already.
  expect(await it.claim()).toEqual([])
  expect(await listed(it)).toEqual([])
  await it.write(users, { channels: {}, properties: { name: 'A' } })
  expect(it.trips).toBe(1)
})

test('a loss that was sent with the rest is one no more', async () => {
  await using it = await breakerState({ minUsers: 100 })
  const NO_EMAIL: Profile = { channels: { $sms: ['+2'] }, properties: {} }
  await it.write(['ann'], FULL)
  await it.deliver()
  await it.write(['ann'], NO_EMAIL)
  const claims = await it.claim()
  expect(claims).toMatchObject([{ loses: true }])
  const synced = { channels: {}, properties: {} }
  await it.record(claims, { synced, syncedHash: profileHash(synced), attempts: 1, failure: SMS })
  await it.write(['ann'], { ...NO_EMAIL, properties: { name: 'B' } })
  expect(await it.claim()).toMatchObject([{ loses: false }])
})

test('to reconcile and plan a refused key is no drift, before and after it was given up; nobody makes it due', async () => {
  await using it = await breakerState()
  await refuseSms(it, ['ann'])
  for (const remedy of [null, 'drop'] as const) {
    if (remedy !== null) await remedyUsers(it.db, remedy, ['ann'])
    const stored = (await readStoredUsers(it.db, ['ann'])).get('ann') ?? null
    const user = { desired: FULL, desiredHash: profileHash(FULL) }
    expect(beforeLook(user, stored, { onDelete: 'delete', caughtUp: true })).toMatchObject({ kind: 'set_aside' })
    expect((await readKnownUsers(it.db, ['ann'])).get('ann')).toEqual({
      ...{ synced: NO_SMS, unclear: [], setAside: 'invalid_value' },
    })
    const repair = { distinctId: 'ann', how: 'whole', desiredHash: profileHash(FULL) } as const
    expect((await repairUsers(it.db, [repair])).size).toBe(0)
    expect(await sampleSettledUser(it.db)).toBeNull()
    expect(await it.claim()).toEqual([])
  }
})

test('what is given up is listed and counted no more, and rests until the row changes', async () => {
  await using it = await breakerState()
  await refuseSms(it, ['ann', 'bo', 'cy'])
  await it.write(['di'], FULL)
  await it.record(await it.claim(), {
    failure: { code: 'too_large', status: 413, key: null, message: 'm' },
    synced: null,
  })
  await expect(remedyUsers(it.db, 'drop', ['ann', 'nobody'])).rejects.toThrow(
    /"nobody" \(unknown\); nothing was changed/,
  )
  expect(await remedyUsers(it.db, 'drop', ['ann'])).toBe(1)
  expect(await listed(it)).toHaveLength(3)
  expect(await remedyAllFailed(it.db, 'drop', 'invalid_value')).toBe(2)
  expect(await listed(it)).toEqual([['di', null]])
  expect(await remedyAllFailed(it.db, 'drop', null)).toBe(1)
  expect(await countFailed(it.db, 10)).toMatchObject({ byCode: [] })
  expect(await countPending(it.db, 10)).toMatchObject({ total: 0, oldestAgeMs: null })
  await expect(remedyUsers(it.db, 'retry', ['ann'])).rejects.toThrow(/"ann" \(given up until its row changes\)/)
  // Read again by a backfill, unchanged.
  await it.write(['ann', 'di'], FULL)
  expect(await it.claim()).toEqual([])

  await it.write(['ann', 'di'], EDITED)
  expect((await it.claim()).map(({ distinctId }) => distinctId)).toEqual(['ann', 'di'])
  expect((await readKnownUsers(it.db, ['ann'])).get('ann')).toMatchObject({ setAside: null })
})

test('since when a user fails is kept from claim to claim, and ends with what is accepted', async () => {
  await using it = await breakerState()
  await it.write(['ann'], FULL)
  const failingSince = Date.now() - 5_000
  const failure = { code: 'server_error', status: 500, key: null, message: 'm' }
  const trouble = { synced: null, syncedHash: null, attempts: 1, failure, failingSince, retryInMs: 0 }
  const first = await it.claim()
  expect(first).toMatchObject([{ failingSince: null }])
  await it.record(first, trouble)
  const second = await it.claim()
  expect(second).toMatchObject([{ attempts: 1, failingSince }])
  // Given back unsent.
  await it.delivery.release(second)
  const third = await it.claim()
  expect(third).toMatchObject([{ failingSince }])
  await it.record(third)
  await it.write(['ann'], EDITED)
  expect(await it.claim()).toMatchObject([{ failingSince: null }])
})
