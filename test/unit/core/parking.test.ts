// Who waits while tables are read again under another mapping.
import { expect, test } from 'vitest'
import { parking } from '../../../src/core/parking.ts'

test.each([
  ['page', 0, 'none'],
  ['stream', 0, 'none'],
  ['page', 1, 'lost'],
  ['stream', 1, 'kept'],
  ['page', 2, 'lost'],
  ['stream', 2, 'emptied'],
  ['page', 5, 'lost'],
] as const)('a commit of a %s with %i steps left parks %s', (by, stepsLeft, expected) => {
  expect(parking({ by, stepsLeft })).toBe(expected)
})
