// What `run` waits for at its start, cause by cause; test/e2e/start.test.ts has the waiting itself.
import { expect, test } from 'vitest'
import { isPassing } from '../../../src/commands/start-preflight.ts'

test.each(['refused', 'dns', 'timeout', 'network', 'full', 'starting', 'other'])('%s passes by itself', (cause) => {
  expect(isPassing({ code: 'server_unreachable', level: 'error', message: '', cause })).toBe(true)
})

test.each(['password', 'role', 'host_based', 'database', 'denied', 'tls'])('%s is configuration', (cause) => {
  expect(isPassing({ code: 'server_unreachable', level: 'error', message: '', cause })).toBe(false)
})

test('of everything else only a sender comes free by itself', () => {
  expect(isPassing({ code: 'no_free_sender', level: 'error', message: '' })).toBe(true)
  for (const code of [
    'no_free_slot',
    'pooler_in_the_way',
    'state_pooled',
    'state_options_lost',
    'replication_refused',
    'wal_level_not_logical',
    'slot_lost',
  ]) {
    expect(isPassing({ code, level: 'error', message: '' })).toBe(false)
  }
})
