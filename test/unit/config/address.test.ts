import { expect, it } from 'vitest'
import { databaseName, defaultSlotName, parseListen } from '../../../src/config/address.ts'
import { parseDuration } from '../../../src/config/scalar.ts'
import { parseTableName } from '../../../src/config/table-name.ts'

it.each([
  ['postgres://u:p@h/app', 'app'],
  ['postgres://u:p@h/My%20App', 'My App'],
  ['postgres://u@h', 'u'],
  ['postgres://h', null],
  ['postgresql:///app?host=/run', 'app'],
])('the database of %s', (url, expected) => {
  expect(databaseName(url)).toBe(expected)
})

it.each([
  ['app', 'suprsync_app'],
  ['My App-2', 'suprsync_my_app_2'],
  ['ü', 'suprsync__'],
  [null, 'suprsync_postgres'],
  ['x'.repeat(80), `suprsync_${'x'.repeat(54)}`],
])('the slot of %s', (database, expected) => {
  expect(defaultSlotName(database)).toBe(expected)
})

it.each([
  ['127.0.0.1:9464', { host: '127.0.0.1', port: 9464 }],
  ['[::1]:0', { host: '::1', port: 0 }],
  ['localhost:80', { host: 'localhost', port: 80 }],
  [':80', null],
  ['localhost', null],
  ['localhost:65536', null],
  ['::1:80', null],
])('listen on %s', (text, expected) => {
  expect(parseListen(text)).toEqual(expected)
})

it.each([
  ['500ms', 500],
  ['20s', 20_000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  ['20', null],
  ['0s', null],
  ['-1s', null],
  ['600h', null],
  ['1d', null],
])('the duration %s', (text, expected) => {
  expect(parseDuration(text)).toBe(expected)
})

it.each([
  ['users', { schema: 'public', name: 'users' }],
  ['Users', { schema: 'public', name: 'users' }],
  ['"Users"', { schema: 'public', name: 'Users' }],
  ['public."App Users"', { schema: 'public', name: 'App Users' }],
  ['"my.schema" . "a""b.c"', { schema: 'my.schema', name: 'a"b.c' }],
  ['größe', { schema: 'public', name: 'größe' }],
  ['2users', null],
  ['a.', null],
  ['""', null],
])('the table %s', (text, expected) => {
  expect(parseTableName(text)).toEqual(expected)
})
