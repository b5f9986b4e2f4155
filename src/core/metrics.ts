// The port through which the rooms count and measure. What is behind it (ops/metrics.ts) is Prometheus; callers give
// milliseconds and plain counts, and never a value of a profile as a label.

import type { RequestKind } from './api.ts'
import type { HostState } from './host-state.ts'
import type { Lsn } from './lsn.ts'
import type { DriftKind } from './reconcile.ts'

export type ChangeKind = 'insert' | 'update' | 'delete' | 'truncate'

/**
 * Why a streamed change was not written: nothing mapped differs; it had been committed to state before; a page or a later
 * change of its row is newer.
 */
export type SkipReason = 'unmapped_noop' | 'replay' | 'older'

/** A 2xx without the user object that it should bring; an error without a message. */
export type UnreadableKind = 'no_user' | 'no_message'

/** What a sender may do at this moment. */
export interface LimiterReading {
  /** null: as fast as SuprSend takes them. */
  readonly ratePerSecond: number | null
  readonly inFlightLimit: number
  /** Part of its limits that it uses: 1 = all. */
  readonly share: number
  /** null: nothing was answered yet. */
  readonly latencyMs: number | null
  /** Until somebody may send again; 0: now. */
  readonly throttledMs: number
}

export interface Metrics {
  capturedChanges(kind: ChangeKind, count: number): void
  skippedChanges(reason: SkipReason, count: number): void
  capturedTransactions(count: number): void
  stateCommit(durationMs: number): void
  /** A mapped value failed its format. `key` is the profile's key, `reason` the code. */
  valueLeftOut(key: string, reason: string): void
  backfillRows(count: number): void
  /** `status`: the HTTP status, or `unsent` or `unclear` when there was no answer. */
  apiRequest(kind: RequestKind, status: number | 'unsent' | 'unclear', durationMs: number): void
  /** An answer that does not tell what it should. */
  unreadableAnswer(kind: UnreadableKind): void
  /** From the row's commit on the source to SuprSend's 2xx. */
  accepted(commitToAcceptedMs: number): void
  /** How many buckets of users this process sends, of 64, and how many senders there are. */
  sharing(now: { readonly buckets: number; readonly senders: number }): void
  requestsInFlight(count: number): void
  drift(): void
  /** A settled user was compared with what SuprSend holds. */
  reconciled(result: 'same' | DriftKind | 'failed'): void
  hostState(state: HostState['kind']): void
  /** Asked for at each scrape; a later one replaces it, null ends it: nobody sends. */
  watchLimiter(read: (() => LimiterReading) | null): void
  captureActive(active: boolean): void
  lastCommitLsn(lsn: Lsn): void
}

export const NO_METRICS: Metrics = {
  capturedChanges: () => undefined,
  skippedChanges: () => undefined,
  capturedTransactions: () => undefined,
  stateCommit: () => undefined,
  valueLeftOut: () => undefined,
  backfillRows: () => undefined,
  apiRequest: () => undefined,
  unreadableAnswer: () => undefined,
  accepted: () => undefined,
  sharing: () => undefined,
  requestsInFlight: () => undefined,
  drift: () => undefined,
  reconciled: () => undefined,
  hostState: () => undefined,
  watchLimiter: () => undefined,
  captureActive: () => undefined,
  lastCommitLsn: () => undefined,
}
