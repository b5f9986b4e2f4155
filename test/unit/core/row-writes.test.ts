// From judged rows to writes: which versions a row keeps, which users a change touches, and which rows then speak for them.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Lsn, NO_LSN } from '../../../src/core/lsn.ts'
import { liveRows, pagedWrite, streamedWrite, TouchedUsers } from '../../../src/core/row-writes.ts'
import { parseSnapshot } from '../../../src/core/snapshot.ts'
import { ABSENT, rowId, type StoredRow } from '../../../src/core/source-row.ts'
import { contentOf } from './mvcc-model.ts'

const lsn = (n: number) => BigInt(n) as Lsn
const STORED: StoredRow = {
  key: '1',
  distinctId: 'u',
  userKey: null,
  live: true,
  partHash: 'h',
  era: 1,
  duplicate: false,
  changeXid: 10n,
  changeLsn: lsn(100),
  readSnapshot: parseSnapshot('5:5:'),
}

function streamed(content = contentOf('b'), readSnapshot: StoredRow['readSnapshot'] = null) {
  const times = { firstCommittedAt: 1, lastCommittedAt: 2 }
  return {
    source: 'users',
    key: '1',
    row: null,
    rowHash: null,
    content,
    xid: 12n,
    commitLsn: lsn(120),
    varied: false,
    readSnapshot,
    readLsn: null,
    ...times,
  }
}

describe('versions', () => {
  test('a change keeps the page that was stored, unless the row was read again', () => {
    expect(streamedWrite(streamed(), STORED, 1).version).toEqual({
      changeXid: 12n,
      changeLsn: 120n,
      readSnapshot: STORED.readSnapshot,
    })
    const again = parseSnapshot('13:13:')
    expect(streamedWrite(streamed(undefined, again), STORED, 1).version.readSnapshot).toBe(again)
    expect(streamedWrite(streamed(), undefined, 1).version.readSnapshot).toBeNull()
  })

  test('a page keeps the change that was stored', () => {
    const snapshot = parseSnapshot('20:20:')
    const row = { key: '1', content: contentOf('b') }
    expect(pagedWrite(row, STORED, { source: 'users', snapshot, era: 1 }).version).toEqual({
      changeXid: 10n,
      changeLsn: 100n,
      readSnapshot: snapshot,
    })
    expect(pagedWrite(row, undefined, { source: 'users', snapshot, era: 1 }).version).toEqual({
      changeXid: null,
      changeLsn: null,
      readSnapshot: snapshot,
    })
  })

  test('versions of another era are dropped', () => {
    const snapshot = parseSnapshot('20:20:')
    expect(streamedWrite(streamed(), STORED, 2).version.readSnapshot).toBeNull()
    expect(
      pagedWrite({ key: '1', content: ABSENT }, STORED, { source: 'users', snapshot, era: 2 }).version.changeXid,
    ).toBeNull()
  })

  test('a row whose distinct_id failed stays whose it was, with its new content, and is nobody’s where it was nobody’s', () => {
    const unnamed = { ...contentOf('new'), distinctId: null }
    expect(streamedWrite(streamed(unnamed), STORED, 1).content).toEqual({ ...unnamed, distinctId: 'u' })
    const gone = { ...STORED, live: false }
    for (const stored of [undefined, gone]) {
      const { content } = streamedWrite(streamed(unnamed), stored, 1)
      expect(content).toEqual({ ...unnamed, part: null, distinctId: stored?.distinctId ?? null })
    }
  })

  test('a tombstone remembers whose row it was', () => {
    expect(streamedWrite(streamed(ABSENT), STORED, 1).content).toEqual({ ...ABSENT, distinctId: 'u' })
    expect(streamedWrite(streamed(ABSENT), undefined, 1).content).toEqual(ABSENT)
    expect(streamedWrite(streamed({ ...ABSENT, distinctId: 'v' }), STORED, 1).content.distinctId).toBe('v')
  })
})

describe('touched users', () => {
  const touch = { changeLsn: lsn(120), firstChangedAt: 1, lastChangedAt: 2 }
  const ids = (stored: StoredRow | undefined, content = contentOf('b')) => {
    const users = new TouchedUsers()
    users.add(stored, content, touch)
    return users.ids
  }

  test('the one who loses the row and the one who gains it', () => {
    expect(ids(undefined)).toEqual(['u'])
    expect(ids(STORED)).toEqual(['u'])
    expect(ids({ ...STORED, distinctId: 'old' })).toEqual(['old', 'u'])
    expect(ids(STORED, ABSENT)).toEqual(['u'])
    expect(ids({ ...STORED, live: false })).toEqual(['u'])
    expect(ids({ ...STORED, live: false }, ABSENT)).toEqual([])
    expect(ids(undefined, { ...ABSENT, distinctId: 'x' })).toEqual([])
  })

  test('have the newest position and the widest times of their changes, whatever the order', () => {
    const touches = fc.array(
      fc.record({ changeLsn: fc.nat(9).map(lsn), firstChangedAt: fc.nat(9), lastChangedAt: fc.nat(9) }),
      { minLength: 1, maxLength: 6 },
    )
    fc.assert(
      fc.property(touches, (list) => {
        const users = new TouchedUsers()
        for (const it of list) users.add(STORED, contentOf('b'), it)
        const of = (pick: (it: (typeof list)[number]) => number) => list.map(pick)
        expect(users.of('u')).toEqual({
          changeLsn: lsn(Math.max(...of((it) => Number(it.changeLsn)))),
          firstChangedAt: Math.min(...of((it) => it.firstChangedAt)),
          lastChangedAt: Math.max(...of((it) => it.lastChangedAt)),
        })
        expect(users.of('nobody').changeLsn).toBe(NO_LSN)
      }),
    )
  })
})

test('rows that are written speak with their new content and their old mark', () => {
  const version = { changeXid: null, changeLsn: null, readSnapshot: null }
  const write = (key: string, content = contentOf('b')) => ({ source: 'users', key, content, version })
  const stored = new Map([[rowId('users', '1'), { ...STORED, duplicate: true }]])
  const { part } = contentOf('b')
  expect(liveRows([write('1'), write('2'), write('3', { ...ABSENT, distinctId: 'u' })], stored)).toEqual([
    { key: '1', distinctId: 'u', part, reasons: [], duplicate: true },
    { key: '2', distinctId: 'u', part, reasons: [], duplicate: false },
  ])
})
