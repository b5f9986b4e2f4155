// What cannot be provoked on the embedded server: other vendors' servers, poolers, old versions and TLS, from recorded
// facts and errors.
import { describe, expect, test } from 'vitest'
import { SuprsyncError } from '../../../src/core/error.ts'
import { connectionFailure } from '../../../src/postgres/connection-failure.ts'
import type { ServerFacts } from '../../../src/postgres/preflight-facts.ts'
import {
  capacityFindings,
  replicationFindings,
  serverFindings,
  versionFindings,
} from '../../../src/postgres/server-findings.ts'

const well: ServerFacts = {
  version: 180_004,
  standby: false,
  walLevel: 'logical',
  maxSlots: 10,
  usedSlots: 0,
  maxSenders: 10,
  usedSenders: 0,
  walKeepMb: 1024,
  rds: false,
  database: 'app',
  role: 'Sync Role',
  canReplicate: true,
  canCreate: true,
}

describe('serverFindings', () => {
  test('nothing where all is well', () => {
    expect(serverFindings(well)).toEqual([])
  })

  test('14 is the oldest version', () => {
    expect(versionFindings(140_000)).toEqual([])
    expect(versionFindings(130_022)).toMatchObject([{ code: 'server_too_old', message: /PostgreSQL 13;/ }])
  })

  test('a standby', () => {
    expect(serverFindings({ ...well, standby: true })).toMatchObject([{ code: 'server_is_standby' }])
  })

  test('on RDS the WAL level is a parameter and replication a role', () => {
    const findings = serverFindings({ ...well, rds: true, walLevel: 'replica', canReplicate: false })
    expect(findings).toMatchObject([
      { code: 'wal_level_not_logical', message: /rds\.logical_replication/ },
      { code: 'role_cannot_replicate', sql: 'GRANT rds_replication TO "Sync Role";' },
    ])
    expect(findings[0]).not.toHaveProperty('sql')
  })
})

describe('replicationFindings', () => {
  test.each([
    ['42601', 'syntax error at or near "IDENTIFY_SYSTEM"'],
    ['08P01', 'unsupported startup parameter: replication'],
  ])('a pooler in the way: %s', (code, message) => {
    expect(replicationFindings({ kind: 'failed', code, message })).toMatchObject([{ code: 'pooler_in_the_way' }])
  })

  test('no sender left is told once, from the count or from the refusal', () => {
    // PostgreSQL 17 and 18
    const message = 'number of requested standby connections exceeds "max_wal_senders" (currently 10)'
    const probe = { kind: 'failed', code: '53300', message } as const
    expect(replicationFindings(probe)).toEqual([])
    expect(capacityFindings(well, null, probe)).toMatchObject([{ code: 'no_free_sender' }])
    expect(capacityFindings({ ...well, usedSenders: 10 }, null, { kind: 'ok' })).toMatchObject([
      { code: 'no_free_sender' },
    ])
    expect(capacityFindings(well, null, { kind: 'ok' })).toEqual([])
  })

  test('anything else is said as the server said it', () => {
    const message = 'no pg_hba.conf entry for replication connection from host "10.0.0.1", user "app", no encryption'
    expect(replicationFindings({ kind: 'failed', code: '28000', message })).toMatchObject([
      { code: 'replication_refused', cause: '28000', message: expect.stringContaining(message) },
    ])
  })
})

describe('connectionFailure', () => {
  const coded = (code: string, message: string) => Object.assign(new Error(message), { code })

  test.each([
    ['refused', new AggregateError([coded('ECONNREFUSED', 'connect ECONNREFUSED ::1:5432')])],
    ['refused', coded('ENOENT', 'connect ENOENT /run/postgresql/.s.PGSQL.5432')],
    ['dns', coded('ENOTFOUND', 'getaddrinfo ENOTFOUND db.internal')],
    ['dns', coded('EAI_AGAIN', 'getaddrinfo EAI_AGAIN db.internal')],
    ['timeout', coded('ETIMEDOUT', 'connect ETIMEDOUT 10.0.0.1:5432')],
    ['network', coded('ECONNRESET', 'read ECONNRESET')],
    ['network', new Error('Connection terminated unexpectedly')],
    ['timeout', new Error('Connection terminated due to connection timeout')],
    ['timeout', new Error('timeout expired')],
    ['tls', coded('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain')],
    ['tls', coded('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate')],
    ['tls', coded('CERT_HAS_EXPIRED', 'certificate has expired')],
    ['tls', coded('UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'unable to get local issuer certificate')],
    ['tls', coded('ERR_TLS_CERT_ALTNAME_INVALID', "Hostname/IP does not match certificate's altnames")],
    ['tls', new Error('The server does not support SSL connections')],
    ['password', coded('28P01', 'password authentication failed for user "app"')],
    ['password', new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string')],
    ['role', coded('28000', 'role "app" does not exist')],
    [
      'host_based',
      coded('28000', 'no pg_hba.conf entry for host "10.0.0.1", user "app", database "app", no encryption'),
    ],
    ['database', coded('3D000', 'database "app" does not exist')],
    ['denied', coded('42501', 'permission denied for database "app"')],
    ['full', coded('53300', 'sorry, too many clients already')],
    ['starting', coded('57P03', 'the database system is starting up')],
    ['starting', coded('57P01', 'terminating connection due to administrator command')],
    ['network', new Error('Client has encountered a connection error and is not queryable')],
    ['pooler', coded('08P01', 'unsupported startup parameter in options: intervalstyle')],
    ['other', coded('XX000', 'something new')],
    ['other', new SuprsyncError('whatever', 'of our own')],
    ['other', 'not even an error'],
  ] as const)('%s', (cause, error) => {
    const failure = connectionFailure(error)
    expect(failure.cause).toBe(cause)
    expect(failure.message).toMatch(/^PostgreSQL cannot be reached: .+ \(.+\)\.$/)
  })
})
