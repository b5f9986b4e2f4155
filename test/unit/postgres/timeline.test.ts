// A history file as the server sends it.
import { expect, test } from 'vitest'
import { switchIn } from '../../../src/postgres/timeline.ts'

const HISTORY = `1\t0/3000060\tno recovery target specified

2\t0/50000A8\tbefore 2000-01-01 00:00:00+00
`

test.each([
  [1, 0x3000060n],
  [2, 0x50000a8n],
  [3, null],
  [10, null],
])('timeline %i was left at %s', (timeline, expected) => {
  expect(switchIn(HISTORY, timeline)).toBe(expected)
})
