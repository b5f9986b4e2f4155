// What is wrong, told from what `status` has read, and what to do about each: from what has to be mended first. Pure. The
// codes are stable and stand in docs/operations.md; those of failed users are the ones of error-policy.ts and failed-row.ts.
import { ERROR_POLICY } from './error-policy.ts'
import { isRowFailure, ROW_FAILURES } from './failed-row.ts'
import { later } from './lsn.ts'
import { senderProblems } from './senders.ts'
import { isCaughtUp, slotLagMs, walBudget } from './slot-lag.ts'
import { decideStart, type FoundServer, type KnownCheckpoint, type Recovery } from './start-decision.ts'
import type { SlotReport, SourceReport, StateReport, StatusReport } from './status-report.ts'

export interface Problem {
  readonly code: string
  /** `error`: changes do not reach SuprSend, or soon will not. `warning`: some do not, or it may become one. */
  readonly level: 'error' | 'warning'
  readonly message: string
  /** Null where the message says it. */
  readonly next: string | null
}

/** Longer than any backoff or restart of capture takes. */
const STALLED_MS = 5 * 60_000
const BEHIND_MS = 5 * 60_000
const MUCH_WAL_BYTES = 2 ** 30

/** As the configuration has them. */
export interface Settings {
  readonly slot: string
  readonly recovery: Recovery
}

export function problemsOf(report: StatusReport, settings: Settings): readonly Problem[] {
  const { state, source, suprsend } = report
  const { before, running } = troublesOf(report, settings)
  const problems: Problem[] = [...before]
  const known = state.kind === 'read' ? state : null
  if (source.kind === 'read' && source.slot) problems.push(...walProblems(source.slot))
  problems.push(...running)
  for (const { code, level, message } of suprsend) problems.push({ code, level, message, next: null })
  if (known?.breaker) problems.push(BREAKER_OPEN)
  if (known?.checkpoint?.doubtedAt != null) problems.push(WENT_BACK)
  if (known !== null && known.owner !== null) problems.push(...senderProblems(known.senders, known.pending))
  if (known) problems.push(...userProblems(known))
  return problems
}

/** Why nothing is captured at present, the first of the reasons; null: it is, as far as it can be told from outside. */
export function captureTrouble(report: Databases, settings: Settings): Problem | null {
  const { before, running } = troublesOf(report, settings)
  return before[0] ?? running[0] ?? null
}

type Databases = Pick<StatusReport, 'state' | 'source'>

/** `before` anybody can capture, and of who should. */
function troublesOf(
  { state, source }: Databases,
  settings: Settings,
): { readonly before: readonly Problem[]; readonly running: readonly Problem[] } {
  const before: Problem[] = []
  if (source.kind === 'unreadable') before.push(unreadable(source, 'source'))
  if (state.kind === 'unreadable') before.push(unreadable(state, 'state'))
  if (state.kind === 'missing') before.push(NEVER_RAN)
  const known = state.kind === 'read' ? state : null
  const start = source.kind === 'read' ? startProblems(source, known, settings) : []
  before.push(...start)
  // What cannot start cannot stream either: that is said once.
  const streams = known && source.kind === 'read' && start.length === 0 ? captureProblems(source, known) : []
  return { before, running: [...(known ? ownerProblems(known) : []), ...streams] }
}

function unreadable({ code, message }: { readonly code: string; readonly message: string }, what: string): Problem {
  return { code: `${what}_${code}`, level: 'error', message, next: '`suprsync check` says more' }
}

const NEVER_RAN: Problem = {
  code: 'state_missing',
  level: 'warning',
  message: 'There is no state: suprsync has never run here, or its schema was dropped.',
  next: 'run `suprsync check`, then start `suprsync run`',
}

export const WENT_BACK: Problem = {
  code: 'state_went_back',
  level: 'warning',
  message:
    'The state may be older than what SuprSend was sent: a standby was promoted with it, or it was restored. What was sent since is known to nobody here.',
  next: '`suprsync reconcile --all --repair` compares everybody, and ends this warning',
}

const BREAKER_OPEN: Problem = {
  code: 'breaker_open',
  level: 'error',
  message: 'More users or channels went than is believed at once: what they lose is held, everything else is sent.',
  next: 'find out what happened to the table; then `suprsync approve`, or `suprsync reject` to keep the users',
}

/** What keeps capture from starting, or from going on after its next reconnect. */
function startProblems(
  source: SourceReport,
  state: StateReport | null,
  { slot: slotName, recovery }: Settings,
): readonly Problem[] {
  if (source.standby) {
    const message = 'The source is a standby: nothing is captured from it.'
    return [{ code: 'server_is_standby', level: 'error', message, next: 'let source.url lead to the primary' }]
  }
  const { slot, database } = source
  const checkpoint: KnownCheckpoint | null = state?.checkpoint ?? null
  const known = { systemIdentifier: checkpoint?.systemIdentifier ?? '', timeline: checkpoint?.timeline ?? 0 }
  const server: FoundServer = {
    ...(source.identity ?? known),
    // Where timelines parted only the service asks; what it sees at its start is more than what is looked at here.
    switchLsn: checkpoint && later(checkpoint.lsn, checkpoint.pagesLsn),
    walLsn: null,
    database,
    tableOid: null,
    published: null,
    unreadable: null,
    slot: slot && {
      plugin: slot.plugin,
      database: slot.database,
      confirmedFlushLsn: slot.confirmedLsn,
      lost: slot.walStatus === 'lost' || slot.invalidationReason !== null,
      ours: true, // whether it may be adopted is asked at start
      active: false,
    },
  }
  const decision = decideStart({ slot: slotName, create: true, recovery, checkpoint, server })
  switch (decision.kind) {
    case 'stop':
      return [{ code: decision.code, level: 'error', message: decision.message, next: null }]
    case 'recover': {
      const next = '`suprsync run` recovers by itself at its next attempt: it reads every row again'
      return [{ code: decision.code, level: 'error', message: decision.message, next }]
    }
    default:
      return []
  }
}

