// The circuit breaker in state: what is decided is what was shown and nothing later, whoever claims, records or retries meanwhile;
// and of a rejected user everything but the loss is sent.
import { expect, test } from 'vitest'
import { approveLosses, approveRejected, lookAtLosses, rejectLosses } from '../../src/state/breaker-decision.ts'
import { countHeld, readBreaker } from '../../src/state/breaker-store.ts'
import { remedyAllFailed, remedyUsers } from '../../src/state/failed-store.ts'
import { type BreakerState, breakerState, FULL, ids, NO_SMS } from '../support/breaker-state.ts'

const USERS = ids(1, 40)
const REFUSED = { code: 'invalid_value', status: 400, key: null, message: 'no' }
const OTHER_NAME = { ...NO_SMS, properties: { name: 'B' } }

/** Everybody is in step with SuprSend. */
async function settled(it: BreakerState): Promise<void> {
  await it.write(USERS, FULL)
  await it.deliver()
}

test('a loss that comes after the look stays held, and the breaker open', async () => {
  await using it = await breakerState()
  await settled(it)
  await it.write(ids(1, 10), null)
  expect(await it.deliver()).toEqual([])
  const shown = await lookAtLosses(it.db)
  expect(shown).toMatchObject({ deletions: 10, channels: 0 })
  await it.write(ids(11, 12), null)
  // Shown to lose a channel, or nothing: deleted meanwhile.
  expect(await approveLosses(it.db, shown)).toEqual({ users: 10, open: true })
  expect((await it.deliver()).map(({ distinctId }) => distinctId).sort()).toEqual(ids(1, 10))
  expect(await countHeld(it.db, 100)).toMatchObject({ deletions: 2, channels: 0 })
  const rest = await lookAtLosses(it.db)
  expect(rest).toMatchObject({ deletions: 2, channels: 0 })
  expect(await approveLosses(it.db, rest)).toEqual({ users: 2, open: false })
  expect((await it.deliver()).map(({ distinctId }) => distinctId).sort()).toEqual(ids(11, 12))
})

test('who was shown to lose a channel, and is deleted after the look, stays', async () => {
  await using it = await breakerState()
  await settled(it)
  await it.write(ids(1, 10), NO_SMS)
  const shown = await lookAtLosses(it.db)
  expect(shown).toMatchObject({ deletions: 0, channels: 10 })
  await it.write(['u001'], null)
  // What loses no more than was shown is approved as it is now.
  await it.write(['u002'], OTHER_NAME)
  expect(await approveLosses(it.db, shown)).toEqual({ users: 9, open: true })
  const sent = await it.deliver()
  expect(sent.filter(({ desired }) => desired === null)).toEqual([])
  expect(await it.user('u001')).toMatchObject({ held: true, synced: FULL })
  expect((await it.user('u002')).synced).toEqual(OTHER_NAME)
})

test('two who approve at once: everybody once, and the breaker is closed', async () => {
  await using it = await breakerState()
  await settled(it)
  await it.write(USERS, null)
  const looks = [await lookAtLosses(it.db), await lookAtLosses(it.db)]
  const ends = await Promise.all(looks.map((shown) => approveLosses(it.db, shown)))
  expect(ends.reduce((sum, { users }) => sum + users, 0)).toBe(40)
  expect(await readBreaker(it.db)).toBeNull()
  expect(await it.deliver()).toHaveLength(40)
  expect(await it.deliver()).toEqual([])
})

test('reject: neither a claim in flight nor a deletion that waits at the gate undoes it', async () => {
  await using it = await breakerState()
  await settled(it)
  // Below the share: claimed, and waiting for their turn to leave.
  await it.write(ids(1, 3), null)
  const [left, waiting, unclear] = await it.claim()
  if (!left || !waiting || !unclear) throw new Error('nobody was claimed')
  expect(await it.delivery.mayLose(left)).toBe(true)
  await it.write(ids(4, 10), NO_SMS)
  // Of one who is held everything else is on its way.
  await it.write(['u004'], OTHER_NAME)
  const held = await it.claim()
  expect(held.map(({ distinctId }) => distinctId)).toEqual(['u004'])
  expect(await it.delivery.mayLose(waiting)).toBe(false)
  const shown = await lookAtLosses(it.db)
  expect(shown).toMatchObject({ deletions: 3, channels: 7 })
  expect(await rejectLosses(it.db, shown)).toEqual({ users: 10, open: false })

  expect(await it.delivery.mayLose(waiting)).toBe(false)
  await it.delivery.release([waiting])
  await it.record([left])
  await it.record([unclear], { synced: FULL, unclear: [{ token: unclear.token, target: null }], retryInMs: 0 })
  await it.record(held)
  expect(await it.deliver()).toEqual([])
  expect((await it.user('u002')).synced).toEqual(FULL)
  expect((await it.user('u004')).synced).toEqual({ ...FULL, properties: { name: 'B' } })
  expect((await it.user('u005')).synced).toEqual(FULL)
})

test('reject drops no change that is no loss', async () => {
  await using it = await breakerState()
  await settled(it)
  await it.write(ids(1, 10), OTHER_NAME)
  const shown = await lookAtLosses(it.db)
  expect(await rejectLosses(it.db, shown)).toEqual({ users: 10, open: false })
  await it.deliver()
  expect((await it.user('u001')).synced).toEqual({ ...FULL, properties: { name: 'B' } })
  // As long as nothing more is lost, whatever else changes.
  await it.write(['u001'], { ...OTHER_NAME, properties: { name: 'C' } })
  await it.deliver()
  expect((await it.user('u001')).synced).toEqual({ ...FULL, properties: { name: 'C' } })
  await it.write(['u002'], FULL)
  await it.deliver()
  expect((await it.user('u002')).synced).toEqual(FULL)
})

