// Which rows are known to be mapped by the mapping of today, and what is still to be done.
import { expect, test } from 'vitest'
import type { Lsn } from '../../../src/core/lsn.ts'
import { type RemapStart, RemapSteps } from '../../../src/core/remap-steps.ts'
import { parseSnapshot } from '../../../src/core/snapshot.ts'
import type { StoredRow } from '../../../src/core/source-row.ts'

const START: RemapStart = {
  sources: ['users', 'devices', 'emails'],
  readings: [
    { id: '1', source: 'devices', reason: 'mapping_changed', sweep: false },
    { id: '2', source: 'emails', reason: 'requested', sweep: false },
    { id: '3', source: 'users', reason: 'mapping_changed', sweep: false },
  ],
  forgets: true,
  era: 2,
  since: 100n as Lsn,
}

const ROW: StoredRow = {
  ...{ key: '1', distinctId: 'u', userKey: null, live: true, partHash: 'h', era: 2, duplicate: false },
  ...{ changeXid: 5n, changeLsn: 100n as Lsn, readSnapshot: parseSnapshot('9:9:') },
}

test('steps are readings under another mapping and the forgetting, until each is done', () => {
  const steps = new RemapSteps(START)
  expect([steps.left, steps.isStep('1'), steps.isStep('2')]).toEqual([3, true, false])
  expect([steps.areChildrenRead, steps.areUsersRead]).toEqual([false, false])
  steps.read('1')
  expect([steps.left, steps.areChildrenRead, steps.areUsersRead]).toEqual([2, true, false])
  steps.read('2')
  steps.read('3')
  expect([steps.left, steps.areUsersRead]).toEqual([1, true])
  steps.forgotten()
  expect(steps.left).toBe(0)
})

test.each([
  ['mapping_changed', 'users', false],
  ['other_users_table', 'users', true],
  ['owners_changed', 'users', true],
  ['owners_changed', 'devices', true],
  ['mapping_changed', 'devices', false],
  ['primary_key_changed', 'users', true],
  ['table_replaced', 'users', true],
  ['primary_key_changed', 'devices', false],
])('a reading because of %s of %s: rows have moved: %s', (reason, source, moved) => {
  const steps = new RemapSteps({ ...START, readings: [{ id: '1', source, reason, sweep: false }] })
  expect(steps.movesRows).toBe(moved)
  steps.read('1')
  expect(steps.movesRows).toBe(false)
})

test('readings past a gap are steps, of which only the deletions wait', () => {
  const gap = { id: '1', source: 'users', reason: 'slot_lost', sweep: true }
  const steps = new RemapSteps({ ...START, forgets: false, readings: [gap] })
  expect([steps.left, steps.isStep('1'), steps.isOnlyGap, steps.movesRows]).toEqual([1, true, true, false])
  const both = new RemapSteps({ ...START, forgets: false, readings: [gap, ...START.readings] })
  expect(both.isOnlyGap).toBe(false)
})

test.each<[string, Partial<StoredRow>, string, boolean]>([
  ['of a table that is not read again', {}, 'emails', true],
  ['that no page has shown since', {}, 'devices', false],
  ['that a page has shown since', { readSnapshot: parseSnapshot('12:12:') }, 'devices', true],
  ['of another era', { readSnapshot: parseSnapshot('12:12:'), era: 1 }, 'devices', false],
  ['that was streamed since', { changeLsn: 101n as Lsn, readSnapshot: null }, 'devices', true],
  ['that was streamed before', { changeLsn: 99n as Lsn, readSnapshot: null }, 'devices', false],
  ['of a reading that has not begun', { readSnapshot: parseSnapshot('12:12:') }, 'users', false],
])('a row %s', (_, row, source, expected) => {
  const steps = new RemapSteps(START)
  steps.begun('1', parseSnapshot('10:10:'))
  expect(steps.isOfToday(source, { ...ROW, ...row })).toBe(expected)
})
