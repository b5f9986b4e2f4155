// Waiting before the next connection: by cause, growing, with jitter.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { reconnectDelayMs } from '../../../src/core/reconnect.ts'

const longest = (code: string | undefined, failures: number, downMs: number) =>
  reconnectDelayMs({ code, failures, downMs, random: 1 })

test.for([
  ['ECONNREFUSED', 1, 0, 100],
  ['ECONNREFUSED', 2, 100, 200],
  ['57P01', 5, 1_000, 1_600],
  ['55006', 6, 2_000, 2_000],
  ['57P03', 500, 119_999, 2_000],
  ['57P03', 500, 120_000, 30_000],
  [undefined, 500, 0, 2_000],
  ['ENOTFOUND', 500, 0, 30_000],
  ['EAI_AGAIN', 500, 0, 30_000],
  ['28P01', 500, 0, 900_000],
  ['28000', 500, 0, 900_000],
  ['28P01', 1, 0, 100],
  ['28P01', 1_000_000, 86_400_000, 900_000],
] as const)('%s, failure %i, down for %i ms: at most %i ms', ([code, failures, downMs, expected]) => {
  expect(longest(code, failures, downMs)).toBe(expected)
})

test('never less than half of its ceiling, never above it, and never shorter after one more failure', () => {
  const code = fc.constantFrom('28P01', 'ENOTFOUND', 'ECONNREFUSED', undefined)
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(
      code,
      fc.integer({ min: 1, max: 2 ** 31 }),
      fc.nat(10 ** 9),
      random,
      (cause, failures, downMs, chance) => {
        const delayMs = reconnectDelayMs({ code: cause, failures, downMs, random: chance })
        const ceiling = longest(cause, failures, downMs)
        expect(delayMs).toBeGreaterThanOrEqual(Math.floor(ceiling / 2))
        expect(delayMs).toBeLessThanOrEqual(ceiling)
        expect(longest(cause, failures + 1, downMs)).toBeGreaterThanOrEqual(ceiling)
      },
    ),
  )
})
