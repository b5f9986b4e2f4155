// Which problems follow from what was read, and that docs/operations.md explains each.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ERROR_POLICY } from '../../../src/core/error-policy.ts'
import { ROW_FAILURES } from '../../../src/core/failed-row.ts'
import { parseLsn } from '../../../src/core/lsn.ts'
import { drainMs } from '../../../src/core/senders.ts'
import { captureTrouble, type Problem, problemsOf } from '../../../src/core/status-problems.ts'
import type { SlotReport, SourceReport, StateReport, StatusReport } from '../../../src/core/status-report.ts'

const MINUTES = 60_000
const GB = 2 ** 30

const SLOT: SlotReport = {
  name: 'ours',
  plugin: 'pgoutput',
  database: 'app',
  activePid: 42,
  walStatus: 'reserved',
  invalidationReason: null,
  confirmedLsn: parseLsn('0/1000'),
  lagBytes: 500,
  retainedWalBytes: 1000,
  safeWalBytes: null,
  segmentBytes: 16 * 2 ** 20,
}
const SOURCE: SourceReport = {
  standby: false,
  database: 'app',
  identity: { systemIdentifier: '7', timeline: 1 },
  slot: SLOT,
  walBytesPerSecond: null,
}
const SETTINGS = { slot: 'ours', recovery: 'manual' } as const
const STATE: StateReport = {
  checkpoint: {
    systemIdentifier: '7',
    timeline: 1,
    slot: 'ours',
    tableOid: 5,
    lsn: parseLsn('0/1000'),
    pagesLsn: parseLsn('0/0'),
    era: 1,
    epoch: '3',
    advancedAt: 0,
    sinceAdvancedMs: 60 * MINUTES,
    doubtedAt: null,
  },
  owner: { backendPid: 1, clientAddress: null, since: null },
  senders: [
    {
      ...{ host: 'a', process: 2, backendPid: 3, startedAt: 0, silentMs: 0 },
      ...{ buckets: 64, inHand: 0, acceptedPerSecond: 0, news: null },
    },
  ],
  backfill: null,
  users: { count: 10, estimated: false },
  pending: {
    total: 0,
    dueNow: 0,
    parked: 0,
    atLeast: false,
    oldestAgeMs: null,
    oldestLiveAgeMs: null,
    retrying: { byCode: [], atLeast: false },
  },
  failed: { byCode: [], atLeast: false },
  leftOut: { byKey: [], atLeast: false },
  breaker: null,
  rejected: null,
}

interface Change {
  readonly slot?: Partial<SlotReport> | null
  readonly source?: Partial<SourceReport>
  readonly state?: Partial<StateReport>
}

function report({ slot = {}, source = {}, state = {} }: Change = {}): StatusReport {
  return {
    readAt: 0,
    source: { kind: 'read', ...SOURCE, slot: slot && { ...SLOT, ...slot }, ...source },
    state: { kind: 'read', ...STATE, ...state },
    suprsend: [],
  }
}

function codes(problems: readonly Problem[]): readonly string[] {
  return problems.map(({ code }) => code)
}

const { checkpoint, pending } = STATE
const [sender] = STATE.senders
if (checkpoint === null || pending === null || sender === undefined) throw new Error('both are given above')

test('all well, for as long as an idle source moves nothing', () => {
  expect(problemsOf(report(), SETTINGS)).toEqual([])
})

test('why nothing is captured: the first of the reasons, and none of what stops nobody', () => {
  expect(captureTrouble(report(), SETTINGS)).toBeNull()
  expect(captureTrouble(report({ slot: { retainedWalBytes: 9 * GB, safeWalBytes: GB } }), SETTINGS)).toBeNull()
  expect(captureTrouble(report({ state: { owner: null } }), SETTINGS)?.code).toBe('not_running')
  expect(captureTrouble(report({ state: { owner: null }, slot: null }), SETTINGS)?.code).toBe('slot_missing')
})

test.each<[string, Change]>([
  ['not_running', { state: { owner: null } }],
  ['not_streaming', { slot: { activePid: null } }],
  ['capture_stalled', { slot: { lagBytes: 20 * 2 ** 20 } }],
  ['first_start_unfinished', { state: { checkpoint: null } }],
  ['server_is_standby', { source: { standby: true, identity: null } }],
  ['slot_missing', { slot: null }],
  ['slot_lost', { slot: { invalidationReason: 'wal_removed', activePid: null } }],
  ['slot_wrong_plugin', { slot: { plugin: 'wal2json', activePid: null } }],
  ['slot_foreign', { slot: { database: 'other', activePid: null } }],
  ['slot_ahead', { slot: { confirmedLsn: parseLsn('0/1001') } }],
  ['slot_renamed', { state: { checkpoint: { ...checkpoint, slot: 'former' } } }],
  ['server_replaced', { source: { identity: { systemIdentifier: '8', timeline: 1 } } }],
  ['wal_budget_low', { slot: { retainedWalBytes: 9 * GB, safeWalBytes: GB } }],
  ['wal_budget_low', { slot: { walStatus: 'unreserved' } }],
  ['wal_retained', { slot: { retainedWalBytes: 2 * GB } }],
  ['breaker_open', { state: { breaker: { openedAt: 0, recent: 100, users: 200, held: null } } }],
  ['not_sending', { state: { senders: [] } }],
  ['sender_silent', { state: { senders: [{ ...sender, silentMs: 25_000 }] } }],
  ['users_unowned', { state: { senders: [{ ...sender, buckets: 60 }], pending: { ...pending, dueNow: 1 } } }],
  ['delivery_behind', { state: { pending: { ...pending, dueNow: 1, oldestLiveAgeMs: 6 * MINUTES } } }],
])('%s', (code, change) => {
  const problems = problemsOf(report(change), SETTINGS)
  expect(codes(problems)).toEqual([code])
  expect(problems[0]?.message).toMatch(/^[A-Z].*[.)]$/s)
})

