// From rows that were read to users: who speaks for an id, what children add, and which rows are not sent.
import { expect, test } from 'vitest'
import type { MappedChild, MappedRow } from '../../../src/core/mapping.ts'
import { assembleUsers, type ReadChild, type ReadRow, type SeenUsers } from '../../../src/core/plan-assembly.ts'
import type { Profile, Reason } from '../../../src/core/profile.ts'

const reason = (key: string): Reason => ({ key, code: 'invalid_email', message: 'no address' })
const named = (name: string): Profile => ({ channels: {}, properties: { name } })

function live(key: string, distinctId: string, reasons: readonly Reason[] = []): ReadRow {
  const mapped: MappedRow = { kind: 'user', distinctId, profile: named(key), reasons }
  return { key, mapped }
}
function absent(key: string, distinctId: string | null, reasons: readonly Reason[] = []): ReadRow {
  return { key, mapped: { kind: 'absent', distinctId, reasons } }
}
function child(table: number, key: string, userKey: string | null, token?: string): ReadChild {
  const mapped: MappedChild =
    token === undefined || userKey === null
      ? { kind: 'absent', userKey, reasons: [] }
      : {
          kind: 'child',
          userKey,
          profile: { channels: { $androidpush: [token] }, properties: {} },
          reasons: [reason(key)],
        }
  return { source: SOURCES[table] ?? '', key, mapped }
}
const SOURCES = ['public.devices', 'public.emails']
const assembled = (rows: readonly ReadRow[], children: readonly ReadChild[], seen: SeenUsers = new Map()) =>
  assembleUsers({ rows, children, sources: SOURCES }, seen)

test('of several live rows the lowest key speaks, whatever the order; absent rows count only where none is live', () => {
  const { users } = assembled([live('10', 'u'), absent('1', 'u'), live('9', 'u'), absent('2', 'gone')], [])
  expect(users).toEqual([
    { distinctId: 'u', desired: named('9'), row: '9', reasons: [], duplicates: ['10'] },
    { distinctId: 'gone', desired: null, row: null, reasons: [], duplicates: [] },
  ])
})

test('children add to the row they belong to: tables in the order of the file, rows in that of their keys', () => {
  const children = [
    child(1, '1', '7', 'second-table'),
    child(0, '10', '7', 't10'),
    child(0, '9', '7', 't9'),
    child(0, '8', '7'),
    child(0, '3', '99', 'of-nobody-here'),
    child(0, '4', null),
  ]
  const [user] = assembled([live('7', 'u', [reason('own')])], children).users
  expect(user?.desired).toEqual({
    channels: { $androidpush: ['t9', 't10', 'second-table'] },
    properties: { name: '7' },
  })
  expect(user?.reasons.map(({ key }) => key)).toEqual(['own', '9', '10', '1'])
})

test('children of a row that does not count, or of a duplicate, are not sent', () => {
  const { users } = assembled(
    [absent('1', 'gone'), live('2', 'u'), live('3', 'u')],
    [child(0, '1', '1', 'a'), child(0, '2', '3', 'b')],
  )
  expect(users.map(({ desired }) => desired)).toEqual([null, named('2')])
})

test('a row without a usable id is told with its reasons, one that simply does not count is not', () => {
  const { users, unusable } = assembled([absent('1', null, [reason('distinct_id')]), absent('2', null)], [])
  expect(users).toEqual([])
  expect(unusable).toEqual([{ row: '1', reasons: [reason('distinct_id')] }])
})

test('rows of earlier readings come first; one that was only absent gives way to a live one', () => {
  const seen = new Map([
    ['u', '1'],
    ['gone', null],
    ['back', null],
  ])
  const rows = [live('5', 'u'), absent('6', 'u'), live('1', 'u'), absent('7', 'gone'), live('8', 'back')]
  const { users, late } = assembled(rows, [], seen)
  expect(late).toEqual([{ distinctId: 'u', row: '5' }])
  expect(users.map(({ distinctId, row }) => [distinctId, row])).toEqual([['back', '8']])
})

test('of more rows than count for a user, those count that the service would take, with its reason', () => {
  const children = Array.from({ length: 501 }, (_, i) => child(0, String(i), '7', `t${i}`))
  const [user] = assembled([live('7', 'u')], children).users
  expect(user?.desired?.channels.$androidpush).toHaveLength(500)
  // By bytes, as state does: of 0 to 500 that is 99.
  expect(user?.desired?.channels.$androidpush).not.toContain('t99')
  expect(user?.reasons.at(-1)).toMatchObject({ key: 'public.devices', code: 'too_many_rows' })
})