const HOLDS_WAL =
  'capture has caught up: a transaction that stays open keeps the WAL. SELECT pid, xact_start, state, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start'

function walProblems(slot: SlotReport): readonly Problem[] {
  if (slot.walStatus === 'lost' || slot.invalidationReason !== null) return []
  const cause = isCaughtUp(slot) ? HOLDS_WAL : 'let capture catch up (below)'
  const budget = walBudget(slot)
  if (budget !== 'enough') {
    const spent = 'The slot has used up max_slot_wal_keep_size: the server may invalidate it at any moment.'
    const low = 'Little is left of max_slot_wal_keep_size before the server invalidates the slot.'
    const next = `${cause}; or raise max_slot_wal_keep_size now: ALTER SYSTEM and pg_reload_conf()`
    return [{ code: 'wal_budget_low', level: 'error', message: budget === 'spent' ? spent : low, next }]
  }
  if (slot.safeWalBytes !== null || (slot.retainedWalBytes ?? 0) <= MUCH_WAL_BYTES) return []
  return [
    {
      code: 'wal_retained',
      level: 'warning',
      message: 'The server keeps more than 1 GB of WAL for the slot, and nothing limits it.',
      next: `${cause}; else the disk of the database fills up`,
    },
  ]
}

function ownerProblems({ owner, senders, checkpoint }: StateReport): readonly Problem[] {
  if (owner === null) {
    const message =
      senders.length === 0
        ? 'No process runs: nothing is captured, nothing is sent.'
        : 'No process captures: what waits is sent, and nothing new comes.'
    const next = 'start `suprsync run`; changes wait in the WAL until then'
    return [{ code: 'not_running', level: 'error', message, next }]
  }
  if (checkpoint !== null) return []
  const message = 'There is no checkpoint yet: the first start has not finished.'
  return [
    { code: 'first_start_unfinished', level: 'warning', message, next: "the service's log says what it waits for" },
  ]
}

function captureProblems({ slot }: SourceReport, { owner, checkpoint }: StateReport): readonly Problem[] {
  if (slot === null || owner === null || checkpoint === null) return []
  if (slot.activePid === null) {
    return [
      {
        code: 'not_streaming',
        level: 'error',
        message: 'A process holds the lock of capture, but nobody streams from the slot.',
        next: "look again in a minute; else the service's log and `suprsync check` name the cause",
      },
    ]
  }
  if (slotLagMs(slot, checkpoint.sinceAdvancedMs) < STALLED_MS) return []
  return [
    {
      code: 'capture_stalled',
      level: 'error',
      message: 'WAL waits, and the checkpoint has not moved for more than 5 minutes.',
      next: "look for a long transaction on the source, at the state's database and at the service's log; then restart it",
    },
  ]
}

function userProblems({ senders, pending, failed }: StateReport): readonly Problem[] {
  const problems: Problem[] = []
  if (pending && senders.length > 0 && pending.dueNow > 0 && (pending.oldestLiveAgeMs ?? 0) > BEHIND_MS) {
    problems.push({
      code: 'delivery_behind',
      level: 'warning',
      message: 'An edit has waited for more than 5 minutes to be sent.',
      next: 'SuprSend refuses, slows down or does not answer (see the others), or suprsend.max_requests_per_second is low',
    })
  }
  for (const { code, count } of pending?.retrying.byCode ?? []) {
    const policy = policyOf(code)
    const who = count === 1 ? '1 user waits' : `${many(count, pending?.retrying.atLeast)} users wait`
    const message = `${who} for another attempt${policy ? `: ${policy.message}` : ''}.`
    problems.push({ code, level: 'warning', message, next: policy?.nextStep ?? null })
  }
  for (const { code, count } of failed?.byCode ?? []) {
    const amount = many(count, failed?.atLeast)
    if (isRowFailure(code)) {
      const { message, nextStep } = ROW_FAILURES[code]
      const rows = count === 1 ? '1 row is no user' : `${amount} rows are no users`
      problems.push({ code, level: 'warning', message: `${rows}: ${message}.`, next: nextStep })
      continue
    }
    const policy = policyOf(code)
    const who = count === 1 ? '1 user is' : `${amount} users are`
    const message = `${who} set aside${policy ? `: ${policy.message}` : ''}.`
    problems.push({ code, level: 'warning', message, next: policy?.nextStep ?? '`suprsync failed list` names them' })
  }
  return problems
}

function many(count: number, atLeast: boolean | undefined): string {
  return `${count.toLocaleString('en-US')}${atLeast ? ' or more' : ''}`
}

function policyOf(code: string) {
  return Object.hasOwn(ERROR_POLICY, code) ? ERROR_POLICY[code as keyof typeof ERROR_POLICY] : undefined
}
