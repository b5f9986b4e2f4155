// What `reconcile` found, as people read it and as JSON lines. Ids, keys and counts only, never a value (P8); ids and keys come from
// rows: what could write to the terminal is spelt out.
import { showName } from '../core/masking.ts'
import { isDrift } from '../core/reconcile.ts'
import { driftedUsers, type ReconcileSummary } from '../core/reconcile-summary.ts'
import { printable } from './failed-text.ts'
import type { ReconciledUser } from './reconcile-run.ts'

export interface ReconcileEnd {
  readonly summary: ReconcileSummary
  readonly repair: boolean
  readonly serviceRunning: boolean
}

/** Of whom more is to be said than how many there are. */
export function isRemarkable({ verdict: { kind } }: ReconciledUser): boolean {
  return isDrift(kind) || kind === 'not_compared'
}

/** Without a newline at its end. */
export function formatReconciled(user: ReconciledUser): string {
  return [`${printable(user.distinctId)}  ${sentence(user)}`, ...notes(user)].join('\n')
}

function sentence({ row, verdict }: ReconciledUser): string {
  const { kind, different, extra, failure } = verdict
  switch (kind) {
    case 'same':
      return row === null ? 'same: SuprSend holds nothing of ours' : 'same'
    case 'missing':
      return 'missing: SuprSend does not have the user'
    case 'extra':
      return row === null ? 'extra: no row holds the user, SuprSend does' : `extra: ${list(extra)}`
    case 'different':
      return extra.length === 0
        ? `different: ${list(different)}`
        : `different: ${list(different)}; extra: ${list(extra)}`
    case 'pending':
      return 'pending: waits to be sent, or is being sent'
    case 'not_captured':
      return 'pending: the service has not got the row yet as it is'
    case 'set_aside':
      return 'set aside: `suprsync failed list` says why'
    case 'kept':
      return 'kept on purpose: `on_delete: keep`, or `suprsync reject`'
    case 'unknown':
      return 'not known to the service yet: the backfill sends it'
    case 'not_compared':
      return `not compared: ${failure?.message ?? ''}`
  }
}

function notes({ distinctId, stale, repaired }: ReconciledUser): readonly string[] {
  if (repaired) return ['  due again']
  const read = `suprsync backfill --user ${printable(distinctId)}`
  return stale ? [`  not to be repaired by sending: the state has the row otherwise. \`${read}\` reads it again`] : []
}

function list(keys: readonly string[]): string {
  return names(keys).map(printable).join(', ')
}

export function formatReconcileSummary({ summary, repair, serviceRunning }: ReconcileEnd): string {
  const { users, keys, failures, repaired } = summary
  const compared = users.same + driftedUsers(summary)
  const passed = [
    [users.pending + users.not_captured, 'pending'],
    [users.set_aside, 'set aside'],
    [users.kept, 'kept on purpose'],
    [users.unknown, 'not known to the service yet'],
    [users.not_compared, 'of whom SuprSend could not be asked'],
  ].flatMap(([number, what]) => (number === 0 ? [] : [`${count(Number(number))} ${what}`]))
  const found = [
    `${count(users.same)} same`,
    `${count(users.missing)} missing`,
    `${count(users.extra)} extra`,
    `${count(users.different)} different`,
  ]
  return [
    `${count(compared)} ${compared === 1 ? 'user' : 'users'} compared: ${found.join(', ')}.`,
    ...(passed.length === 0 ? [] : [`not compared: ${passed.join(', ')}`]),
    ...keys.map((each) => `${each.kind.padEnd(10)} ${count(each.count)} ${printable(showName(each.key, 'masked'))}`),
    ...failures.map((each) => `GET failed ${count(each.count)} ${each.code}`),
    ...(repair ? [repairLine(repaired, serviceRunning)] : advice(summary)),
  ].join('\n')
}

function repairLine(repaired: number, running: boolean): string {
  if (repaired === 0) return 'Nothing was repaired.'
  const users = repaired === 1 ? '1 user is' : `${count(repaired)} users are`
  return `${users} due again; ${running ? 'the running service sends them now' : 'no service is running: they are sent when it starts'}.`
}

function advice(summary: ReconcileSummary): readonly string[] {
  return driftedUsers(summary) === 0 ? [] : ['Nothing was changed; --repair has them sent again.']
}

/** Names are stable: docs/operations.md. */
export function reconciledJson({ distinctId, row, verdict, stale, repaired }: ReconciledUser): object {
  const { kind, different, extra, failure } = verdict
  return {
    type: 'user',
    id: distinctId,
    row,
    result: kind,
    ...{ different: names(different), extra: names(extra) },
    stale,
    repaired,
    failure,
  }
}

export function reconcileSummaryJson({ summary, serviceRunning }: ReconcileEnd): object {
  const { users, failures, repaired } = summary
  const keys = summary.keys.map((each) => ({ ...each, key: showName(each.key, 'masked') }))
  return { type: 'summary', users, keys, failures, repaired, service_running: serviceRunning }
}

/** A member of a row's own object may be named by an address (core/masking.ts). */
function names(keys: readonly string[]): readonly string[] {
  return keys.map((key) => showName(key, 'masked'))
}

function count(number: number): string {
  return number.toLocaleString('en-US')
}
