// Users who wait until everything is read under another mapping: nothing of what they become is sent before, `status` tells of them,
// and nothing else removes them or takes them for settled.

import { expect, test } from 'vitest'
import { ALL_BUCKETS } from '../../src/core/buckets.ts'
import type { StateCommit } from '../../src/core/capture-port.ts'
import { NO_LSN } from '../../src/core/lsn.ts'
import { documentOf, type Profile } from '../../src/core/profile.ts'
import { countPending } from '../../src/state/counts.ts'
import { takeOver } from '../../src/state/ownership.ts'
import { readStoredUsers } from '../../src/state/reconcile-store.ts'
import { Tidy } from '../../src/state/tidy.ts'
import { createTestDatabase } from '../support/database.ts'
import { makeStateAtCheckpoint } from '../support/seeded-state.ts'
import { makeSender } from '../support/sender.ts'

const OLD: Profile = { channels: { $email: ['a'] }, properties: {} }
const NEW: Profile = { channels: { $email: ['b'] }, properties: {} }

async function parkedWorld() {
  const database = await createTestDatabase()
  const db = await makeStateAtCheckpoint(database)
  const { state } = await takeOver(db)
  const delivery = await makeSender(db)
  /** `meanwhile` is given: the user is parked. */
  const write = async (id: string, desired: Profile | null, meanwhile?: Profile | null) => {
    const written = {
      ...{ distinctId: id, key: id, desired: desired && documentOf(desired), reasons: [] },
      ...(meanwhile === undefined ? {} : { meanwhile: { desired: meanwhile && documentOf(meanwhile) } }),
    }
    const profiles = [{ ...written, changeLsn: NO_LSN, firstChangedAt: Date.now(), lastChangedAt: Date.now() }]
    const nothing = { rows: [], seen: null, marks: [], lsn: null, truncate: null, forget: null, backfill: null }
    const commit: StateCommit = { ...nothing, lane: 0, profiles, pagesLsn: null }
    await state.commit('public.users', commit, () => undefined)
  }
  const claim = async () => {
    const claims = ([0, 1] as const).map((lane) =>
      delivery.claim({ buckets: ALL_BUCKETS, limit: 10, lane, token: 't' }),
    )
    return (await Promise.all(claims))
      .flatMap((claimed) => claimed.claims)
      .map(({ distinctId, desired }) => [distinctId, desired])
  }
  const accept = () =>
    database.query(
      "UPDATE suprsync.profile SET synced = desired, synced_hash = desired_hash, sending = '[]', claimed_by = NULL, due_at = NULL, pending_since = NULL",
    )
  return {
    ...{ database, db, state, write, claim, accept },
    [Symbol.asyncDispose]: async () => {
      await db.destroy()
      await database[Symbol.asyncDispose]()
    },
  }
}

test.each<[string, Profile | null]>([
  ['another profile', NEW],
  ['nobody', null],
])('who becomes %s is sent nothing until all who are parked go on', async (_, eventual) => {
  await using world = await parkedWorld()
  const { db, state, write, claim, accept } = world
  await write('u', OLD)
  await accept()
  await write('u', eventual, OLD)
  expect(await claim()).toEqual([])
  expect(await countPending(db, 100)).toMatchObject({ total: 1, dueNow: 0, parked: 1 })
  expect((await readStoredUsers(db, ['u'])).get('u')?.isPending).toBe(true)
  expect([await state.hasParked(), await state.unparkSome(), await state.unparkSome()]).toEqual([true, 1, 0])
  expect(await countPending(db, 100)).toMatchObject({ total: 1, dueNow: 1, parked: 0 })
  expect(await claim()).toEqual([['u', eventual]])
})

test('what a parked user is to be in the meantime is sent', async () => {
  await using world = await parkedWorld()
  const { state, write, claim, accept } = world
  const both: Profile = { channels: { $email: ['b', 'a'] }, properties: {} }
  await write('u', OLD)
  await accept()
  await write('u', NEW, both)
  expect(await claim()).toEqual([['u', both]])
  await accept()
  await state.unparkSome()
  expect(await claim()).toEqual([['u', NEW]])
})

test('who becomes again what SuprSend holds is sent nothing', async () => {
  await using world = await parkedWorld()
  const { db, state, write, claim, accept } = world
  await write('u', OLD)
  await accept()
  await write('u', NEW, OLD)
  await write('u', OLD)
  expect(await countPending(db, 100)).toMatchObject({ total: 0, parked: 0 })
  expect([await state.hasParked(), await claim()]).toEqual([false, []])
})

test('a new user who is parked is told when all go on, and is not taken for one who is gone', async () => {
  await using world = await parkedWorld()
  const { database, db, state, write, claim } = world
  await write('u', NEW, null)
  expect(await claim()).toEqual([])
  await new Tidy(db, database.pool).run()
  await state.unparkSome()
  expect(await claim()).toEqual([['u', NEW]])
})
