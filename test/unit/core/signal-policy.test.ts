// What a first, an echoed and a later signal mean.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { onSignal, RUNNING, SAME_SIGNAL_MS } from '../../../src/core/signal-policy.ts'

test('the first signal begins, echoes within a second are ignored, a later one exits', () => {
  const first = onSignal(RUNNING, 5_000)
  expect(first.action).toBe('begin')
  expect(onSignal(first.state, 5_003).action).toBe('ignore')
  expect(onSignal(first.state, 5_999).action).toBe('ignore')
  expect(onSignal(first.state, 6_000).action).toBe('exit')
})

test('whatever comes, exactly the first begins, and the exit depends on the distance to it alone', () => {
  fc.assert(
    fc.property(fc.nat(), fc.array(fc.nat({ max: 700 }), { minLength: 1 }), (startMs, gapsMs) => {
      let { state, action } = onSignal(RUNNING, startMs)
      expect(action).toBe('begin')
      let nowMs = startMs
      for (const gapMs of gapsMs) {
        nowMs += gapMs
        ;({ state, action } = onSignal(state, nowMs))
        expect(action).toBe(nowMs - startMs < SAME_SIGNAL_MS ? 'ignore' : 'exit')
      }
    }),
  )
})
