// The service's metrics behind the port of core/metrics.ts: one Prometheus registry per service, so that two in one
// process (tests, demo) do not count into each other. Owns names, units, labels and buckets; docs/metrics.md explains
// them. Nobody else touches prom-client. What is counted for each change is kept as a plain number until a scrape.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { HostState } from '../core/host-state.ts'
import { type Logger, SILENT_LOGGER } from '../core/logger.ts'
import type { LimiterReading, Metrics } from '../core/metrics.ts'
import { type Collector, type Readings, ReadingsSource } from './readings.ts'

// 5 ms to 10 min: the promise is tens of milliseconds (P9), an outage makes it minutes.
const COMMIT_TO_ACCEPTED_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const COMMIT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const HOST_STATES: readonly HostState['kind'][] = ['open', 'unreachable', 'throttled', 'unauthorized']

const COLLECT_TIMEOUT_MS = 3_000

export interface MetricsOptions {
  /** CPU, memory, event loop and garbage collection of the process. Default true. */
  readonly process?: boolean
  readonly collectTimeoutMs?: number
  readonly log?: Logger
}

export interface ServiceMetrics extends Metrics {
  /** Asks `collector` for the gauges that need queries, at each scrape. One collector; a later one replaces it. */
  onCollect(collector: Collector): void
  readonly contentType: string
  /** The page that Prometheus reads. Never rejects because of the collector. */
  expose(): Promise<string>
}

