// What `init` guesses from names and types: which table holds the users, which column is which channel, what is never proposed.
import { describe, expect, test } from 'vitest'
import { proposeMapping } from '../../../src/core/guess-mapping.ts'
import { chooseTable, rankTables } from '../../../src/core/guess-table.ts'
import type { Proposal } from '../../../src/core/proposal.ts'
import type { ColumnType } from '../../../src/core/row.ts'
import type { Survey, SurveyTable } from '../../../src/core/survey.ts'
import { arrayOf, type TypeName, table, type } from './column-samples.ts'

type Columns = { readonly [name: string]: TypeName | `${TypeName}?` | ColumnType }

function surveyed(name: string, columns: Columns, more: Partial<SurveyTable> = {}): SurveyTable {
  const [schema = 'public', plain = name] = name.includes('.') ? name.split('.') : ['public', name]
  const base = table(columns)
  return {
    ...{
      oid: 1,
      schema,
      name: plain,
      owner: 'app',
      owned: true,
      partitioned: false,
      rowSecurity: false,
      rowsEstimated: 1000,
    },
    columns: base.columns.map((column) => ({ ...column, generated: false, labels: [] })),
    key: base.key,
    unique: [base.key],
    foreignKeys: [],
    ...more,
  }
}

const survey = (...tables: readonly SurveyTable[]): Survey => ({ tables, truncated: false })

function proposalFor(columns: Columns, others: readonly SurveyTable[] = []): Proposal {
  const users = surveyed('users', columns)
  const proposed = proposeMapping(users, survey(users, ...others), 'named by the test')
  if (proposed.kind !== 'ok') throw new Error(proposed.reason)
  return proposed.proposal
}

/** The keys that the column gives in the proposed file. */
function keysFor(column: string, of: TypeName | ColumnType): readonly string[] {
  const { profile } = proposalFor({ id: 'int8', [column]: of })
  return profile.filter(({ on, source }) => on && JSON.stringify(source).includes(column)).map(({ key }) => key)
}

describe('a column', () => {
  test.each<[string, TypeName | ColumnType, string]>([
    ['email', 'text', '$email'],
    ['e_mail', 'varchar', '$email'],
    ['emailAddress', 'text', '$email'],
    ['work_email', 'text', '$email'],
    ['phone', 'text', '$sms'],
    ['mobile_number', 'varchar', '$sms'],
    ['whatsapp_number', 'text', '$whatsapp'],
    ['fcm_token', 'text', '$androidpush'],
    ['fcm_tokens', arrayOf(type('text')), '$androidpush'],
    ['apns_token', 'text', '$iospush'],
    ['timezone', 'text', '$timezone'],
    ['tz', 'text', '$timezone'],
  ])('%s is taken for what it is called', (column, of, key) => {
    expect(keysFor(column, of)).toEqual([key])
  })

  test.each<[string, TypeName | ColumnType]>([
    ['encrypted_password', 'text'],
    ['password_hash', 'text'],
    ['reset_password_token', 'text'],
    ['otp_secret', 'text'],
    ['api_key', 'text'],
    ['unconfirmed_email', 'text'],
    ['ssn', 'text'],
    ['session_token', 'text'],
    ['photo', 'bytea'],
  ])('%s is never proposed, not even as a comment', (column, of) => {
    const { profile } = proposalFor({ id: 'int8', email: 'text', [column]: of })
    expect(JSON.stringify(profile)).not.toContain(column)
  })
})

describe('the users table', () => {
  const names = (...tables: readonly SurveyTable[]) => {
    const choice = chooseTable(rankTables(survey(...tables)))
    return choice.kind === 'none' ? null : `${choice.best.table.schema}.${choice.best.table.name}`
  }
  const other = surveyed('invoices', { id: 'int8', total: 'numeric' })

  test.each(['users', 'auth.users', 'auth_user', 'User', 'accounts', 'customers', 'members'])('%s is found', (name) => {
    const users = surveyed(name, { id: 'int8', email: 'text', phone: 'text' })
    expect(names(other, users)).toBe(`${users.schema}.${users.name}`)
  })

  test('is none where nothing looks like people', () => {
    expect(names(other, surveyed('schema_migrations', { version: 'text' }))).toBeNull()
  })

  test('is the one that others refer to, not their sessions or settings', () => {
    const users = surveyed('users', { id: 'uuid', email: 'text' })
    const sessions = surveyed(
      'user_sessions',
      { id: 'uuid', user_id: 'uuid', email: 'text' },
      { foreignKeys: [{ columns: ['user_id'], target: users, targetColumns: ['id'] }] },
    )
    expect(names(sessions, users)).toBe('public.users')
  })
})

test('who is gone, and who is named by what', () => {
  const { when, distinctId } = proposalFor({ id: 'uuid', email: 'text', deleted_at: 'timestamptz?' })
  expect(when?.text).toBe('deleted_at == null')
  expect(distinctId.column).toBe('id')
  // An address is no identity, and a key of several columns no single one.
  const tenants = surveyed(
    'users',
    { tenant: 'text', id: 'int8', email: 'text' },
    { key: ['tenant', 'id'], unique: [['tenant', 'id'], ['email']] },
  )
  expect(proposeMapping(tenants, survey(tenants), 'x')).toEqual({ kind: 'unfit', reason: 'no_id', generated: null })
  // The one that would do is not replicated.
  const columns = tenants.columns.map((column) => ({ ...column, name: column.name === 'email' ? 'uid' : column.name }))
  const made = {
    ...tenants,
    columns: columns.map((column) => ({ ...column, generated: column.name === 'uid' })),
    unique: [['tenant', 'id'], ['uid']],
  }
  expect(proposeMapping(made, survey(made), 'x')).toMatchObject({ reason: 'no_id', generated: 'uid' })
})
