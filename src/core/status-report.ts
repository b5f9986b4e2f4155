// What `status` knows after it has asked state, source and SuprSend: one value, from which the text, the JSON and the list
// of problems are made. Ids, codes and figures only, never a value of a profile (P8).
import type { OpenBreaker } from './breaker.ts'
import type { Finding } from './finding.ts'
import type { Lsn } from './lsn.ts'
import type { ReportedSender } from './senders.ts'
import type { KnownCheckpoint } from './start-decision.ts'

export interface StatusReport {
  /** Milliseconds since 1970. */
  readonly readAt: number
  readonly state: StateReading
  readonly source: SourceReading
  readonly suprsend: readonly Finding[]
}

export interface Unreadable {
  readonly kind: 'unreadable'
  readonly code: string
  readonly message: string
}

export type StateReading =
  | Unreadable
  /** The schema or its tables are not there: nothing ever ran, or they were dropped. */
  | { readonly kind: 'missing' }
  | ({ readonly kind: 'read' } & StateReport)

export type SourceReading = Unreadable | ({ readonly kind: 'read' } & SourceReport)

export interface StateReport {
  /** Null: the first start has not come so far. */
  readonly checkpoint: ReportedCheckpoint | null
  /** The session that holds the lock of capture; null: no process captures. */
  readonly owner: LockHolder | null
  readonly senders: readonly ReportedSender[]
  readonly backfill: ReportedBackfill | null
  // Null where the count took too long.
  readonly users: UserCount | null
  readonly pending: PendingReport | null
  readonly failed: CodeCounts | null
  readonly leftOut: LeftOutCounts | null
  /** Null while it is closed. */
  readonly breaker: (OpenBreaker & { readonly held: HeldUsers | null }) | null
  /** Null where the count took too long. */
  readonly rejected: RejectedUsers | null
}

/** Users whose loss the breaker holds. */
export interface HeldUsers {
  readonly deletions: number
  readonly channels: number
  /** Counting stopped there. */
  readonly atLeast: boolean
}

/** Users who stay as SuprSend has them because their loss was rejected. */
export interface RejectedUsers {
  readonly count: number
  readonly atLeast: boolean
}

export interface ReportedCheckpoint extends KnownCheckpoint {
  readonly era: number
  readonly epoch: string
  /** When it last moved, and how long ago, by the clock of the state's database. */
  readonly advancedAt: number
  readonly sinceAdvancedMs: number
  /** Since when the state may have forgotten what was sent; null: it has not. */
  readonly doubtedAt: number | null
}

export interface LockHolder {
  /** Of its session on the state's server, not of the service's process. */
  readonly backendPid: number
  readonly clientAddress: string | null
  /** Milliseconds since 1970; null where the role may not see it. */
  readonly since: number | null
}

/** The run in progress, else the last one. */
export interface ReportedBackfill {
  readonly id: string
  /** The table's name, as it stands in state. */
  readonly source: string
  readonly reason: string
  readonly rowsRead: number
  /** The planner's row count when it began. */
  readonly rowsEstimated: number | null
  readonly startedAt: number
  /** Since its first page, by the clock of the state's database; null: none is stored. */
  readonly readingMs: number | null
  readonly finishedAt: number | null
  /** Runs that are not at their end, this one among them. */
  readonly unfinished: number
}

export interface UserCount {
  readonly count: number
  /** From the planner's statistics: too many to be counted. */
  readonly estimated: boolean
}

export interface PendingReport {
  readonly total: number
  readonly dueNow: number
  /** Wait until everything is read under the new mapping (core/parking.ts). */
  readonly parked: number
  /** Counting stopped there: there are at least so many. */
  readonly atLeast: boolean
  /** Null: none is pending. */
  readonly oldestAgeMs: number | null
  /** Of live edits alone, without what a backfill found. */
  readonly oldestLiveAgeMs: number | null
  /** Pending after a failed attempt. */
  readonly retrying: CodeCounts
}

export interface CodeCounts {
  readonly byCode: readonly { readonly code: string; readonly count: number }[]
  readonly atLeast: boolean
}

export interface LeftOutCounts {
  readonly byKey: readonly { readonly key: string; readonly code: string; readonly count: number }[]
  readonly atLeast: boolean
}

export interface SourceReport {
  readonly standby: boolean
  readonly database: string
  /** Null where the role may not ask. */
  readonly identity: { readonly systemIdentifier: string; readonly timeline: number } | null
  readonly slot: SlotReport | null
  /** How fast WAL grows, bytes a second; null: it was not measured, for nothing limits what the slot may cost. */
  readonly walBytesPerSecond: number | null
}

export interface SlotReport {
  readonly name: string
  readonly plugin: string | null
  readonly database: string | null
  readonly activePid: number | null
  readonly walStatus: string | null
  readonly invalidationReason: string | null
  readonly confirmedLsn: Lsn | null
  /** WAL that is not confirmed. */
  readonly lagBytes: number | null
  /** WAL that the server keeps for the slot. */
  readonly retainedWalBytes: number | null
  /** WAL that may still be written before the slot can be lost; null without a limit. */
  readonly safeWalBytes: number | null
  readonly segmentBytes: number
}

export function totalOf(counts: { readonly byCode: CodeCounts['byCode'] }): number {
  return counts.byCode.reduce((sum, { count }) => sum + count, 0)
}
