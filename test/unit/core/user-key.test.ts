// Whether the columns of a child table can name a users row.
import { expect, test } from 'vitest'
import type { Table } from '../../../src/core/row.ts'
import { userKeyProblem } from '../../../src/core/user-key.ts'
import { type TypeName, table } from './column-samples.ts'

const users = (types: { readonly [name: string]: TypeName }): Table => ({
  ...table(types),
  schema: 'public',
  name: 'users',
  key: Object.keys(types),
})

test.each<[TypeName, TypeName]>([
  ['int4', 'int8'],
  ['int8', 'int2'],
  ['text', 'varchar'],
  ['uuid', 'uuid'],
])('%s is named by %s', (key, user) => {
  expect(userKeyProblem(users({ id: key }), table({ user_id: user }), ['user_id'])).toBeNull()
})

test.each<[TypeName, TypeName]>([
  ['uuid', 'text'],
  ['int4', 'text'],
  ['numeric', 'int8'],
])('%s is not named by %s: one value may have two texts', (key, user) => {
  const problem = userKeyProblem(users({ id: key }), table({ user_id: user }), ['user_id'])
  expect(problem).toMatchObject({ code: 'user_key_mismatch', message: expect.stringContaining('"user_id"') })
})

test('as many columns as the key has', () => {
  const both = users({ tenant: 'text', id: 'int4' })
  const child = table({ tenant_id: 'text', user_id: 'int4' })
  expect(userKeyProblem(both, child, ['tenant_id', 'user_id'])).toBeNull()
  expect(userKeyProblem(both, child, ['user_id'])?.message).toContain('2 columns (tenant, id)')
})
