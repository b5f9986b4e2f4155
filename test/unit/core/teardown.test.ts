// What is taken away, in which order, and what is not ours to take.
import { expect, test } from 'vitest'
import { parseLsn } from '../../../src/core/lsn.ts'
import { decideTeardown, type TeardownFacts } from '../../../src/core/teardown.ts'

const SLOT = { plugin: 'pgoutput', database: 'app', activePid: null, confirmedLsn: parseLsn('0/100') }
const FACTS: TeardownFacts = {
  slotName: 's',
  publicationName: 'p',
  schemaName: 'state',
  database: 'app',
  slot: SLOT,
  known: { intended: true, lsn: null },
  published: ['public.users', 'public.devices'],
  followed: ['public.users', 'public.devices'],
  schema: { users: 3, foreign: [] },
}
const done = (facts: Partial<TeardownFacts>) => decideTeardown({ ...FACTS, ...facts }).steps.map(({ kind }) => kind)

test('all of it, the slot first', () => {
  expect(done({})).toEqual(['drop_slot', 'drop_publication', 'drop_schema'])
  expect(decideTeardown(FACTS).left).toEqual([])
})

test.each<[string, Partial<TeardownFacts>, readonly string[]]>([
  ['what a former run has done already', { slot: null, published: null, schema: null }, []],
  ['a slot of another database', { slot: { ...SLOT, database: 'other' } }, ['drop_publication', 'drop_schema']],
  ['a slot of another plugin', { slot: { ...SLOT, plugin: 'wal2json' } }, ['drop_publication', 'drop_schema']],
  ['a slot that no state knows', { known: null }, ['drop_publication', 'drop_schema']],
  ['a slot that somebody streams from', { slot: { ...SLOT, activePid: 7 } }, ['drop_publication', 'drop_schema']],
  ['a publication with other tables', { published: ['public.users', 'public.orders'] }, ['drop_slot', 'drop_schema']],
  ['a publication for all tables', { published: 'all' }, ['drop_slot', 'drop_schema']],
  ['a schema with tables of others', { schema: { users: 3, foreign: ['notes'] } }, ['drop_slot', 'drop_publication']],
  ['a schema that was asked to stay', { schema: 'kept' }, ['drop_slot', 'drop_publication']],
])('left, and said: %s', (_, facts, steps) => {
  expect(done(facts)).toEqual(steps)
  expect(decideTeardown({ ...FACTS, ...facts }).left.length).toBe(3 - steps.length)
})

test('a slot that was made anew since goes too, and that is said; one that is left is told with what drops it', () => {
  const [step] = decideTeardown({ ...FACTS, known: { intended: true, lsn: parseLsn('0/FF') } }).steps
  expect(step).toMatchObject({ kind: 'drop_slot', what: expect.stringContaining('made anew') })
  const [left] = decideTeardown({ ...FACTS, known: null }).left
  expect(left?.why).toContain("SELECT pg_drop_replication_slot('s')")
})
