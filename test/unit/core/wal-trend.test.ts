// How fast WAL grows and how long that may go on.
import { expect, test } from 'vitest'
import type { Lsn } from '../../../src/core/lsn.ts'
import type { SlotReport } from '../../../src/core/status-report.ts'
import { invalidatedInMs, walRate, walSample } from '../../../src/core/wal-trend.ts'

const report = (confirmed: number | null, lagBytes: number | null, safeWalBytes: number | null = null) =>
  ({ confirmedLsn: confirmed === null ? null : (BigInt(confirmed) as Lsn), lagBytes, safeWalBytes }) as SlotReport

test('the rate is of what the server writes, whether we confirm it or not', () => {
  const stuck = [walSample(report(100, 0), 0), walSample(report(100, 5_000), 5_000)]
  const keepingUp = [walSample(report(100, 0), 0), walSample(report(5_100, 0), 5_000)]
  expect(walRate(stuck)).toBe(1_000)
  expect(walRate(keepingUp)).toBe(1_000)
})

test('too little is known', () => {
  expect(walRate([])).toBeNull()
  expect(walRate([walSample(report(100, 0), 0)])).toBeNull()
  expect(walRate([walSample(report(null, 0), 0), walSample(report(100, null), 9_000)])).toBeNull()
})

test.each([
  [null, 1_000, null],
  [60_000, null, null],
  [60_000, 0, null],
  [60_000, 1_000, 60_000],
  [-5, 1_000, 0],
])('%j bytes at %j a second: %j ms', (safe, rate, expected) => {
  expect(invalidatedInMs(report(0, 0, safe), rate)).toBe(expected)
})
