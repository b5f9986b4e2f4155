import { expect, test } from 'vitest'
import { formatFindings } from '../../../src/commands/finding-text.ts'
import type { Finding } from '../../../src/core/finding.ts'

const findings: readonly Finding[] = [
  { code: 'role_cannot_read', level: 'error', message: 'May not read.', sql: 'GRANT a;\nGRANT b;' },
  { code: 'no_wal_limit', level: 'warning', message: 'No limit.' },
]

test('aligned, with the SQL below its finding, and marks on a terminal only', () => {
  expect(formatFindings(findings, { terminal: false })).toBe(
    [
      'error    role_cannot_read  May not read.',
      '                           GRANT a;',
      '                           GRANT b;',
      'warning  no_wal_limit      No limit.',
      '1 error, 1 warning: nothing was started or changed.',
    ].join('\n'),
  )
  expect(formatFindings(findings, { terminal: true }).split('\n')[0]).toBe('✗  role_cannot_read  May not read.')
})

test('nothing found, and warnings only', () => {
  expect(formatFindings([], { terminal: true })).toBe('✓ Everything that is needed is there.')
  expect(formatFindings(findings.slice(1), { terminal: false })).toBe(
    'warning  no_wal_limit  No limit.\nEverything that is needed is there (1 warning).',
  )
})
