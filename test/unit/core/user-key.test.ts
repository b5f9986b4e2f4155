// Whether the columns of a child table can name a users row, and as which text.
import { expect, test } from 'vitest'
import type { Column, Table } from '../../../src/core/row.ts'
import { compileUserKey, userReferences } from '../../../src/core/user-key.ts'
import { arrayOf, ofKind, type TypeName, table, type } from './column-samples.ts'

type Given = TypeName | Partial<Column>

function withColumns(given: { readonly [name: string]: Given }): Table {
  const columns = Object.entries(given).map(([name, of]): Column => {
    const plain: Column = { name, type: type('text'), notNull: true, modifier: -1, collation: 'none' }
    return typeof of === 'string' ? { ...plain, type: type(of) } : { ...plain, ...of }
  })
  return {
    ...table({ id: 'int4' }),
    schema: 'public',
    name: 'users',
    key: Object.keys(given),
    columns,
    wanted: columns,
  }
}

function read(key: Given, user: Given, text: string): string | null {
  const compiled = compileUserKey({
    users: withColumns({ id: key }),
    child: withColumns({ user_id: user }),
    user: ['user_id'],
    path: 'children[0].user',
  })
  if (compiled.kind === 'invalid') throw new Error(compiled.problems[0]?.message)
  return compiled.read([text])
}

const numeric = (scale: number) => ({ type: type('numeric'), modifier: ((20 << 16) | (scale & 0x7ff)) + 4 })
const char = (length: number) => ({ type: type('bpchar'), modifier: length + 4, collation: 'deterministic' as const })
const citext = { type: ofKind('base', 'citext'), collation: 'deterministic' as const }

test.each<[Given, Given, string, string | null]>([
  ['int4', 'int8', '7', '7'],
  ['text', 'varchar', ' a ', ' a '],
  ['uuid', 'uuid', 'u', 'u'],
  ['int8', 'numeric', '7.00', '7'],
  ['int8', 'numeric', '7.50', null],
  ['int8', 'numeric', '-70', '-70'],
  ['int8', 'numeric', 'NaN', 'NaN'],
  [numeric(2), 'int4', '7', '7.00'],
  [numeric(2), 'numeric', '7.1', '7.10'],
  [numeric(2), 'numeric', '7.1000', '7.10'],
  [numeric(2), 'numeric', '7.125', null],
  [numeric(0), numeric(3), '123456789012345678901.000', '123456789012345678901'],
  [numeric(-2), numeric(1), '100.0', '100'],
  [char(5), char(3), 'ab ', 'ab   '],
  [char(2), char(9), '\u{1f600}        ', '\u{1f600} '],
  [char(2), char(9), 'abc      ', null],
  [{ type: ofKind('enum', 'mood') }, { type: ofKind('enum', 'mood') }, 'ok', 'ok'],
  [{ type: arrayOf(type('int4')) }, { type: arrayOf(type('int4')) }, '{1}', '{1}'],
  [{ type: ofKind('base', 'ulid') }, { type: ofKind('base', 'ulid') }, '01H', '01H'],
])('%o is named by %o: %s is %s', (key, user, text, expected) => {
  expect(read(key, user, text)).toBe(expected)
})

test.each<[Given, Given]>([
  ['uuid', 'text'],
  ['int4', 'text'],
  ['numeric', 'int8'],
  ['numeric', 'numeric'],
  ['float8', 'float8'],
  ['float8', 'int4'],
  ['int4', 'float8'],
  ['date', 'timestamp'],
  ['timestamp', 'timestamptz'],
  ['interval', 'interval'],
  ['jsonb', 'jsonb'],
  ['text', char(3)],
  [char(3), 'text'],
  ['bpchar', 'bpchar'],
  [citext, citext],
  ['text', citext],
  ['text', { type: type('text'), collation: 'nondeterministic' }],
  [
    { type: type('varchar'), collation: 'nondeterministic' },
    { type: type('varchar'), collation: 'nondeterministic' },
  ],
  [{ type: arrayOf(type('numeric')) }, { type: arrayOf(type('numeric')) }],
  [{ type: ofKind('range', 'numrange') }, { type: ofKind('range', 'numrange') }],
])('%o is not named by %o: one value may have two texts', (key, user) => {
  expect(() => read(key, user, '1')).toThrow(/"user_id" is of type .*, in which equal values may read differently/)
})

test('as many columns as the key has, and every one that does not fit is told', () => {
  const users = withColumns({ tenant: 'text', id: 'int4' })
  const child = { ...withColumns({ tenant_id: 'text', user_id: 'int4', code: 'uuid' }), key: ['user_id'] }
  const compile = (user: readonly string[]) => compileUserKey({ users, child, user, path: 'children[1].user' })
  const both = compile(['tenant_id', 'user_id'])
  expect(both.kind === 'ok' && [both.read(['a', '1']), both.read(['a', null])]).toEqual(['["a","1"]', null])
  expect(compile(['user_id'])).toMatchObject({
    problems: [{ code: 'user_key_mismatch', message: expect.stringContaining('2 columns (tenant, id)') }],
  })
  expect(compile(['code', 'code'])).toMatchObject({
    problems: [
      { path: 'children[1].user', retype: [{ column: 'code', type: 'text' }] },
      { path: 'children[1].user', retype: [{ column: 'code', type: 'int4' }] },
    ],
  })
})

const FOREIGN_KEY = { columns: ['user_id'], target: { schema: 'public', name: 'users' }, targetColumns: ['id'] }

test("a child's own key is no user's: what refers to the user is named, and no ALTER of a key is printed", () => {
  const users = withColumns({ id: 'uuid' })
  const plain = { ...withColumns({ id: 'int8', user_id: 'text' }), name: 'devices', key: ['id'] }
  const problemOf = (child: Table, user: readonly string[]) => {
    const compiled = compileUserKey({ users, child, user, path: 'children[0].user' })
    return compiled.kind === 'invalid' ? compiled.problems[0] : undefined
  }
  const own = problemOf(plain, ['id'])
  expect(own?.message).toMatch(/; it is part of the table's own key: name the column that refers to the user$/)
  expect(own).not.toHaveProperty('retype')
  const referring = { ...plain, foreignKeys: [FOREIGN_KEY] }
  const other = problemOf(referring, ['id'])
  expect(other?.message).toMatch(/; a foreign key refers to the users table by user_id$/)
  expect(other).not.toHaveProperty('retype')
  expect(problemOf(referring, ['id', 'user_id'])?.message).toMatch(
    /user names 2; a foreign key refers to the users table by user_id$/,
  )
  expect(problemOf(plain, ['user_id'])).toMatchObject({ retype: [{ column: 'user_id', type: 'uuid' }] })
  // One row a user, whose key is the user's.
  const profiles = { ...plain, foreignKeys: [{ ...FOREIGN_KEY, columns: ['id'] }] }
  expect(problemOf(profiles, ['id'])).toMatchObject({ retype: [{ column: 'id', type: 'uuid' }] })
})

test('a reference to the users table is in the order of its key', () => {
  const users = withColumns({ tenant: 'text', id: 'int4' })
  const foreignKeys = [
    { columns: ['u', 't'], target: { schema: 'public', name: 'users' }, targetColumns: ['id', 'tenant'] },
    { columns: ['x', 'y'], target: { schema: 'public', name: 'teams' }, targetColumns: ['tenant', 'id'] },
    { columns: ['e', 't'], target: { schema: 'public', name: 'users' }, targetColumns: ['email', 'tenant'] },
  ]
  expect(userReferences(users, { ...withColumns({ t: 'text' }), foreignKeys })).toEqual([['t', 'u']])
})