test('who was rejected and loses more is counted anew', async () => {
  await using it = await breakerState()
  await settled(it)
  await it.write(ids(1, 10), OTHER_NAME)
  await rejectLosses(it.db, await lookAtLosses(it.db))
  await it.deliver()
  await it.write(['u001'], null)
  expect(await it.deliver()).toHaveLength(1)
  expect((await it.user('u001')).synced).toBeNull()
})

test('what was rejected can be sent after all', async () => {
  await using it = await breakerState()
  await settled(it)
  await it.write(ids(1, 10), OTHER_NAME)
  await it.write(ids(11, 15), null)
  await rejectLosses(it.db, await lookAtLosses(it.db))
  await it.deliver()
  expect(await approveRejected(it.db)).toBe(15)
  expect(await it.deliver()).toHaveLength(15)
  expect((await it.user('u001')).synced).toEqual(OTHER_NAME)
  expect((await it.user('u011')).synced).toBeNull()
  expect(await approveRejected(it.db)).toBe(0)
})

test.each(['held when it was refused', 'refused before the breaker opened'])(
  'failed retry sends no deletion that is held: %s',
  async (when) => {
    await using it = await breakerState()
    await settled(it)
    await it.write(['u001'], null)
    const refuse = async () => it.record(await it.claim(), { synced: FULL, attempts: 1, failure: REFUSED })
    if (when === 'refused before the breaker opened') await refuse()
    const claims = when === 'refused before the breaker opened' ? [] : await it.claim()
    await it.write(ids(2, 10), null)
    await it.record(claims, { synced: FULL, attempts: 1, failure: REFUSED })
    await it.deliver()
    await remedyAllFailed(it.db, 'retry', null)
    expect(await it.deliver()).toEqual([])
    expect(await it.user('u001')).toMatchObject({ held: true, due: false, synced: FULL })
    const shown = await lookAtLosses(it.db)
    expect(shown).toMatchObject({ deletions: 10 })
    expect(await approveLosses(it.db, shown)).toEqual({ users: 10, open: false })
    expect(await it.deliver()).toHaveLength(10)
  },
)

test('failed retry of somebody who was rejected deletes nobody', async () => {
  await using it = await breakerState()
  await settled(it)
  await it.write(['u001'], null)
  await it.record(await it.claim(), { synced: FULL, attempts: 1, failure: REFUSED })
  await it.write(ids(2, 10), null)
  await rejectLosses(it.db, await lookAtLosses(it.db))
  await remedyUsers(it.db, 'retry', ['u001'])
  expect(await it.deliver()).toEqual([])
})

test('a held channel stays as it was sent last, also where that is not certain', async () => {
  await using it = await breakerState()
  await settled(it)
  const newer = { ...FULL, channels: { ...FULL.channels, $sms: ['+2'] } }
  const newest = { ...FULL, channels: { ...FULL.channels, $sms: ['+3'] } }
  for (const desired of [newer, newest]) {
    await it.write(['u001'], desired)
    const [claim] = await it.claim()
    if (!claim) throw new Error('nobody was claimed')
    const unclear = [...claim.unclear, { token: claim.token, target: claim.desired }]
    await it.record([claim], { synced: FULL, unclear, attempts: 1, retryInMs: 0 })
  }
  await it.write(ids(1, 10), NO_SMS)
  const [claim] = await it.claim()
  expect(claim).toMatchObject({ distinctId: 'u001', held: true })
  expect(claim?.desired?.channels.$sms).toEqual(['+3'])
})

test('what was lost before the trip is held, however many wait and whenever they are due', async () => {
  await using it = await breakerState({ minUsers: 6 })
  await settled(it)
  await it.write(ids(1, 5), null)
  await it.database.query("UPDATE suprsync.profile SET due_at = now() + interval '1 hour' WHERE distinct_id = 'u001'")
  expect(it.trips).toBe(0)
  await it.write(ids(6, 6), null)
  expect(it.trips).toBe(1)
  expect(await countHeld(it.db, 100)).toMatchObject({ deletions: 6, channels: 0 })
  await it.database.query('UPDATE suprsync.profile SET due_at = now() WHERE due_at IS NOT NULL')
  expect(await it.deliver()).toEqual([])
})

test.each([
  ['one below min_users', { minUsers: 5, share: 0.01 }, 4, false],
  ['min_users exactly', { minUsers: 5, share: 0.01 }, 5, true],
  ['the share exactly', { minUsers: 1, share: 0.25 }, 10, false],
  ['one above the share', { minUsers: 1, share: 0.25 }, 11, true],
  ['everybody, of a share of all', { minUsers: 1, share: 1 }, 40, false],
])('%s', async (_, settings, losses, trips) => {
  await using it = await breakerState(settings)
  await settled(it)
  // One after the other, all within the window; the last one decides.
  for (const id of ids(1, losses - 1)) await it.write([id], null)
  expect(it.trips).toBe(0)
  await it.write([`u${String(losses).padStart(3, '0')}`], null)
  expect(it.trips).toBe(trips ? 1 : 0)
  expect(await it.deliver()).toHaveLength(trips ? 0 : losses)
})
