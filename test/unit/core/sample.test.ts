// How much of a table is drawn for a random sample.
import { expect, test } from 'vitest'
import { samplePercent } from '../../../src/core/sample.ts'

test('a small table is drawn whole', () => {
  expect(samplePercent(1, 0)).toBe(100)
  expect(samplePercent(500, 1_000)).toBe(100)
})

test('of a large one a few blocks for each row, whatever its size', () => {
  for (const blocks of [10_000, 1_000_000, 100_000_000]) {
    const drawn = (rows: number) => (samplePercent(rows, blocks) / 100) * blocks
    expect(drawn(500)).toBeCloseTo(1_000)
    // An expectation of 16 blocks comes out empty once in ten million times.
    expect(drawn(1)).toBeCloseTo(16)
  }
  expect(samplePercent(5_000, 2_000)).toBe(100)
})
