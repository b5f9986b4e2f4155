// Warnings of `check` about a mapping that fits the tables and still hardly says what is meant.
import { expect, test } from 'vitest'
import { mappingDoubts, tableDoubts } from '../../../src/core/mapping-doubts.ts'
import type { MappingSpec, TableMapping } from '../../../src/core/mapping-spec.ts'
import { sourceOf } from '../../support/source-spec.ts'
import { table } from './column-samples.ts'

function spec(keys: readonly string[], ofChild: readonly string[] = []): MappingSpec {
  const part = (names: readonly string[]): TableMapping => ({
    ...{ when: null, properties: [], exclusive: [] },
    profile: new Map(names.map((key) => [key, [sourceOf('column')]])),
  })
  const child = { ...part(ofChild), table: { schema: 'public', name: 'devices' }, user: ['user_id'] }
  return { ...part(keys), distinctId: { kind: 'column', column: 'id' }, onDelete: 'delete', children: [child] }
}

test('a channel without its $ is a property, unless the channel is there as well', () => {
  const doubts = mappingDoubts(spec(['email', 'sms', 'name', 'timezone'], ['$sms', 'slack']))
  expect(doubts).toEqual([
    {
      code: 'property_named_like_channel',
      path: 'profile.email',
      message: 'is a custom property of that name: did you mean $email?',
    },
    expect.objectContaining({ path: 'profile.timezone', message: expect.stringContaining('$timezone') }),
    expect.objectContaining({ path: 'children[0].profile.slack' }),
  ])
})

test('a child that names another column than its foreign key does', () => {
  const users = table({ id: 'int8' })
  const plain = { ...table({ id: 'int8', user_id: 'int8', owner: 'int8' }), name: 'devices' }
  const by = (column: string) => ({ columns: [column], target: users, targetColumns: ['id'] })
  const doubtsOf = (user: string, columns: readonly string[]) => {
    const child = { ...plain, foreignKeys: columns.map(by) }
    const { children, ...mapping } = spec([])
    const named = children.map((it) => ({ ...it, user: [user] }))
    return tableDoubts({ ...mapping, children: named }, [users, child])
  }
  expect(doubtsOf('id', ['user_id'])).toMatchObject([{ code: 'user_not_foreign_key', path: 'children[0].user' }])
  expect(doubtsOf('owner', ['user_id', 'owner'])).toEqual([])
  expect(doubtsOf('id', [])).toEqual([])
})
