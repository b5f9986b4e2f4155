// What is said of a name that is no column of the table: the next step, for each of the usual mistakes.
import { expect, it } from 'vitest'
import { whatWasMeant } from '../../../src/core/missing-column.ts'

const table = { name: 'users', columns: ['id', 'email', 'First Name', 'settings', 'deleted_at'] }

it.each([
  ['source', 'emial', '; did you mean "email"?'],
  ['source', 'premium', '; a text that is the same for everybody is {const: premium}.'],
  ['source', 'Frist Name', '; did you mean "First Name"?'],
  ['source', 'first_name + " " + last_name', '; what is computed is {value: …}.'],
  ['source', 'lower(email)', '; what is computed is {value: …}.'],
  ['source', 'settings.plan', '; what is computed is {value: settings.plan}.'],
  ['source', "settings->'a' ->> 'plan'", '; what is computed is {value: settings.a.plan}.'],
  ['source', "settings->'First Name'", '; what is computed is {value: …}.'],
  ['source', 'users.email', '; columns stand without their table: email.'],
  ['source', 'public.users.email', '; columns stand without their table: email.'],
  ['name', 'users.id', '; columns stand without their table: id.'],
  ['name', 'premium', '.'],
  ['expression', 'delete_at', '; did you mean "deleted_at"?'],
  ['expression', 'premium', '; a text stands in quotes: "premium".'],
  ['expression', 'users', '; columns stand without their table.'],
  ['expression', 'NULL', '; CEL writes null.'],
  ['expression', 'True', '; CEL writes true.'],
] as const)('%s %s', (as, column, expected) => {
  expect(whatWasMeant({ column, as }, table)).toBe(expected)
})
