// Gathering changes: the newest state of each row, whether it went through others, unchanged values from earlier states.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChangeBatch, type ChangeVersion, fillUnchanged, rowSize, sameRow } from '../../../src/core/change-batch.ts'
import type { Lsn } from '../../../src/core/lsn.ts'
import { type RawRow, type RawValue, REREAD, UNCHANGED } from '../../../src/core/row.ts'

const TABLE = 16_384
const version = (n: number): ChangeVersion => ({ xid: BigInt(n), commitLsn: BigInt(n * 100) as Lsn, committedAt: n })

function gathered(...states: readonly (RawRow | null)[]) {
  const batch = new ChangeBatch()
  states.forEach((row, index) => {
    batch.put(TABLE, '1', ['1'], row, version(index + 1))
  })
  return { batch, row: [...batch.rows()][0] }
}

test('the newest state with its version, the time of the first change, and whether it varied', () => {
  const { batch, row } = gathered(['1', 'a'], ['1', 'b'], ['1', 'a'])
  expect(row).toMatchObject({ row: ['1', 'a'], version: version(3), firstCommittedAt: 1, varied: true, changes: 3 })
  expect(batch).toMatchObject({ rowCount: 1, changes: 3 })
})

test.for<[string, readonly (RawRow | null)[], RawRow | null, boolean]>([
  [
    'the same again has not varied',
    [
      ['1', 'a'],
      ['1', 'a'],
    ],
    ['1', 'a'],
    false,
  ],
  ['deleted', [['1', 'a'], null], null, true],
  ['deleted twice', [null, null], null, false],
  ['deleted and inserted', [null, ['1', 'a']], ['1', 'a'], true],
  [
    'unchanged from the batch',
    [
      ['1', 'big'],
      ['1', UNCHANGED],
    ],
    ['1', 'big'],
    false,
  ],
  [
    'unchanged over two updates',
    [
      ['1', 'big', 'x'],
      ['1', UNCHANGED, 'y'],
      ['1', UNCHANGED, 'z'],
    ],
    ['1', 'big', 'z'],
    true,
  ],
  [
    'unchanged NULL',
    [
      ['1', null],
      ['1', UNCHANGED],
    ],
    ['1', null],
    false,
  ],
  [
    'unchanged of what is not known',
    [
      ['1', UNCHANGED, 'x'],
      ['1', UNCHANGED, 'y'],
    ],
    ['1', UNCHANGED, 'y'],
    true,
  ],
  [
    'known only later',
    [
      ['1', UNCHANGED],
      ['1', 'new'],
    ],
    ['1', 'new'],
    true,
  ],
  [
    'unchanged of a value to be read again',
    [
      ['1', REREAD],
      ['1', UNCHANGED],
    ],
    ['1', REREAD],
    false,
  ],
  [
    'a new row under the key of a deleted one never takes its values',
    [['1', 'old'], null, ['1', UNCHANGED]],
    ['1', UNCHANGED],
    true,
  ],
])('%s', ([, states, expected, varied]) => {
  expect(gathered(...states).row).toMatchObject({ row: expected, varied })
})

test('rows are told apart by table and key', () => {
  const batch = new ChangeBatch()
  batch.put(1, '2 3', ['2 3'], ['2 3'], version(1))
  batch.put(2, '3', ['3'], null, version(1))
  expect(batch.rowCount).toBe(2)
  expect(batch.latest(1, '2 3')).toEqual(['2 3'])
  expect(batch.latest(2, '3')).toBeNull()
  expect(batch.latest(1, '3')).toBeUndefined()
})

describe('against a model', () => {
  const value: fc.Arbitrary<RawValue> = fc.constantFrom('a', 'b', '', null, UNCHANGED)
  const state = fc.option(fc.tuple(value, value).map(([x, y]): RawRow => ['k', x, y]))
  const changes = fc.array(fc.record({ key: fc.constantFrom('1', '2'), row: state }), { maxLength: 20 })

  test('the last state, filled from the states since the last delete; size as if put once', () => {
    fc.assert(
      fc.property(changes, (list) => {
        const batch = new ChangeBatch()
        const model = new Map<string, RawRow | null>()
        const varied = new Map<string, boolean>()
        list.forEach(({ key, row }, index) => {
          batch.put(TABLE, key, [key], row, version(index))
          const earlier = model.get(key)
          const next =
            row?.map((it, place) => (it === UNCHANGED && earlier ? (earlier[place] as RawValue) : it)) ?? null
          if (earlier !== undefined && !sameRow(earlier, next)) varied.set(key, true)
          model.set(key, next)
        })
        expect(new Map([...batch.rows()].map((it) => [it.key, it.row]))).toEqual(model)
        for (const it of batch.rows()) expect(it.varied).toBe(varied.get(it.key) ?? false)
        const once = new ChangeBatch()
        for (const [key, row] of model) once.put(TABLE, key, [key], row, version(1))
        expect(batch.sizeBytes).toBe(once.sizeBytes)
        expect(batch.changes).toBe(list.length)
      }),
    )
  })
})

test('a filled row takes nothing but its unchanged values', () => {
  expect(fillUnchanged(['1', UNCHANGED, null, 'x'], ['1', 'a', 'b', 'c'])).toEqual(['1', 'a', null, 'x'])
  expect(fillUnchanged(['1', REREAD], ['1', 'a'])).toEqual(['1', REREAD])
})

test('sizes grow with the texts', () => {
  expect(rowSize(['a'.repeat(100)])).toBeGreaterThan(200)
  expect(rowSize(null)).toBe(0)
  expect(rowSize([null, UNCHANGED])).toBeGreaterThan(0)
})