export function createMetrics(options: MetricsOptions = {}): ServiceMetrics {
  const registry = new Registry()
  const registers = [registry]
  if (options.process ?? true) collectDefaultMetrics({ register: registry })

  const counter = (name: string, help: string) => new Counter({ name, help, registers })
  const counterBy = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames, registers })
  // prom-client hashes the labels at every increment: 200 ns, 1 % of a core at 40,000 changes a second. A Map takes a fifth of it.
  const tally = <L extends string>(name: string, help: string, label: L) => {
    const counts = new Map<string, number>()
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset()
        for (const [value, count] of counts) this.labels(value).inc(count)
      },
    })
    return (value: string, count: number) => void counts.set(value, (counts.get(value) ?? 0) + count)
  }
  const gauge = (name: string, help: string) => absent(new Gauge({ name, help, registers }))
  const gaugeBy = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name, help, labelNames, registers })

  const countChanges = tally('suprsync_captured_changes_total', 'Row changes received from the slot.', 'kind')
  const countSkips = tally('suprsync_skipped_changes_total', 'Row changes that needed no write.', 'reason')
  const transactions = counter('suprsync_captured_transactions_total', 'Source transactions received from the slot.')
  const commits = counter('suprsync_state_commits_total', 'Transactions committed to state by capture.')
  const commitSeconds = new Histogram({
    name: 'suprsync_state_commit_duration_seconds',
    help: 'Duration of a state transaction of capture.',
    buckets: COMMIT_BUCKETS,
    registers,
  })
  const leftOut = counterBy('suprsync_values_left_out_total', 'Mapped values that failed their format.', [
    'key',
    'reason',
  ])
  const backfilled = counter('suprsync_backfill_rows_total', 'Rows read by backfills.')
  const requests = counterBy('suprsync_api_requests_total', 'Requests to SuprSend.', ['kind', 'status'])
  const requestSeconds = new Histogram({
    name: 'suprsync_api_request_duration_seconds',
    help: 'Duration of a request to SuprSend.',
    labelNames: ['kind'],
    buckets: REQUEST_BUCKETS,
    registers,
  })
  const acceptedSeconds = new Histogram({
    name: 'suprsync_commit_to_accepted_seconds',
    help: 'From the commit on the source to the acceptance by SuprSend.',
    buckets: COMMIT_TO_ACCEPTED_BUCKETS,
    registers,
  })
  const unreadable = counterBy(
    'suprsync_unreadable_answers_total',
    'Answers without what they should tell: a 2xx without the user object, an error without a message.',
    ['kind'],
  )
  const drift = counter('suprsync_drift_total', 'Answers that still differed from what was sent after one repair.')

  const reconciled = counterBy('suprsync_reconcile_users_total', 'Users compared with what SuprSend holds.', ['result'])

  const buckets = gauge('suprsync_sender_buckets', 'Buckets of users that this process sends, of 64.')
  const senders = gauge('suprsync_senders', 'Senders that share the users, this process among them.')
  const inFlight = gauge('suprsync_requests_in_flight', 'Requests to SuprSend under way.')
  const host = gaugeBy('suprsync_host_state', '1 for the state that sending to SuprSend is in.', ['state'])
  const rate = gauge('suprsync_limiter_rate', 'Requests a second that this process may make at this moment.')
  const inFlightLimit = gauge(
    'suprsync_limiter_in_flight_limit',
    'Requests that this process may have under way at this moment.',
  )
  const share = gauge('suprsync_limiter_share', 'Part of its limits that this process uses: 1 is all of them.')
  const latency = gauge('suprsync_limiter_latency_seconds', 'How long an answer takes of late, smoothed.')
  const throttled = gauge('suprsync_throttled_seconds', 'Until SuprSend may be asked again, as it wished; 0: now.')
  const active = gauge('suprsync_capture_active', '1 where this process streams from the slot, 0 where it stands by.')
  const lastLsn = gauge('suprsync_last_commit_lsn', 'Commit position last written to state, in bytes.')

  const pending = gauge('suprsync_profiles_pending', 'Profiles that SuprSend has not accepted yet.')
  const failed = gaugeBy('suprsync_profiles_failed', 'Profiles set aside, by code.', ['code'])
  const oldest = gauge('suprsync_oldest_pending_age_seconds', 'Age of the oldest profile that is pending.')
  const breaker = gauge('suprsync_breaker_open', '1 while the circuit breaker holds deletions and emptied channels.')
  const held = gauge('suprsync_profiles_held', 'Profiles whose loss the circuit breaker holds.')
  const backfillRows = gauge(
    'suprsync_backfill_rows_left',
    'Rows that the reading under way has yet to read, estimated.',
  )
  const backfillSeconds = gauge(
    'suprsync_backfill_left_seconds',
    'How long the reading under way will yet take, estimated.',
  )
  const lagBytes = gauge('suprsync_slot_lag_bytes', 'WAL that the slot has not confirmed.')
  const lagSeconds = gauge(
    'suprsync_slot_lag_seconds',
    'How long the checkpoint has stood still while WAL waits for it.',
  )
  const retained = gauge('suprsync_slot_retained_wal_bytes', 'WAL that the server keeps for the slot.')
  const safe = gauge('suprsync_slot_safe_wal_bytes', 'WAL that may be written before the server may give the slot up.')
  const growth = gauge('suprsync_wal_growth_bytes_per_second', 'How fast WAL grows on the server.')
  const invalidated = gauge(
    'suprsync_slot_invalidated_seconds',
    'Until the server may give the slot up, as WAL grows now.',
  )
  const budget = gauge(
    'suprsync_slot_wal_budget',
    '0: enough is left of max_slot_wal_keep_size; 1: little; 2: it is used up.',
  )

  function show(readings: Readings): void {
    setOrHide(pending, readings.profilesPending)
    failed.reset()
    for (const [code, count] of Object.entries(readings.profilesFailed ?? {})) failed.set({ code }, count)
    setOrHide(oldest, seconds(readings.oldestPendingAgeMs))
    setOrHide(breaker, readings.breakerOpen === undefined ? undefined : Number(readings.breakerOpen))
    setOrHide(held, readings.heldUsers)
    setOrHide(backfillRows, readings.backfillRowsLeft)
    setOrHide(backfillSeconds, seconds(readings.backfillLeftMs))
    setOrHide(lagBytes, readings.slotLagBytes)
    setOrHide(lagSeconds, seconds(readings.slotLagMs))
    setOrHide(retained, readings.slotRetainedWalBytes)
    setOrHide(safe, readings.slotSafeWalBytes)
    setOrHide(growth, readings.walBytesPerSecond)
    setOrHide(invalidated, seconds(readings.slotInvalidatedInMs))
    setOrHide(budget, readings.walBudget && BUDGETS[readings.walBudget])
  }

  function showLimiter(reading: LimiterReading | undefined): void {
    setOrHide(rate, reading?.ratePerSecond ?? undefined)
    setOrHide(inFlightLimit, reading?.inFlightLimit)
    setOrHide(share, reading?.share)
    setOrHide(latency, seconds(reading?.latencyMs ?? undefined))
    setOrHide(throttled, seconds(reading?.throttledMs))
  }

  const requestSecondsOf = remembered((kind: string) => requestSeconds.labels({ kind }))
  const requestsOf = remembered((kind: string) =>
    remembered((status: string | number) => requests.labels({ kind, status: String(status) })),
  )
  let source: ReadingsSource | null = null
  let readLimiter: (() => LimiterReading) | null = null

  return {
    capturedChanges: countChanges,
    skippedChanges: countSkips,
    capturedTransactions: (count) => transactions.inc(count),
    stateCommit: (durationMs) => {
      commits.inc()
      commitSeconds.observe(durationMs / 1000)
    },
    valueLeftOut: (key, reason) => leftOut.inc({ key, reason }),
    backfillRows: (count) => backfilled.inc(count),
    apiRequest: (kind, status, durationMs) => {
      requestsOf(kind)(status).inc()
      requestSecondsOf(kind).observe(durationMs / 1000)
    },
    // Not below zero: the two instants come from two machines' clocks.
    accepted: (commitToAcceptedMs) => acceptedSeconds.observe(Math.max(0, commitToAcceptedMs / 1000)),
    sharing: (now) => {
      buckets.set(now.buckets)
      senders.set(now.senders)
    },
    requestsInFlight: (count) => inFlight.set(count),
    unreadableAnswer: (kind) => unreadable.inc({ kind }),
    drift: () => drift.inc(),
    reconciled: (result) => reconciled.inc({ result }),
    hostState: (state) => {
      for (const each of HOST_STATES) host.set({ state: each }, each === state ? 1 : 0)
    },
    watchLimiter: (read) => {
      readLimiter = read
    },
    captureActive: (isActive) => active.set(isActive ? 1 : 0),
    lastCommitLsn: (lsn) => lastLsn.set(Number(lsn)),
    onCollect: (collector) => {
      const timeoutMs = options.collectTimeoutMs ?? COLLECT_TIMEOUT_MS
      source = new ReadingsSource(collector, { timeoutMs, log: options.log ?? SILENT_LOGGER })
    },
    contentType: registry.contentType,
    async expose() {
      show((await source?.read()) ?? {})
      showLimiter(readLimiter?.())
      return registry.metrics()
    },
  }
}

const BUDGETS = { enough: 0, low: 1, spent: 2 } as const

/** prom-client starts a gauge at 0, which would claim that nothing is pending before anybody looked. */
function absent(gauge: Gauge): Gauge {
  gauge.remove()
  return gauge
}

function setOrHide(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove()
  else gauge.set(value)
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000
}

/** The label child made by `bind`, made once for each label. Labels are few by the rule on their cardinality. */
function remembered<L, C>(bind: (label: L) => C): (label: L) => C {
  const children = new Map<L, C>()
  return (label) => {
    let child = children.get(label)
    if (child === undefined) {
      child = bind(label)
      children.set(label, child)
    }
    return child
  }
}
