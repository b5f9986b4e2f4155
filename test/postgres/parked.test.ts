// Users whose value may have moved to a table that is still to be read: they wait, are told by `status`, and go on together.
import { expect, test } from 'vitest'
import { NO_LSN } from '../../src/core/lsn.ts'
import type { Parking } from '../../src/core/parking.ts'
import { documentOf, type Profile } from '../../src/core/profile.ts'
import { countPending } from '../../src/state/counts.ts'
import { DeliveryStore } from '../../src/state/delivery-store.ts'
import { takeOver } from '../../src/state/ownership.ts'
import { createTestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint } from '../support/seeded-state.ts'

const HELD: Profile = { channels: { $email: ['a', 'b'], $sms: ['+1'] }, properties: { name: 'A', plan: 'x' } }

const OWNER = '00000000-0000-0000-0000-000000000001'
const changes: readonly (readonly [string, Profile | null, readonly Parking[]])[] = [
  ['gains', { ...HELD, channels: { ...HELD.channels, $inbox: ['i'] } }, []],
  ['has another order', { ...HELD, channels: { ...HELD.channels, $email: ['b', 'a'] } }, []],
  ['has another property value', { ...HELD, properties: { name: 'B', plan: 'x' } }, []],
  ['loses one of two', { ...HELD, channels: { ...HELD.channels, $email: ['b'] } }, ['lost']],
  ['has one replaced', { ...HELD, channels: { ...HELD.channels, $sms: ['+2'] } }, ['lost']],
  ['loses a channel', { ...HELD, channels: { $email: ['a', 'b'] } }, ['lost', 'emptied']],
  ['loses a property', { ...HELD, properties: { name: 'A' } }, ['lost', 'emptied']],
  ['is gone', null, ['lost']],
]

test.each(changes)('a user who %s', async (_, desired, parked) => {
  await using database = await createTestDatabase()
  await using db = await makeStateAtCheckpoint(database)
  const { state } = await takeOver(db)
  const delivery = new DeliveryStore(db)
  const names = ['none', 'kept', 'emptied', 'lost'] as const
  const write = async (id: string, profile: Profile | null, parking: Parking) => {
    const written = { distinctId: id, key: id, desired: profile && documentOf(profile), reasons: [] }
    const profiles = [{ ...written, changeLsn: NO_LSN, firstChangedAt: Date.now(), lastChangedAt: Date.now() }]
    const nothing = { rows: [], seen: null, marks: [], lsn: null, truncate: null, forget: null, backfill: null }
    await state.commit('public.users', { ...nothing, lane: 0, parking, profiles, pagesLsn: null }, () => undefined)
  }
  const claim = async () =>
    (await delivery.claim({ owner: OWNER, limit: 10, lane: 0, token: 't' })).map(({ distinctId }) => distinctId)
  const settle = (how: string) =>
    database.query(`UPDATE suprsync.profile SET ${how}, claimed_by = NULL, due_at = NULL, lane = 0`)
  for (const known of ['synced', 'sent'] as const) {
    for (const name of names) await write(name, HELD, 'none')
    expect((await claim()).sort()).toEqual([...names].sort())
    await settle(known === 'synced' ? "synced = desired, synced_hash = desired_hash, sending = '[]'" : 'synced = NULL')

    for (const name of names) await write(name, desired, name)
    expect((await countPending(db, 100)).parked).toBe(parked.length)
    expect((await claim()).sort()).toEqual(names.filter((name) => !parked.includes(name)).sort())

    // Once parked, a live edit that still loses something waits on, and one that loses nothing does not.
    for (const name of parked)
      await write(name, desired && { ...desired, properties: { ...desired.properties, more: 1 } }, 'kept')
    expect((await countPending(db, 100)).parked).toBe(parked.length)
    expect(await state.unpark()).toBe(parked.length)
    expect((await countPending(db, 100)).parked).toBe(0)
    expect((await delivery.claim({ owner: OWNER, limit: 10, lane: 1, token: 't' })).length).toBe(parked.length)
    await database.query('DELETE FROM suprsync.profile')
  }
})
