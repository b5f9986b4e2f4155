// What `status` knows of the senders, and what follows: when the backlog is drained at their pace, and what is wrong with them. Pure.
import { BUCKETS } from './buckets.ts'
import type { Problem } from './status-problems.ts'
import type { PendingReport } from './status-report.ts'

export interface ReportedSender {
  readonly host: string
  /** Of the operating system, on that host. */
  readonly process: number
  /** Of its session on the state's server. */
  readonly backendPid: number
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** Since it last said that it makes progress. */
  readonly silentMs: number
  /** Of 64. */
  readonly buckets: number
  readonly inHand: number
  readonly acceptedPerSecond: number
  /** What SuprSend answered it that holds for all. */
  readonly news: 'throttled' | 'unauthorized' | null
}

/** A sender says every few seconds that it makes progress. */
const SILENT_MS = 20_000

/** @returns milliseconds, if nothing more is added; null: nothing waits, or nothing is accepted. */
export function drainMs(pending: PendingReport, senders: readonly ReportedSender[]): number | null {
  const perSecond = senders.reduce((sum, { acceptedPerSecond }) => sum + acceptedPerSecond, 0)
  return pending.total === 0 || perSecond <= 0 ? null : (pending.total * 1000) / perSecond
}

/** @param pending null: not counted. */
export function senderProblems(senders: readonly ReportedSender[], pending: PendingReport | null): readonly Problem[] {
  if (senders.length === 0) {
    return [
      {
        code: 'not_sending',
        level: (pending?.total ?? 0) > 0 ? 'error' : 'warning',
        message: 'No process sends: changes are captured, and wait.',
        next: 'start `suprsync run` or `suprsync run --role deliver`',
      },
    ]
  }
  const problems: Problem[] = []
  for (const { host, process, silentMs } of senders.filter((sender) => sender.silentMs > SILENT_MS)) {
    problems.push({
      code: 'sender_silent',
      level: 'warning',
      message: `The sender ${process} on ${host} has made no progress for ${Math.round(silentMs / 1000)} s.`,
      next: 'after a minute another sender takes its users; look at its host and its log',
    })
  }
  const owned = senders.reduce((sum, { buckets }) => sum + buckets, 0)
  if (owned < BUCKETS && (pending?.dueNow ?? 0) > 0) {
    problems.push({
      code: 'users_unowned',
      level: 'warning',
      message: `Of the users, ${BUCKETS - owned} of ${BUCKETS} parts are nobody's at the moment: they wait.`,
      next: 'look again in a few seconds: whoever is there takes them; after a host vanished, in two minutes',
    })
  }
  return problems
}
