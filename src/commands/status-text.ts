// `status` as a person reads it: one aligned line a subject, then each problem with what to do about it.

import type { Config } from '../config/config.ts'
import { backfillPace } from '../core/backfill-pace.ts'
import { BUCKETS } from '../core/buckets.ts'
import { formatLsn } from '../core/lsn.ts'
import { drainMs, type ReportedSender } from '../core/senders.ts'
import type { Problem } from '../core/status-problems.ts'
import {
  type PendingReport,
  type ReportedBackfill,
  type ReportedCheckpoint,
  type SourceReport,
  type StateReport,
  type StatusReport,
  totalOf,
} from '../core/status-report.ts'
import { invalidatedInMs } from '../core/wal-trend.ts'
import { formatDuration } from '../ops/progress-text.ts'

type Line = readonly [label: string, text: string]

/** Without a newline at its end. */
export function formatStatus(
  report: StatusReport,
  problems: readonly Problem[],
  { config, terminal }: { readonly config: Config; readonly terminal: boolean },
): string {
  const { source, state, suprsend } = report
  const lines: Line[] = [['source', source.kind === 'read' ? 'reachable' : 'cannot be read']]
  if (source.kind === 'read') lines.push(...slotLines(source, config.source.slot))
  if (state.kind === 'unreadable') lines.push(['state', 'cannot be read'])
  if (state.kind === 'missing') lines.push(['state', `the schema ${config.state.schema} has never been made`])
  if (state.kind === 'read') lines.push(...stateLines(state, report))
  lines.push(['suprsend', suprsend.length === 0 ? 'reachable, the key is accepted' : 'see below'])
  const width = Math.max(...lines.map(([label]) => label.length))
  const body = lines.map(([label, text]) => `${label.padEnd(width)}  ${text}`)
  return [...body, '', ...problemLines(problems, terminal)].join('\n')
}

function slotLines({ slot, walBytesPerSecond }: SourceReport, name: string): readonly Line[] {
  if (slot === null) return [['slot', `${name} does not exist`]]
  const activity = slot.activePid === null ? 'nobody streams' : `streamed by backend ${slot.activePid}`
  const state = slot.invalidationReason ?? slot.walStatus ?? 'nothing reserved'
  const inMs = invalidatedInMs(slot, walBytesPerSecond)
  const pace = inMs === null ? '' : `, ${formatDuration(inMs)} as WAL grows now`
  const left = slot.safeWalBytes === null ? '' : `, ${bytes(slot.safeWalBytes)} left until it is invalidated${pace}`
  return [
    ['slot', `${slot.name}, ${activity}, ${state}`],
    ['', `${size(slot.lagBytes)} not confirmed, ${size(slot.retainedWalBytes)} of WAL kept${left}`],
  ]
}

function stateLines(state: StateReport, report: StatusReport): readonly Line[] {
  const { owner, senders, checkpoint, backfill, users, pending, failed, leftOut, breaker, rejected } = state
  const since = owner?.since == null ? '' : ` since ${instant(owner.since)}`
  const from = owner?.clientAddress == null ? '' : ` from ${owner.clientAddress}`
  const lines: Line[] = [
    ['service', owner ? `running${since}${from} (backend ${owner.backendPid} captures)` : notCapturing(senders)],
    ...senders.map((sender, nth): Line => [nth === 0 ? 'senders' : '', senderText(sender)]),
    ['checkpoint', checkpoint ? checkpointText(checkpoint, report) : 'none yet'],
  ]
  if (backfill) lines.push(['backfill', backfillText(backfill, report.readAt)])
  const known = users === null ? 'not counted in time' : `${users.estimated ? '~' : ''}${count(users.count)} known`
  lines.push(
    ['users', known],
    ['pending', pending ? pendingText(pending, drainMs(pending, senders)) : 'not counted in time'],
  )
  lines.push(['failed', failed ? count(totalOf(failed), failed.atLeast) : 'not counted in time'])
  for (const { code, count: users } of failed?.byCode ?? []) lines.push(['', `${count(users)} ${code}`])
  if (breaker) lines.push(['breaker', breakerText(breaker)])
  if (rejected && rejected.count > 0)
    lines.push([
      'rejected',
      `${count(rejected.count, rejected.atLeast)} stay as SuprSend has them (\`suprsync reject\`)`,
    ])
  lines.push(['left out', leftOutTotal(leftOut)])
  for (const { key, code, count: values } of leftOut?.byKey ?? []) lines.push(['', `${count(values)} ${key} ${code}`])
  return lines
}