test.each<[string, Change]>([
  ['a long queue of a backfill alone', { state: { pending: { ...pending, dueNow: 9, oldestAgeMs: 60 * MINUTES } } }],
  ['a role that may not ask who the server is', { source: { identity: null } }],
  ['much WAL within a limit', { slot: { retainedWalBytes: 2 * GB, safeWalBytes: 20 * GB } }],
  [
    'WAL that waits and moves',
    { slot: { lagBytes: GB }, state: { checkpoint: { ...checkpoint, sinceAdvancedMs: 9 } } },
  ],
  ['what could not be counted', { state: { pending: null, failed: null, leftOut: null, users: null } }],
])('no problem: %s', (_name, change) => {
  expect(problemsOf(report(change), SETTINGS)).toEqual([])
})

test('when the backlog is drained: by the pace of all senders; unknown while nothing is accepted', () => {
  const at = (acceptedPerSecond: number) => ({ ...sender, acceptedPerSecond })
  expect(drainMs({ ...pending, total: 900 }, [at(10), at(20)])).toBe(30_000)
  expect(drainMs({ ...pending, total: 900 }, [at(0)])).toBeNull()
  expect(drainMs(pending, [at(10)])).toBeNull()
})

test('users: each code with its own next step, those that wait before those that were set aside', () => {
  const problems = problemsOf(
    report({
      state: {
        pending: { ...pending, retrying: { byCode: [{ code: 'not_the_api', count: 3 }], atLeast: true } },
        failed: {
          byCode: [
            { code: 'invalid_value', count: 1 },
            { code: 'duplicate_distinct_id', count: 1200 },
            { code: 'of_a_later_version', count: 2 },
          ],
          atLeast: false,
        },
      },
    }),
    SETTINGS,
  )
  expect(problems.map(({ code, message, next }) => [code, message, next])).toEqual([
    [
      'not_the_api',
      `3 or more users wait for another attempt: ${ERROR_POLICY.not_the_api.message}.`,
      ERROR_POLICY.not_the_api.nextStep,
    ],
    ['invalid_value', '1 user is set aside: SuprSend refused a value.', ERROR_POLICY.invalid_value.nextStep],
    [
      'duplicate_distinct_id',
      `1,200 rows are no users: ${ROW_FAILURES.duplicate_distinct_id.message}.`,
      ROW_FAILURES.duplicate_distinct_id.nextStep,
    ],
    ['of_a_later_version', '2 users are set aside.', '`suprsync failed list` names them'],
  ])
  expect(problems.every(({ level }) => level === 'warning')).toBe(true)
})

describe('what could not be read', () => {
  const down = { kind: 'unreadable', code: 'unreachable', message: 'PostgreSQL cannot be reached: …' } as const

  test('stands first; the rest is still judged', () => {
    const both = { ...report({ state: { owner: null } }), source: down }
    expect(codes(problemsOf(both, SETTINGS))).toEqual(['source_unreachable', 'not_running'])
    expect(codes(problemsOf({ ...report({ slot: null }), state: down }, SETTINGS))).toEqual(['state_unreachable'])
  })

  test('a state that was never made is no error', () => {
    const problems = problemsOf({ ...report({ slot: null }), state: { kind: 'missing' } }, SETTINGS)
    expect(problems).toMatchObject([{ code: 'state_missing', level: 'warning' }])
  })

  test('findings about SuprSend are passed on', () => {
    const finding = { code: 'api_key_rejected', level: 'error', message: 'No.' } as const
    expect(problemsOf({ ...report(), suprsend: [finding] }, SETTINGS)).toEqual([{ ...finding, next: null }])
  })
})

test('every code has its line in docs/operations.md, and every line its code', () => {
  const root = new URL('../../../', import.meta.url)
  const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
  const start = [...read('src/core/start-decision.ts').matchAll(/\| '([a-z_]+)'/g)]
  const own = ['status-problems', 'senders'].flatMap((file) => [
    ...read(`src/core/${file}.ts`).matchAll(/code: '([a-z_]+)'/g),
  ])
  const given = new Set([...start, ...own].map(([, code]) => code))
  for (const what of ['source', 'state']) for (const why of ['unreachable', 'unreadable']) given.add(`${what}_${why}`)
  given.add('state_denied')
  for (const code of Object.keys(ROW_FAILURES)) given.add(code)
  const [, table = ''] = read('docs/operations.md').split('## At three in the morning')
  const cells = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].map(([, cell = '']) => cell)
  const listed = cells.flatMap((cell) => [...cell.matchAll(/`([a-z_]+)`/g)].map(([, code]) => code))
  expect(listed.toSorted()).toEqual([...given].toSorted())
})
