// A gap that comes back before everything is read: at once a few times, then ever more rarely, and at once again after a reading.
import { expect, test } from 'vitest'
import { RecoveryPace } from '../../../src/core/recovery-pace.ts'

const MINUTE = 60_000

/** When each recovery begins, by who asks every second. */
function begins(forMs: number, isOwed: (nowMs: number) => boolean): readonly number[] {
  const pace = new RecoveryPace()
  const times: number[] = []
  for (let nowMs = 0; nowMs < forMs; nowMs += 1_000) {
    if (pace.waitMs({ isOwed: times.length > 0 && isOwed(nowMs), nowMs }) > 0) continue
    pace.began(nowMs)
    times.push(nowMs)
  }
  return times
}

test('nothing was read in between: three at once, then a minute apart, two, four, at most thirty', () => {
  const times = begins(180 * MINUTE, () => true)
  expect(times.slice(0, 3)).toEqual([0, 1_000, 2_000])
  const apart = times.slice(3).map((time, at) => (time - (times[at + 2] ?? 0)) / MINUTE)
  expect(apart).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30])
})

test('everything was read in between: at once', () => {
  expect(begins(10_000, () => false)).toHaveLength(10)
  const times = begins(10 * MINUTE, (nowMs) => nowMs !== 100_000)
  expect(times).toContain(100_000)
  expect(times).toContain(101_000)
})
