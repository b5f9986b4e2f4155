// What is taken away, in which order, and what is not ours to take.
import { expect, test } from 'vitest'
import { decideTeardown, type TeardownFacts } from '../../../src/core/teardown.ts'

const FACTS: TeardownFacts = {
  slotName: 's',
  publicationName: 'p',
  schemaName: 'state',
  database: 'app',
  slot: { plugin: 'pgoutput', database: 'app' },
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
  [
    'a slot of another database',
    { slot: { plugin: 'pgoutput', database: 'other' } },
    ['drop_publication', 'drop_schema'],
  ],
  ['a slot of another plugin', { slot: { plugin: 'wal2json', database: 'app' } }, ['drop_publication', 'drop_schema']],
  ['a publication with other tables', { published: ['public.users', 'public.orders'] }, ['drop_slot', 'drop_schema']],
  ['a publication for all tables', { published: 'all' }, ['drop_slot', 'drop_schema']],
  ['a schema with tables of others', { schema: { users: 3, foreign: ['notes'] } }, ['drop_slot', 'drop_publication']],
  ['a schema that was asked to stay', { schema: 'kept' }, ['drop_slot', 'drop_publication']],
])('left, and said: %s', (_, facts, steps) => {
  expect(done(facts)).toEqual(steps)
  expect(decideTeardown({ ...FACTS, ...facts }).left.length).toBe(3 - steps.length)
})
