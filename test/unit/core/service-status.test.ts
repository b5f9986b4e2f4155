// What /readyz warns of while it is ready: what the slot costs, and what is done or not done about it.
import { expect, test } from 'vitest'
import { readinessOf, type ServiceStatus } from '../../../src/core/service-status.ts'
import { isAmple } from '../../../src/core/slot-lag.ts'

const BROKEN = { kind: 'broken', code: 'server_unreachable', message: 'It is down.' } as const
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

test.each<[string, Partial<ServiceStatus>, object]>([
  [
    'a sender without buckets, beside a standby',
    { capture: { kind: 'standby' }, delivery: { kind: 'standby' } },
    { ready: true, capture: 'standby', delivery: 'standby' },
  ],
  ['only one of the two', { capture: { kind: 'off' } }, { ready: true, capture: 'off', delivery: 'active' }],
  [
    'a sender that makes no step',
    { delivery: { kind: 'stuck', silentMs: 61_000 } },
    { ready: false, delivery: 'stuck', reasons: [{ code: 'delivery_stuck' }] },
  ],
  [
    'both in the same trouble',
    { capture: BROKEN, delivery: BROKEN },
    { ready: false, capture: 'stuck', reasons: [{ code: 'server_unreachable' }] },
  ],
])('what each part does: %s', (_, change, expected) => {
  const well = { capture: { kind: 'streaming' }, delivery: { kind: 'sending', buckets: 64 } } as const
  expect(readinessOf({ ...well, host: 'open', breaker: null, wal: null, ...change })).toMatchObject(expected)
})

test('without a limit, or with much left of it, nobody looks before each page', () => {
  expect([null, 1, 256 << 20, (256 << 20) + 1].map((safeWalBytes) => isAmple({ safeWalBytes }))).toEqual([
    ...[true, false, false, true],
  ])
})
