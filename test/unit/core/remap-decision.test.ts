// What a start owes when the mapping is another one than the last.
import { expect, test } from 'vitest'
import { decideRemap, type TableState } from '../../../src/core/remap-decision.ts'

const table = (source: string, mappingHash = 'm', tableOid = 1): TableState => ({ source, tableOid, mappingHash })

test.each<[string, readonly TableState[], readonly TableState[], Partial<ReturnType<typeof decideRemap>>]>([
  ['nothing, where nothing changed', [table('u'), table('c')], [table('u'), table('c')], {}],
  ['all of it at the first start', [], [table('u'), table('c')], { added: ['u', 'c'] }],
  ['only the table whose mapping changed', [table('u'), table('c')], [table('u'), table('c', 'n')], { changed: ['c'] }],
  ['a child table that is new', [table('u')], [table('u'), table('c')], { added: ['c'] }],
  ['to take back what is mapped no more', [table('u'), table('c')], [table('u')], { dropped: ['c'] }],
  ['to see that a table was replaced', [table('u', 'm', 1)], [table('u', 'm', 2)], { replaced: ['u'] }],
])('it owes %s', (_, known, now, expected) => {
  expect(decideRemap(known, now)).toEqual({ changed: [], added: [], dropped: [], replaced: [], ...expected })
})
