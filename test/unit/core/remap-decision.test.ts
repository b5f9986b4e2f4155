// What a start owes when the mapping is another one than the last, or a table is.
import { expect, test } from 'vitest'
import { decideRemap, type KnownTable, type OwedReading, type TableState } from '../../../src/core/remap-decision.ts'

function table(source: string, is: Partial<KnownTable> = {}): KnownTable {
  return { source, mappingHash: 'm', tableOid: 1, keyColumns: 'id', membership: 'p', gap: null, ...is }
}
const now = (source: string, is: Partial<TableState> = {}): TableState => ({
  ...{ source, mappingHash: 'm', tableOid: 1, keyColumns: 'id', membership: 'p' },
  ...is,
})
const owed = (source: string, reason: string, more: Partial<OwedReading> = {}): OwedReading => ({
  ...{ source, reason, sweep: false, fresh: false },
  ...more,
})
const GAP = { sweep: true, fresh: true }

test.each<[string, readonly KnownTable[], readonly TableState[], readonly OwedReading[], readonly string[]]>([
  ['nothing, where nothing changed', [table('u'), table('c')], [now('u'), now('c')], [], []],
  [
    'all of it at the first start',
    [],
    [now('u'), now('c')],
    [owed('u', 'first_start', { fresh: true }), owed('c', 'first_start', { fresh: true })],
    [],
  ],
  [
    'only the table whose mapping changed',
    [table('u'), table('c')],
    [now('u'), now('c', { mappingHash: 'n' })],
    [owed('c', 'mapping_changed')],
    [],
  ],
  [
    'a child table that is new',
    [table('u')],
    [now('u'), now('c')],
    [owed('c', 'mapping_changed', { fresh: true })],
    [],
  ],
  ['to take back what is mapped no more', [table('u'), table('c')], [now('u')], [], ['c']],
  ['a table that was replaced', [table('u')], [now('u', { tableOid: 2 })], [owed('u', 'table_replaced', GAP)], []],
  [
    'a table that was out of the publication',
    [table('u')],
    [now('u', { membership: 'q' })],
    [owed('u', 'publication_changed', GAP)],
    [],
  ],
  [
    'a table with another key',
    [table('u')],
    [now('u', { keyColumns: 'a,b' })],
    [owed('u', 'primary_key_changed', GAP)],
    [],
  ],
  ['nothing for what was not noted before', [table('u', { membership: null, keyColumns: null })], [now('u')], [], []],
  [
    'every table after a gap, whatever else changed',
    [table('u', { gap: 'slot_lost' }), table('c', { gap: 'slot_lost' })],
    [now('u', { mappingHash: 'n' }), now('c')],
    [owed('u', 'slot_lost', GAP), owed('c', 'slot_lost', GAP)],
    [],
  ],
])('it owes %s', (_, known, is, expected, dropped) => {
  expect(decideRemap(known, is)).toEqual({ owed: expected, dropped })
})
