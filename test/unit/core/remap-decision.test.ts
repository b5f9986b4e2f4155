// What a start owes when the mapping is another one than the last, or a table is.
import { expect, test } from 'vitest'
import {
  decideRemap,
  isAsNoted,
  type KnownTable,
  LEFT_OUT,
  type OwedReading,
  type TableState,
} from '../../../src/core/remap-decision.ts'
import type { ShapeChange, TableShape } from '../../../src/core/table-shape.ts'

const SHAPE: TableShape = {
  oid: 1,
  key: '["id"]',
  columns: { id: '1 23', email: '2 25' },
  partitions: '',
  membership: 'p',
}

const shape = (is: Partial<TableShape>) => ({ shape: { ...SHAPE, ...is } })
const table = (source: string, is: Partial<KnownTable> = {}): KnownTable => ({
  ...{ source, mappingHash: 'm', ownerHash: 'o', shape: SHAPE, gap: null },
  ...is,
})
const now = (source: string, is: Partial<TableState> = {}): TableState => ({
  ...{ source, mappingHash: 'm', ownerHash: 'o', shape: SHAPE },
  ...is,
})
const owed = (source: string, reason: string, more: Partial<OwedReading> = {}): OwedReading => ({
  ...{ source, reason, change: null, sweep: false },
  ...more,
})
const GAP = { sweep: true }
/** Whatever `recovery` says. */
const GOES_ON: readonly string[] = ['columns_changed', 'table_rewritten']
const altered = (source: string, reason: ShapeChange['code'], more = GAP) =>
  owed(source, reason, {
    ...more,
    change: { code: reason, what: expect.any(String), ...more, isGap: !GOES_ON.includes(reason) },
  })

test.each<[string, readonly KnownTable[], readonly TableState[], readonly OwedReading[], readonly string[]]>([
  ['nothing, where nothing changed', [table('u'), table('c')], [now('u'), now('c')], [], []],
  ['all of it at the first start', [], [now('u'), now('c')], [owed('u', 'first_start'), owed('c', 'first_start')], []],
  [
    'only the table whose mapping changed',
    [table('u'), table('c')],
    [now('u'), now('c', { mappingHash: 'n' })],
    [owed('c', 'mapping_changed')],
    [],
  ],
  [
    'a table whose rows have other owners',
    [table('u'), table('c'), table('d', { ownerHash: null })],
    [now('u', { mappingHash: 'n', ownerHash: 'q' }), now('c', { mappingHash: 'n', ownerHash: 'q' }), now('d')],
    [owed('u', 'owners_changed'), owed('c', 'owners_changed')],
    [],
  ],
  ['another users table', [table('u')], [now('v')], [owed('v', 'other_users_table')], ['u']],
  [
    'a table with another key after a gap, under another mapping',
    [table('u', { gap: 'slot_lost' })],
    [now('u', { ...shape({ key: '["a"]' }), mappingHash: 'n' })],
    [owed('u', 'primary_key_changed', GAP)],
    [],
  ],
  ['a child table that is new', [table('u')], [now('u'), now('c')], [owed('c', 'mapping_changed')], []],
  ['to take back what is mapped no more', [table('u'), table('c')], [now('u')], [], ['c']],
  ['a table that was replaced', [table('u')], [now('u', shape({ oid: 2 }))], [altered('u', 'table_replaced')], []],
  [
    'a table that was out of the publication',
    [table('u')],
    [now('u', shape({ membership: 'q' }))],
    [altered('u', 'publication_changed')],
    [],
  ],
  [
    'a table with another key',
    [table('u')],
    [now('u', shape({ key: '["a"]' }))],
    [altered('u', 'primary_key_changed')],
    [],
  ],
  [
    'a table with other partitions',
    [table('u')],
    [now('u', shape({ partitions: 'x' }))],
    [altered('u', 'partitions_changed')],
    [],
  ],
  [
    'a table with a retyped column, without a sweep',
    [table('u')],
    [now('u', shape({ columns: { id: '1 23', email: '2 1043' } }))],
    [altered('u', 'columns_changed', { sweep: false })],
    [],
  ],
  [
    'a table whose key has another type, as one with another key',
    [table('u'), table('c')],
    [
      now('u', shape({ columns: { id: '1 25', email: '2 25' } })),
      now('c', shape({ columns: { id: '1 20', email: '2 25' } })),
    ],
    [
      owed('u', 'primary_key_changed', { ...GAP, change: expect.objectContaining({ isGap: false }) }),
      altered('c', 'columns_changed', { sweep: false }),
    ],
    [],
  ],
  [
    'a table that was rewritten or emptied',
    [table('u', shape({ storage: 'a' })), table('c')],
    [now('u', shape({ storage: 'b' })), now('c', shape({ storage: 'b' }))],
    [altered('u', 'table_rewritten')],
    [],
  ],
  [
    'nothing but the mapping for columns that only one names',
    [table('u')],
    [now('u', { ...shape({ columns: { id: '1 23', name: '3 25' } }), mappingHash: 'n' })],
    [owed('u', 'mapping_changed')],
    [],
  ],
  ['nothing for what was not noted before', [table('u', { shape: null })], [now('u')], [], []],
  [
    'a table that was left out, and comes back',
    [table('u'), table('c', { gap: LEFT_OUT })],
    [now('u'), now('c')],
    [owed('c', LEFT_OUT, GAP)],
    [],
  ],
  ['to go on forgetting what was left out', [table('u'), table('c', { gap: LEFT_OUT })], [now('u')], [], ['c']],
  [
    'every table after a gap, whatever else changed',
    [table('u', { gap: 'slot_lost' }), table('c', { gap: 'slot_lost' })],
    [now('u', { mappingHash: 'n' }), now('c')],
    [owed('u', 'mapping_changed', GAP), owed('c', 'slot_lost', GAP)],
    [],
  ],
  [
    'under another mapping a table that was altered as well',
    [table('u'), table('c')],
    [
      now('u', { ...shape({ oid: 2 }), mappingHash: 'n' }),
      now('c', { ...shape({ columns: { id: '1 20' } }), mappingHash: 'n' }),
    ],
    [
      altered('u', 'table_replaced'),
      owed('c', 'mapping_changed', { ...altered('c', 'columns_changed', { sweep: false }), reason: 'mapping_changed' }),
    ],
    [],
  ],
])('it owes %s', (_, known, is, expected, dropped) => {
  expect(decideRemap(known, is)).toEqual({ owed: expected, dropped })
  // What is owed is noted; and what is noted needs no note.
  for (const table of is) {
    const isNoted = isAsNoted(known, table)
    if (expected.some(({ source }) => source === table.source)) expect(isNoted).toBe(false)
    expect(isAsNoted([{ ...table, gap: null }], table)).toBe(true)
  }
})
