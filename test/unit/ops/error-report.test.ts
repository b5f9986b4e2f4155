// P8: what is said about an error holds no value of a row, wherever PostgreSQL or a parser put it.
import { DatabaseError } from 'pg'
import { expect, test } from 'vitest'
import { SuprsyncError } from '../../../src/core/error.ts'
import { reportError } from '../../../src/ops/error-report.ts'

const CANARY = 'canary-7f3a@example.com'

/** As `pg` builds it from the server's ErrorResponse. */
function serverError(sqlstate: string, message: string, fields: Partial<DatabaseError> = {}): DatabaseError {
  return Object.assign(
    new DatabaseError(message, message.length, 'error'),
    { severity: 'ERROR', code: sqlstate },
    fields,
  )
}

test.each([
  ['22P02', `invalid input syntax for type integer: "${CANARY}"`],
  ['22001', `value "${CANARY}" too long`],
  ['23505', `duplicate key value ${CANARY}`],
  ['P0001', `trigger says no to ${CANARY}`],
  ['38001', `function failed on ${CANARY}`],
  ['ZZ123', `an extension's own class with ${CANARY}`],
])('the message of SQLSTATE %s is withheld', (sqlstate, message) => {
  const text = JSON.stringify(reportError(serverError(sqlstate, message)))
  expect(text).not.toContain(CANARY)
  expect(text).toContain(sqlstate)
})

test('detail, where, hint and the queries of a PostgreSQL error do not get out; names of objects do', () => {
  const error = serverError('23505', 'duplicate key value violates unique constraint "users_email_key"', {
    detail: `Key (email)=(${CANARY}) already exists.`,
    hint: `Did you mean ${CANARY}?`,
    where: `COPY users, line 1: "${CANARY}"`,
    internalQuery: `select '${CANARY}'`,
    schema: 'public',
    table: 'users',
    column: 'email',
    constraint: 'users_email_key',
    routine: '_bt_check_unique',
  })
  const report = reportError(new SuprsyncError('capture_failed', 'the batch was not written', { cause: error }))
  expect(JSON.stringify(report)).not.toContain(CANARY)
  expect(report.cause?.postgres).toEqual({
    severity: 'ERROR',
    schema: 'public',
    table: 'users',
    column: 'email',
    constraint: 'users_email_key',
    routine: '_bt_check_unique',
  })
  expect(report.cause?.stack).toContain('error-report.test.ts')
})

test('messages that name objects only are kept', () => {
  const report = reportError(serverError('42501', 'permission denied for table users'))
  expect(report).toMatchObject({ code: '42501', message: 'permission denied for table users' })
})

test.each([
  ['JSON.parse', () => JSON.parse(CANARY)],
  ['BigInt', () => BigInt(CANARY)],
])('what %s quotes is withheld', (_name, act) => {
  const error = thrownBy(act)
  expect(String(error)).toContain(CANARY.slice(0, 6))
  expect(JSON.stringify(reportError(error))).not.toContain(CANARY.slice(0, 6))
})

test('unknown fields of any error are dropped', () => {
  const error = Object.assign(new TypeError('Invalid URL'), {
    code: 'ERR_INVALID_URL',
    input: `postgres://u:${CANARY}`,
  })
  const report = reportError(error)
  expect(JSON.stringify(report)).not.toContain(CANARY)
  expect(report.code).toBe('ERR_INVALID_URL')
})

test('a thrown value that is no Error is not printed', () => {
  expect(JSON.stringify(reportError(CANARY))).not.toContain(CANARY)
})

test('an error of ours keeps its details; causes and aggregated errors are followed, endless chains are not', () => {
  const error = new SuprsyncError('slot_lost', 'the slot is gone', { details: { slot: 'suprsync_app' } })
  error.cause = new AggregateError([Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' }), error])
  const report = reportError(error)
  expect(report).toMatchObject({
    type: 'SuprsyncError',
    code: 'slot_lost',
    details: { slot: 'suprsync_app' },
    cause: { message: 'all attempts failed', errors: [{ code: 'ECONNREFUSED' }, { code: 'slot_lost' }] },
  })
})

function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