function breakerText({ openedAt, recent, users, held }: NonNullable<StateReport['breaker']>): string {
  const what = held
    ? `${count(held.deletions, held.atLeast)} deletions and ${count(held.channels, held.atLeast)} emptied channels are held`
    : 'what is held was not counted in time'
  return `OPEN since ${instant(openedAt)}, tripped by ${count(recent)} losses of ${count(users)} users; ${what}`
}

function checkpointText(checkpoint: ReportedCheckpoint, { source }: StatusReport): string {
  const confirmed = source.kind === 'read' ? (source.slot?.confirmedLsn ?? null) : null
  const ahead = confirmed === null ? null : Number(checkpoint.lsn - confirmed)
  const slot =
    ahead === null ? '' : ahead === 0 ? ', as the slot' : `, ${bytes(Math.abs(ahead))} ${side(ahead)} the slot`
  return `${formatLsn(checkpoint.lsn)}, moved ${formatDuration(checkpoint.sinceAdvancedMs)} ago${slot}`
}

function side(ahead: number): string {
  return ahead > 0 ? 'ahead of' : 'BEHIND'
}

function backfillText(backfill: ReportedBackfill, now: number): string {
  const estimate = backfill.rowsEstimated === null ? '' : ` of ~${count(backfill.rowsEstimated)}`
  const rows = `${count(backfill.rowsRead)}${backfill.finishedAt === null ? estimate : ''} rows of ${backfill.source} read (${backfill.reason})`
  if (backfill.finishedAt !== null) return `finished ${instant(backfill.finishedAt)}, ${rows}`
  const { rowsPerSecond, leftMs } = backfillPace(backfill)
  const pace = rowsPerSecond === null ? '' : `, ${count(rowsPerSecond)}/s`
  const left = leftMs === null ? '' : `, ${formatDuration(leftMs)} left`
  const others = backfill.unfinished > 1 ? `; ${count(backfill.unfinished - 1)} more to be read` : ''
  return `${rows}${pace}${left}, asked for ${formatDuration(now - backfill.startedAt)} ago${others}`
}

function notCapturing(senders: readonly ReportedSender[]): string {
  return senders.length === 0 ? 'not running' : 'nobody captures'
}

function senderText(sender: ReportedSender): string {
  const { host, process, buckets, inHand, acceptedPerSecond, news } = sender
  const what = news === null ? '' : news === 'throttled' ? ', told to slow down' : ', the key is refused'
  return `${host} process ${process}: ${buckets} of ${BUCKETS} parts, ${count(inHand)} users in hand, ${acceptedPerSecond}/s${what}`
}

function pendingText(pending: PendingReport, drainedInMs: number | null): string {
  if (pending.total === 0) return '0'
  const parts = [`${count(pending.dueNow, pending.atLeast)} due now`]
  if (pending.parked > 0) parts.push(`${count(pending.parked, pending.atLeast)} wait for the new mapping to be read`)
  const retrying = totalOf(pending.retrying)
  if (retrying > 0) parts.push(`${count(retrying, pending.retrying.atLeast)} after a failed attempt`)
  if (pending.oldestAgeMs !== null) parts.push(`the oldest for ${formatDuration(pending.oldestAgeMs)}`)
  if (drainedInMs !== null) parts.push(`drained in ${formatDuration(drainedInMs)} at this pace`)
  return `${count(pending.total, pending.atLeast)} (${parts.join(', ')})`
}

function leftOutTotal(leftOut: StateReport['leftOut']): string {
  if (leftOut === null) return 'not counted in time'
  const total = leftOut.byKey.reduce((sum, each) => sum + each.count, 0)
  return `${count(total, leftOut.atLeast)} value${total === 1 ? '' : 's'}`
}

const MARKS: Readonly<Record<Problem['level'], string>> = { error: '✗', warning: '!' }

function problemLines(problems: readonly Problem[], terminal: boolean): readonly string[] {
  if (problems.length === 0) return [terminal ? '✓ No problem found.' : 'No problem found.']
  return problems.flatMap(({ code, level, message, next }) => {
    const mark = terminal ? MARKS[level] : level
    const indent = ' '.repeat(mark.length + 1)
    return [`${mark} ${code}: ${message}`, ...(next === null ? [] : [`${indent}next: ${next}`])]
  })
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const

/** As PostgreSQL counts: 1 kB is 1024 bytes. */
function bytes(value: number): string {
  const power = value < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(value) / 10))
  const scaled = value / 1024 ** power
  return `${power === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${UNITS[power]}`
}

function size(value: number | null): string {
  return value === null ? 'unknown' : bytes(value)
}

function count(value: number, atLeast = false): string {
  return `${value.toLocaleString('en-US')}${atLeast ? '+' : ''}`
}

function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}
