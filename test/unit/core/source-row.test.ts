// Who is newer (DESIGN §6): by table, and by running random histories of one row through stream and pages in every order.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Lsn } from '../../../src/core/lsn.ts'
import { parseSnapshot } from '../../../src/core/snapshot.ts'
import {
  judgePaged,
  judgeStreamed,
  type PageVerdict,
  partHash,
  type RowContent,
  rowHash,
  type StoredRow,
  type StreamedRow,
  type StreamVerdict,
} from '../../../src/core/source-row.ts'
import { contentOf, MvccModel, type Step } from './mvcc-model.ts'

const snapshot = parseSnapshot
const STORED: StoredRow = {
  key: '1',
  distinctId: 'u',
  userKey: null,
  live: true,
  partHash: contentOf('a').partHash,
  era: 1,
  duplicate: false,
  changeXid: 10n,
  changeLsn: 1000n as Lsn,
  readSnapshot: null,
}
const GONE: StoredRow = { ...STORED, live: false, partHash: null }
type JudgedRow = StreamedRow & { readonly content: RowContent }
const STREAMED: JudgedRow = {
  source: 'users',
  key: '1',
  content: contentOf('b'),
  row: ['b'],
  rowHash: contentOf('b').rowHash,
  xid: 12n,
  commitLsn: 1200n as Lsn,
  firstCommittedAt: 0,
  lastCommittedAt: 0,
  varied: false,
  readSnapshot: null,
  readLsn: null,
}

test.for<[string, StoredRow | undefined, Partial<JudgedRow>, StreamVerdict]>([
  ['an unknown row', undefined, {}, 'write'],
  ['a delete of an unknown row leaves a tombstone', undefined, { content: contentOf(null) }, 'write'],
  ['another content', STORED, {}, 'write'],
  ['the same content', STORED, { content: contentOf('a') }, 'noop'],
  ['the same content after another one', STORED, { content: contentOf('a'), varied: true }, 'write'],
  ['the same content of another user', STORED, { content: { ...contentOf('a'), distinctId: 'v' } }, 'write'],
  ['deleted', STORED, { content: contentOf(null) }, 'write'],
  ['deleted again', GONE, { content: contentOf(null) }, 'noop'],
  ['there again', GONE, { content: contentOf('a') }, 'write'],
  ['committed before', STORED, { commitLsn: 999n as Lsn }, 'replay'],
  ['of the same transaction', STORED, { commitLsn: 1000n as Lsn }, 'write'],
  ['a lower xid that committed later', STORED, { xid: 8n }, 'write'],
  ['seen by the page that is stored', { ...STORED, readSnapshot: snapshot('13:13:') }, {}, 'older'],
  ['not seen by the page that is stored', { ...STORED, readSnapshot: snapshot('12:14:12') }, {}, 'write'],
  ['another era', { ...STORED, era: 0, changeLsn: 9999n as Lsn, readSnapshot: snapshot('99:99:') }, {}, 'write'],
  ['the same as in another era: its version is new', { ...STORED, era: 0 }, { content: contentOf('a') }, 'write'],
  [
    'read again, before the page that is stored',
    { ...STORED, readSnapshot: snapshot('15:15:') },
    { readSnapshot: snapshot('14:14:') },
    'older',
  ],
  [
    'read again, after the page that is stored',
    { ...STORED, readSnapshot: snapshot('14:14:') },
    { readSnapshot: snapshot('15:15:') },
    'write',
  ],
])('stream: %s', ([, stored, row, verdict]) => {
  expect(judgeStreamed(stored, { ...STREAMED, ...row }, { era: 1, paging: true })).toBe(verdict)
})

test.for<
  [
    string,
    StoredRow | undefined,
    { readonly value?: string; readonly snapshot?: string; readonly truncateXid?: bigint },
    PageVerdict,
  ]
