// When a position alone is worth a write: never to keep ourselves busy, always when somebody waits for it.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type IdleProgress, shouldPersist, walRelease } from '../../../src/core/checkpoint-policy.ts'
import type { Lsn } from '../../../src/core/lsn.ts'

const SEGMENT = 16n * 1024n * 1024n
const at = (segment: bigint, offset = 0n) => (segment * SEGMENT + offset) as Lsn
const QUIET: IdleProgress = {
  settled: at(5n, 100n),
  persisted: at(5n),
  replyRequested: false,
  endsSlices: false,
  walIsScarce: false,
  sinceLastWriteMs: 3_600_000,
  sinceSegmentMs: null,
}

test.for<[string, Partial<IdleProgress>, boolean]>([
  ['within the segment, however long ago', {}, false],
  ['the last byte of the segment', { settled: at(6n, -1n) }, false],
  ['the first byte of the next', { settled: at(6n) }, true],
  ['of the next, but written just now', { settled: at(6n), sinceLastWriteMs: 9_999 }, false],
  ['of the next, ten seconds later', { settled: at(6n), sinceLastWriteMs: 10_000 }, true],
  ['the server asks', { replyRequested: true, sinceLastWriteMs: 0 }, true],
  ['slices wait for it', { endsSlices: true, sinceLastWriteMs: 0 }, true],
  ['the server asks for what is written', { replyRequested: true, settled: at(5n) }, false],
  ['nothing new, although slices wait', { endsSlices: true, settled: at(5n) }, false],
  ['little WAL is left: within the segment too', { walIsScarce: true, sinceLastWriteMs: 500 }, true],
  ['little WAL is left, but written just now', { walIsScarce: true, sinceLastWriteMs: 499 }, false],
  ['little WAL is left, but there is nothing new', { walIsScarce: true, settled: at(5n) }, false],
  ['a segment was passed, the server needs its time', { sinceSegmentMs: 29_999 }, false],
  ['a segment was passed half a minute ago', { sinceSegmentMs: 30_000 }, true],
  ['a segment was passed, but there is nothing new', { sinceSegmentMs: 30_000, settled: at(5n) }, false],
  ['a segment was passed, but written just now', { sinceSegmentMs: 30_000, sinceLastWriteMs: 9_999 }, false],
])('%s', ([, change, expected]) => {
  expect(shouldPersist({ ...QUIET, ...change })).toBe(expected)
})

test('never backwards, and never for itself more than every ten seconds, half a second where WAL is scarce', () => {
  const lsn = fc.bigInt({ min: 0n, max: 2n ** 40n }).map((value) => value as Lsn)
  const progress: fc.Arbitrary<IdleProgress> = fc.record({
    settled: lsn,
    persisted: lsn,
    replyRequested: fc.boolean(),
    endsSlices: fc.boolean(),
    walIsScarce: fc.boolean(),
    sinceLastWriteMs: fc.nat(20_000),
    sinceSegmentMs: fc.option(fc.nat(60_000)),
  })
  fc.assert(
    fc.property(progress, (it) => {
      const persist = shouldPersist(it)
      if (it.settled <= it.persisted) expect(persist).toBe(false)
      const least = it.walIsScarce ? 500 : 10_000
      if (!it.replyRequested && !it.endsSlices && it.sinceLastWriteMs < least) expect(persist).toBe(false)
    }),
  )
})

/** A keepalive every two seconds for an hour; each write of ours makes `ownBytes` of WAL, others `bytesOf` the second. */
function writesOf(bytesOf: (second: number) => number, ownBytes: number): readonly number[] {
  let [settled, persisted, lastMs]: [bigint, bigint, number] = [at(5n, 100n), at(5n), Number.NEGATIVE_INFINITY]
  let segmentMs: number | null = null
  const writes: number[] = []
  for (let ms = 0; ms < 3_600_000; ms += 2_000) {
    settled += BigInt(bytesOf(ms / 1000))
    const since = { sinceLastWriteMs: ms - lastMs, sinceSegmentMs: segmentMs === null ? null : ms - segmentMs }
    const progress = { ...QUIET, settled: settled as Lsn, persisted: persisted as Lsn, ...since }
    if (!shouldPersist(progress)) continue
    const release = walRelease(progress)
    if (release !== 'waited for') segmentMs = release === 'begins' ? ms : null
    ;[persisted, lastMs] = [settled, ms]
    settled += BigInt(ownBytes)
    writes.push(ms / 1000)
  }
  return writes
}

test('a burst of WAL is followed by one write at once and one that lets it go; then by none', () => {
  expect(writesOf((second) => (second === 60 ? 100 << 20 : 0), 1_000)).toEqual([60, 90])
  expect(writesOf(() => 0, 1_000)).toEqual([])
})

test('a table that is always busy costs a write every ten seconds at most', () => {
  const writes = writesOf(() => 64 << 20, 1_000)
  expect(writes.length).toBeLessThanOrEqual(360)
  expect(writes.length).toBeGreaterThan(300)
})
