// The gauges that have to be asked for at a scrape: of the state what is pending and failed, of the source what the slot keeps.
// Guarantees that neither database is asked a second time while it still owes an answer, that one that does not answer costs
// only its own gauges, and that no question is a burden: bounded counts, bounded time.
import { backfillPace } from '../core/backfill-pace.ts'
import type { Logger } from '../core/logger.ts'
import { slotLagMs, walBudget } from '../core/slot-lag.ts'
import type { CodeCounts, PendingReport, ReportedBackfill, SlotReport } from '../core/status-report.ts'
import { invalidatedInMs, type WalSample, walRate, walSample } from '../core/wal-trend.ts'
import type { Collector, Readings } from '../ops/readings.ts'
import type { Queryable } from '../postgres/query.ts'
import { readSlotReport } from '../postgres/slot-report.ts'
import { readBounded } from '../state/bounded-read.ts'
import { countHeld, readBreaker } from '../state/breaker-store.ts'
import { countFailed, countPending } from '../state/counts.ts'
import type { StateDatabase } from '../state/database.ts'
import { readCheckpoint } from '../state/ownership.ts'
import { readBackfillReport } from '../state/report.ts'

export interface ReadingsOptions {
  readonly state: StateDatabase
  /** null: this process does not capture, and may not reach it. */
  readonly source: Queryable | null
  readonly slot: string
  readonly log: Logger
}

/** Within the time that a scrape waits (ops/metrics.ts). */
const TIMEOUT_MS = 2_000
/** Of one statement; the five of the state together stay within the time above. */
const STATEMENT_TIMEOUT_MS = 400
/** What is more is shown as this many: a tenth of a second of every fifteen is what a gauge may cost. */
const COUNT_LIMIT = 100_000
/** Of the last scrapes: some minutes. */
const WAL_SAMPLES = 5

export function collectReadings({ state, source, slot, log }: ReadingsOptions): Collector {
  const ask = <T>(read: () => Promise<T>) => {
    const shared = sharing(read)
    return (late: Promise<null>): Promise<T | null> => {
      const answer = shared().catch((error: unknown) => {
        log.debug({ err: error }, 'metrics could not be read')
        return null
      })
      return Promise.race([late, answer])
    }
  }
  const askSlot = ask(async () => (source === null ? null : await readSlotReport(source, slot)))
  // One after the other: a scrape takes one connection from the writers.
  const askState = ask(async () => ({
    checkpoint: await readBounded(state, STATEMENT_TIMEOUT_MS, readCheckpoint),
    backfill: await readBounded(state, STATEMENT_TIMEOUT_MS, readBackfillReport),
    failed: await readBounded(state, STATEMENT_TIMEOUT_MS, (db) => countFailed(db, COUNT_LIMIT)),
    pending: await readBounded(state, STATEMENT_TIMEOUT_MS, (db) => countPending(db, COUNT_LIMIT)),
    breaker: await readBounded(state, STATEMENT_TIMEOUT_MS, async (db) => ({
      open: (await readBreaker(db)) !== null,
      held: await countHeld(db, COUNT_LIMIT),
    })),
  }))
  // Between one scrape and the next.
  let samples: readonly WalSample[] = []
  return async (signal) => {
    const { promise: late, resolve } = Promise.withResolvers<null>()
    const ending = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
    ending.addEventListener('abort', () => resolve(null), { once: true })
    const [slotReport, known] = await Promise.all([askSlot(late), askState(late)])
    samples = slotReport === null ? [] : [...samples, walSample(slotReport, performance.now())].slice(-WAL_SAMPLES)
    return {
      ...pendingReadings(known?.pending ?? null),
      ...failedReadings(known?.failed ?? null),
      ...(known?.breaker && {
        breakerOpen: known.breaker.open,
        heldUsers: known.breaker.held.deletions + known.breaker.held.channels,
      }),
      ...backfillReadings(known?.backfill ?? null),
      ...walReadings(slotReport, walRate(samples)),
      ...slotReadings(slotReport, known?.checkpoint?.sinceAdvancedMs ?? null),
    }
  }
}

function pendingReadings(pending: PendingReport | null): Readings {
  return pending ? { profilesPending: pending.total, oldestPendingAgeMs: pending.oldestAgeMs ?? 0 } : {}
}

function backfillReadings(backfill: ReportedBackfill | null): Readings {
  if (backfill === null || backfill.finishedAt !== null) return {}
  const { rowsEstimated, rowsRead } = backfill
  const { leftMs } = backfillPace(backfill)
  return {
    ...(rowsEstimated !== null && { backfillRowsLeft: Math.max(0, rowsEstimated - rowsRead) }),
    ...(leftMs !== null && { backfillLeftMs: leftMs }),
  }
}

function failedReadings(failed: CodeCounts | null): Readings {
  if (!failed) return {}
  return { profilesFailed: Object.fromEntries(failed.byCode.map(({ code, count }) => [code, count])) }
}

function walReadings(slot: SlotReport | null, rate: number | null): Readings {
  const inMs = slot && invalidatedInMs(slot, rate)
  return {
    ...(rate !== null && { walBytesPerSecond: rate }),
    ...(inMs !== null && { slotInvalidatedInMs: inMs }),
  }
}

function slotReadings(slot: SlotReport | null, sinceAdvancedMs: number | null): Readings {
  if (!slot) return {}
  return {
    ...(slot.lagBytes !== null && { slotLagBytes: slot.lagBytes }),
    ...(sinceAdvancedMs !== null && { slotLagMs: slotLagMs(slot, sinceAdvancedMs) }),
    ...(slot.retainedWalBytes !== null && { slotRetainedWalBytes: slot.retainedWalBytes }),
    ...(slot.safeWalBytes !== null && { slotSafeWalBytes: slot.safeWalBytes }),
    walBudget: walBudget(slot),
  }
}

/** Whoever asks while an answer is under way gets that one. */
function sharing<T>(read: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | null = null
  return () => {
    underWay ??= read().finally(() => {
      underWay = null
    })
    return underWay
  }
}