>([
  ['an unknown row', undefined, {}, 'write'],
  ['another content', STORED, {}, 'write'],
  ['the same content', STORED, { value: 'a' }, 'seen'],
  ['a row that is gone in the stream', GONE, { snapshot: '10:14:10' }, 'older'],
  ['a row that came back', GONE, {}, 'write'],
  ['read before the stored change', STORED, { snapshot: '9:9:' }, 'older'],
  ['read while the stored change was under way', STORED, { snapshot: '10:14:10,12' }, 'older'],
  ['read while only later changes were under way', STORED, { snapshot: '11:14:11' }, 'write'],
  ['older than the page that is stored', { ...STORED, readSnapshot: snapshot('15:15:') }, {}, 'older'],
  ['a page of the same moment', { ...STORED, readSnapshot: snapshot('14:14:') }, {}, 'write'],
  ['not seeing the TRUNCATE, the row unknown', undefined, { truncateXid: 14n }, 'older'],
  ['not seeing the TRUNCATE, the row known', STORED, { truncateXid: 14n }, 'older'],
  ['seeing the TRUNCATE', STORED, { truncateXid: 13n }, 'write'],
  ['another era', { ...STORED, era: 0, changeXid: 99n, readSnapshot: snapshot('99:99:') }, {}, 'write'],
  ['the same as in another era: its version is new', { ...STORED, era: 0 }, { value: 'a' }, 'write'],
])('page: %s', ([, stored, { value = 'b', snapshot: text = '14:14:', truncateXid = null }, verdict]) => {
  const page = { snapshot: snapshot(text), truncateXid, era: 1 }
  expect(judgePaged(stored, { key: '1', content: contentOf(value) }, page)).toBe(verdict)
})

test('what was read again is no news only when no page can be on its way', () => {
  const row = { ...STREAMED, content: contentOf('a'), readSnapshot: snapshot('15:15:') }
  expect(judgeStreamed(STORED, row, { era: 1, paging: true })).toBe('write')
  expect(judgeStreamed(STORED, row, { era: 1, paging: false })).toBe('noop')
})

test('hashes of rows are equal only for the same values in the same places under the same mapping', () => {
  const value = fc.option(fc.constantFrom('', '-', '+', '\x01', 'a', '+a'))
  const row = fc.array(value, { minLength: 3, maxLength: 3 })
  const mapping = fc.constantFrom('m', 'n')
  fc.assert(
    fc.property(mapping, row, mapping, row, (m, a, n, b) => {
      expect(rowHash(m, a) === rowHash(n, b)).toBe(JSON.stringify([m, a]) === JSON.stringify([n, b]))
    }),
    { numRuns: 2_000 },
  )
  expect(rowHash('m', [null, ''])).not.toBe(rowHash('m', ['', null]))
})

test('reasons are part of what is stored', () => {
  const { part } = contentOf('a')
  const reason = { key: '$email', code: 'invalid_email', message: 'no address' }
  if (part === null) throw new Error('a live row has a part')
  expect(partHash(part, [reason])).not.toBe(partHash(part, []))
  expect(partHash(part, [reason])).toBe(
    partHash(part, [{ message: 'no address', code: 'invalid_email', key: '$email' }]),
  )
})

describe('any history, any interleaving of stream, pages, readings again and restarts', () => {
  const value = fc.option(fc.constantFrom('a', 'b', 'c'), { freq: 5 })
  const index = fc.nat(5)
  const fate = fc.constantFrom(
    'commit' as const,
    'commit' as const,
    'commit' as const,
    'abort' as const,
    'elsewhere' as const,
  )
  const world: fc.Arbitrary<Step> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('update' as const), value }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('begin' as const), value, fate }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('commit' as const, 'appear' as const), pick: index }) },
  )
  const count = fc.integer({ min: 1, max: 4 })
  const reports: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constantFrom('readPage' as const, 'storePage' as const), pick: index }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('stream' as const), count, reread: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Step>({ kind: 'storeReread' }, { kind: 'storeReread' }, { kind: 'restart' }),
    },
  )
  const run = fc.record({
    initial: value,
    known: fc.option(value, { nil: undefined }),
    before: fc.array(world, { maxLength: 4 }),
    after: fc.array(fc.oneof(world, reports), { maxLength: 40, size: 'max' }),
  })

  test('end in the newest state, and never write an older one', () => {
    fc.assert(
      fc.property(run, ({ initial, known, before, after }) => {
        const model = new MvccModel(initial, known)
        for (const step of before) model.step(step)
        model.createSlot()
        for (const step of after) model.step(step)
        model.settle()
        expect(model.backwards).toBeNull()
        if (!model.unreported) expect(model.storedHash).toBe(contentOf(model.value).partHash)
      }),
      { numRuns: 5_000 },
    )
  })
})
