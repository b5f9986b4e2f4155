// The rate as the chaos run judges it: what is really too fast is seen, what a network or we ourselves bunched is not.
import { expect, test } from 'vitest'
import { LOOK_EVERY_MS, RateWatch } from '../../soak/rate-watch.ts'

function evenly(watch: RateWatch, fromMs: number, toMs: number, everyMs: number): void {
  for (let nowMs = fromMs; nowMs < toMs; nowMs += LOOK_EVERY_MS) {
    watch.look(nowMs)
    for (let atMs = nowMs; atMs < nowMs + LOOK_EVERY_MS; atMs += everyMs) watch.arrived(atMs)
  }
}

test('two senders that each take all of it are seen', () => {
  const watch = new RateWatch()
  evenly(watch, 0, 3_000, 10)
  expect(watch.peak).toBe(100)
  evenly(watch, 3_000, 4_000, 5)
  expect(watch.peak).toBe(200)
  expect(watch.judgedShare).toBe(1)
})

test('what a network held and lets go at once is not counted, what comes later is', () => {
  const watch = new RateWatch()
  evenly(watch, 0, 1_000, 10)
  watch.hold()
  watch.release(2_000)
  for (let n = 0; n < 300; n += 1) watch.arrived(2_001)
  expect(watch.peak).toBe(100)
  evenly(watch, 2_000, 4_000, 5)
  expect(watch.peak).toBe(200)
  expect(watch.judgedShare).toBeLessThan(1)
})

test('what gathered while we did not look is not counted', () => {
  const watch = new RateWatch()
  evenly(watch, 0, 1_000, 10)
  watch.look(2_000)
  for (let n = 0; n < 150; n += 1) watch.arrived(2_001)
  expect(watch.peak).toBe(100)
})
