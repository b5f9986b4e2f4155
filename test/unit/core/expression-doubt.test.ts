// What `check` warns of: expressions that fit the table only because a column may be NULL.
import { expect, it } from 'vitest'
import { expressionDoubt } from '../../../src/core/expression-doubt.ts'
import { arrayOf, table, type } from './column-samples.ts'

const users = table({
  ...{ id: 'int4', active: 'bool', name: 'text?', other: 'text?', age: 'int4?', price: 'numeric?', banned: 'bool?' },
  ...{ deleted_at: 'timestamptz?', settings: 'jsonb?', doc: 'text?', tags: arrayOf(type('text')), mood: 'text?' },
})

it.each([
  ['!deleted_at', '!string (at character 1); it takes true or false: whether there is a value at all is asked by'],
  ['active && !deleted_at', '!string (at character 11)'],
  ['deleted_at && active', "Logical operator requires bool operands, got 'string'"],
  ['active || name', 'Logical operator'],
  ['name ? true : false', 'Ternary condition must be bool'],
  ['age', 'must be true or false, but is of type int where its columns have values'],
  ['age + " years" == "7 years"', 'int + string (at character 1); string(age) makes a text of a number'],
  ['age / 2.0 > 1.0', 'int / double (at character 1); both have to be of one type'],
  ['age > "18"', 'int > string'],
  ['banned == "true"', 'bool == string'],
  ['lower(age) == "a"', "'lower(int)'"],
  ['doc.plan == "pro"', "Cannot index type 'string'"],
  ['!banned', 'takes ! of what may be NULL'],
  ['!row["banned"]', 'takes ! of what may be NULL'],
  ['!(settings.banned)', 'takes ! of what may be NULL'],
])('a condition: %s', (text, doubt) => {
  expect(expressionDoubt(text, users, true)).toContain(doubt)
})

it.each([
  'deleted_at == null',
  'null != deleted_at && active',
  'deleted_at == null || deleted_at > "2024-01-01"',
  '!active',
  '!row["active"]',
  'banned != true',
  '!(banned == true)',
  'has(settings.banned) && !settings.banned',
  'banned == null || !banned',
  '!has(settings.banned)',
  '!(name in ["a", "b"])',
  '!tags.exists(tag, tag == "x")',
  'price > 18',
  'price == 18',
  'age == 18.5',
  'age in [1, 2]',
  'tags == null || tags == ["a"]',
  'size(tags) > 0',
  'coalesce(banned, false) == false',
  '!coalesce(banned, false)',
  'settings.plan == "pro"',
  'settings.n + 1 > 2',
  '(age == null ? "none" : age) == "none"',
  'type(name) == string',
  'json(doc).plan == "pro"',
])('no doubt of %s', (text) => {
  expect(expressionDoubt(text, users, true)).toBeNull()
})

it('a value may be of any type, and NULL where it is', () => {
  for (const text of [
    'age',
    'name + " " + other',
    'active ? name : age',
    '!banned',
    'string(age) + name',
    '[name, age]',
  ])
    expect(expressionDoubt(text, users, false)).toBeNull()
  expect(expressionDoubt('name || other', users, false)).toContain('Logical operator')
  expect(expressionDoubt('age + " years"', users, false)).toContain('string(age)')
})
