// `status --json`: names and units are stable and documented in docs/operations.md. Ages in seconds, sizes in bytes, instants
// in ISO 8601, LSNs in PostgreSQL's own spelling. null: could not be read, or there is none.

import type { Config } from '../config/config.ts'
import { backfillPace } from '../core/backfill-pace.ts'
import { formatLsn } from '../core/lsn.ts'
import { drainMs, type ReportedSender } from '../core/senders.ts'
import type { Problem } from '../core/status-problems.ts'
import { type CodeCounts, type StateReport, type StatusReport, totalOf } from '../core/status-report.ts'
import { invalidatedInMs } from '../core/wal-trend.ts'

export function statusJson(report: StatusReport, problems: readonly Problem[], config: Config): object {
  const { state, source, suprsend } = report
  return {
    ok: !problems.some(({ level }) => level === 'error'),
    read_at: instant(report.readAt),
    source: { reachable: source.kind === 'read', standby: source.kind === 'read' ? source.standby : null },
    state: { reachable: isReachable(state), made: state.kind === 'read', schema: config.state.schema },
    suprsend: { ok: !suprsend.some(({ level }) => level === 'error') },
    owner: state.kind === 'read' ? ownerJson(state) : null,
    senders: state.kind === 'read' ? state.senders.map(senderJson) : null,
    slot: slotJson(report, config.source.slot),
    checkpoint: state.kind === 'read' ? checkpointJson(state, report) : null,
    backfill: state.kind === 'read' ? backfillJson(state) : null,
    users: state.kind === 'read' && state.users ? state.users : null,
    pending: state.kind === 'read' ? pendingJson(state) : null,
    failed: state.kind === 'read' && state.failed ? codesJson(state.failed) : null,
    left_out:
      state.kind === 'read' && state.leftOut ? { at_least: state.leftOut.atLeast, by_key: state.leftOut.byKey } : null,
    breaker: state.kind === 'read' ? breakerJson(state) : null,
    rejected:
      state.kind === 'read' && state.rejected
        ? { total: state.rejected.count, at_least: state.rejected.atLeast }
        : null,
    problems,
  }
}

function breakerJson({ breaker }: StateReport): object {
  if (breaker === null) return { open: false }
  const { openedAt, recent, users, held } = breaker
  const counts = held && { deletions: held.deletions, channels: held.channels, at_least: held.atLeast }
  return { open: true, opened_at: instant(openedAt), losses: recent, users, held: counts }
}

function isReachable(state: StatusReport['state']): boolean {
  return state.kind !== 'unreadable' || state.code === 'denied'
}

function ownerJson({ owner }: StateReport): object {
  if (owner === null) return { running: false }
  return {
    running: true,
    backend_pid: owner.backendPid,
    client_address: owner.clientAddress,
    since: instant(owner.since),
  }
}

function senderJson(sender: ReportedSender): object {
  return {
    host: sender.host,
    pid: sender.process,
    backend_pid: sender.backendPid,
    since: instant(sender.startedAt),
    silent_s: seconds(sender.silentMs),
    buckets: sender.buckets,
    in_hand: sender.inHand,
    accepted_per_second: sender.acceptedPerSecond,
    suprsend: sender.news ?? 'open',
  }
}

function slotJson({ source }: StatusReport, name: string): object | null {
  if (source.kind !== 'read') return null
  const { slot, walBytesPerSecond } = source
  if (slot === null) return { name, exists: false }
  return {
    name,
    exists: true,
    active_pid: slot.activePid,
    wal_status: slot.walStatus,
    invalidation_reason: slot.invalidationReason,
    confirmed_lsn: slot.confirmedLsn === null ? null : formatLsn(slot.confirmedLsn),
    lag_bytes: slot.lagBytes,
    retained_wal_bytes: slot.retainedWalBytes,
    safe_wal_bytes: slot.safeWalBytes,
    wal_bytes_per_second: walBytesPerSecond === null ? null : Math.round(walBytesPerSecond),
    invalidated_in_s: seconds(invalidatedInMs(slot, walBytesPerSecond)),
  }
}

function checkpointJson({ checkpoint }: StateReport, { source }: StatusReport): object | null {
  if (checkpoint === null) return null
  const confirmed = source.kind === 'read' ? (source.slot?.confirmedLsn ?? null) : null
  return {
    lsn: formatLsn(checkpoint.lsn),
    slot: checkpoint.slot,
    era: checkpoint.era,
    epoch: Number(checkpoint.epoch),
    advanced_at: instant(checkpoint.advancedAt),
    since_advanced_s: seconds(checkpoint.sinceAdvancedMs),
    doubted_at: checkpoint.doubtedAt === null ? null : instant(checkpoint.doubtedAt),
    ahead_of_slot_bytes: confirmed === null ? null : Number(checkpoint.lsn - confirmed),
  }
}

function backfillJson({ backfill }: StateReport): object | null {
  if (backfill === null) return null
  const { rowsPerSecond, leftMs } = backfillPace(backfill)
  return {
    id: Number(backfill.id),
    table: backfill.source,
    running: backfill.finishedAt === null,
    reason: backfill.reason,
    rows_read: backfill.rowsRead,
    rows_estimated: backfill.rowsEstimated,
    rows_per_second: rowsPerSecond === null ? null : Math.round(rowsPerSecond),
    left_s: seconds(leftMs),
    unfinished: backfill.unfinished,
    started_at: instant(backfill.startedAt),
    finished_at: instant(backfill.finishedAt),
  }
}

function pendingJson({ pending, senders }: StateReport): object | null {
  if (pending === null) return null
  return {
    total: pending.total,
    at_least: pending.atLeast,
    due_now: pending.dueNow,
    parked: pending.parked,
    oldest_age_s: seconds(pending.oldestAgeMs),
    oldest_live_age_s: seconds(pending.oldestLiveAgeMs),
    drained_in_s: seconds(drainMs(pending, senders)),
    retrying: codesJson(pending.retrying),
  }
}

function codesJson(counts: CodeCounts): object {
  return { total: totalOf(counts), at_least: counts.atLeast, by_code: counts.byCode }
}

function instant(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms) / 1000
}
