// What /readyz warns of while it is ready: what the slot costs, and what is done or not done about it.
import { expect, test } from 'vitest'
import { readinessOf, type ServiceStatus } from '../../../src/core/service-status.ts'
import { isAmple } from '../../../src/core/slot-lag.ts'

const WELL = { level: 'enough', invalidatedInMs: null, pagesWait: false, leftBecause: null } as const

test.each<[string, Partial<NonNullable<ServiceStatus['wal']>> | null, readonly string[]]>([
  ['not known', null, []],
  ['enough', {}, []],
  ['low', { level: 'low', invalidatedInMs: 90_000 }, ['wal_budget_low']],
  ['spent, and the reading waits', { level: 'spent', pagesWait: true }, ['wal_budget_low', 'pages_wait_for_wal']],
  ['too much, and left', { leftBecause: 'somebody streams from it' }, ['max_retained_wal']],
])('the WAL that is kept for the slot: %s', (_, change, codes) => {
  const wal = change && { ...WELL, ...change }
  const { ready, warnings } = readinessOf({
    capture: { kind: 'streaming' },
    delivery: { kind: 'sending', buckets: 64 },
    host: 'open',
    breaker: null,
    wal,
  })
  expect(ready).toBe(true)
  expect(warnings.map(({ code }) => code)).toEqual(codes)
})

test('without a limit, or with much left of it, nobody looks before each page', () => {
  expect([null, 1, 256 << 20, (256 << 20) + 1].map((safeWalBytes) => isAmple({ safeWalBytes }))).toEqual([
    ...[true, false, false, true],
  ])
})
