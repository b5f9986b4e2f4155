// When a position alone is worth a write: never to keep ourselves busy, always when somebody waits for it.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type IdleProgress, shouldPersist } from '../../../src/core/checkpoint-policy.ts'
import type { Lsn } from '../../../src/core/lsn.ts'

const SEGMENT = 16n * 1024n * 1024n
const at = (segment: bigint, offset = 0n) => (segment * SEGMENT + offset) as Lsn
const QUIET: IdleProgress = {
  settled: at(5n, 100n),
  persisted: at(5n),
  replyRequested: false,
  endsSlices: false,
  sinceLastWriteMs: 3_600_000,
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
])('%s', ([, change, expected]) => {
  expect(shouldPersist({ ...QUIET, ...change })).toBe(expected)
})

test('never backwards, and an idle database is written to at most every ten seconds', () => {
  const lsn = fc.bigInt({ min: 0n, max: 2n ** 40n }).map((value) => value as Lsn)
  fc.assert(
    fc.property(
      lsn,
      lsn,
      fc.boolean(),
      fc.boolean(),
      fc.nat(20_000),
      (settled, persisted, replyRequested, endsSlices, ms) => {
        const persist = shouldPersist({ settled, persisted, replyRequested, endsSlices, sinceLastWriteMs: ms })
        if (settled <= persisted) expect(persist).toBe(false)
        if (!replyRequested && !endsSlices && ms < 10_000) expect(persist).toBe(false)
      },
    ),
  )
})
