// Warnings of `check` about a mapping that fits the tables and still hardly says what is meant.
import { expect, test } from 'vitest'
import { mappingDoubts } from '../../../src/core/mapping-doubts.ts'
import type { MappingSpec, TableMapping } from '../../../src/core/mapping-spec.ts'
import { sourceOf } from '../../support/source-spec.ts'

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
