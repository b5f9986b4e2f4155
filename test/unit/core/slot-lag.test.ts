import { expect, test } from 'vitest'
import { isCaughtUp, slotLagMs, walBudget } from '../../../src/core/slot-lag.ts'
import type { SlotReport } from '../../../src/core/status-report.ts'

const MB = 2 ** 20
const SLOT: SlotReport = {
  name: 's',
  plugin: 'pgoutput',
  database: 'app',
  activePid: 42,
  walStatus: 'reserved',
  invalidationReason: null,
  confirmedLsn: null,
  lagBytes: 20 * MB,
  retainedWalBytes: 32 * MB,
  safeWalBytes: null,
  segmentBytes: 16 * MB,
}

test.each<[string, Partial<SlotReport>, number]>([
  ['more than a segment waits', {}, 5_000],
  ['less than a segment, and somebody streams: idle', { lagBytes: 15 * MB }, 0],
  ['less than a segment, and nobody streams', { lagBytes: 300, activePid: null }, 5_000],
  ['nothing waits', { lagBytes: 0, activePid: null }, 0],
  ['the slot has no position', { lagBytes: null }, 0],
])('lag: %s', (_name, change, expected) => {
  expect(slotLagMs({ ...SLOT, ...change }, 5_000)).toBe(expected)
})

test('caught up: somebody streams, and less than a segment waits', () => {
  const caughtUp = (change: Partial<SlotReport>) => isCaughtUp({ ...SLOT, lagBytes: 300, ...change })
  expect(caughtUp({})).toBe(true)
  expect([{ lagBytes: 20 * MB }, { activePid: null }, { lagBytes: null }].map(caughtUp)).toEqual([false, false, false])
  expect(isCaughtUp(null)).toBe(false)
})

test.each<[string, Partial<SlotReport>, ReturnType<typeof walBudget>]>([
  ['no limit', {}, 'enough'],
  ['plenty', { safeWalBytes: 100 * MB }, 'enough'],
  ['exactly a quarter left', { retainedWalBytes: 75 * MB, safeWalBytes: 25 * MB }, 'enough'],
  ['under a quarter left', { retainedWalBytes: 75 * MB, safeWalBytes: 24 * MB }, 'low'],
  ['nothing left', { safeWalBytes: -1 }, 'spent'],
  ['the server says so', { walStatus: 'unreserved', safeWalBytes: 100 * MB }, 'spent'],
])('budget: %s', (_name, change, expected) => {
  expect(walBudget({ ...SLOT, ...change })).toBe(expected)
})
