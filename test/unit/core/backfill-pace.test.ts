// How fast a reading goes, and how long it may take.
import { expect, test } from 'vitest'
import { backfillPace } from '../../../src/core/backfill-pace.ts'

const RUN = {
  ...{ id: '1', source: 'public.users', reason: 'first_start', rowsRead: 2_000, rowsEstimated: 10_000 },
  ...{ startedAt: 0, readingMs: 4_000, finishedAt: null, unfinished: 1 },
}

test.each([
  ['under way', {}, { rowsPerSecond: 500, leftMs: 16_000 }],
  ['without an estimate', { rowsEstimated: null }, { rowsPerSecond: 500, leftMs: null }],
  ['with an estimate that was too small', { rowsEstimated: 1_000 }, { rowsPerSecond: 500, leftMs: null }],
  ['that has just begun', { readingMs: 300 }, { rowsPerSecond: null, leftMs: null }],
  ['that waits for another', { readingMs: null, rowsRead: 0 }, { rowsPerSecond: null, leftMs: null }],
  ['that is over', { finishedAt: 5_000 }, { rowsPerSecond: null, leftMs: null }],
])('a reading %s', (_, is, expected) => {
  expect(backfillPace({ ...RUN, ...is })).toEqual(expected)
})
