// What Prometheus reads.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Lsn } from '../../../src/core/lsn.ts'
import { createMetrics } from '../../../src/ops/metrics.ts'

const full = {
  profilesPending: 12,
  profilesFailed: { invalid_email: 2, duplicate_distinct_id: 1 },
  oldestPendingAgeMs: 1500,
  slotLagBytes: 4096,
  slotLagMs: 250,
  slotRetainedWalBytes: 8192,
}

function exercised() {
  const metrics = createMetrics({ process: false })
  metrics.capturedChanges('insert', 3)
  metrics.capturedChanges('update', 2)
  metrics.capturedChanges('update', 5)
  metrics.skippedChanges('unmapped_noop', 4)
  metrics.capturedTransactions(2)
  metrics.stateCommit(12)
  metrics.valueLeftOut('$email', 'invalid_email')
  metrics.backfillRows(1000)
  metrics.apiRequest('edit', 202, 30)
  metrics.apiRequest('edit', 202, 40)
  metrics.apiRequest('upsert', 'unclear', 50)
  metrics.accepted(80)
  metrics.accepted(-5)
  metrics.requestsInFlight(6)
  metrics.drift()
  metrics.hostState('unauthorized')
  metrics.hostState('open')
  metrics.captureActive(true)
  metrics.lastCommitLsn(22_000_000n as Lsn)
  metrics.onCollect(async () => full)
  return metrics
}

test('counts, durations in seconds and readings are exposed', async () => {
  const lines = (await exercised().expose()).split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'suprsync_captured_changes_total{kind="insert"} 3',
      'suprsync_captured_changes_total{kind="update"} 7',
      'suprsync_skipped_changes_total{reason="unmapped_noop"} 4',
      'suprsync_captured_transactions_total 2',
      'suprsync_state_commits_total 1',
      'suprsync_state_commit_duration_seconds_sum 0.012',
      'suprsync_values_left_out_total{key="$email",reason="invalid_email"} 1',
      'suprsync_backfill_rows_total 1000',
      'suprsync_api_requests_total{kind="edit",status="202"} 2',
      'suprsync_api_requests_total{kind="upsert",status="unclear"} 1',
      'suprsync_api_request_duration_seconds_count{kind="edit"} 2',
      'suprsync_commit_to_accepted_seconds_bucket{le="0.1"} 2',
      'suprsync_commit_to_accepted_seconds_sum 0.08',
      'suprsync_requests_in_flight 6',
      'suprsync_drift_total 1',
      'suprsync_host_state{state="open"} 1',
      'suprsync_host_state{state="unauthorized"} 0',
      'suprsync_capture_active 1',
      'suprsync_last_commit_lsn 22000000',
      'suprsync_profiles_pending 12',
      'suprsync_profiles_failed{code="invalid_email"} 2',
      'suprsync_oldest_pending_age_seconds 1.5',
      'suprsync_slot_lag_bytes 4096',
      'suprsync_slot_lag_seconds 0.25',
      'suprsync_slot_retained_wal_bytes 8192',
    ]),
  )
})

test('what the limiter allows is read at each scrape, and absent where nobody sends', async () => {
  const metrics = createMetrics({ process: false })
  const limiterLines = async () =>
    (await metrics.expose()).split('\n').filter((line) => /^suprsync_(limiter|throttled)_/.test(line))
  expect(await limiterLines()).toEqual([])
  let ratePerSecond: number | null = 50
  metrics.watchLimiter(() => ({ ratePerSecond, inFlightLimit: 32, share: 0.5, latencyMs: 120, throttledMs: 1500 }))
  expect((await limiterLines()).sort()).toEqual([
    'suprsync_limiter_in_flight_limit 32',
    'suprsync_limiter_latency_seconds 0.12',
    'suprsync_limiter_rate 50',
    'suprsync_limiter_share 0.5',
    'suprsync_throttled_seconds 1.5',
  ])
  ratePerSecond = null
  expect(await limiterLines()).not.toContainEqual(expect.stringContaining('suprsync_limiter_rate'))
  metrics.watchLimiter(null)
  expect(await limiterLines()).toEqual([])
})

test('two services do not count into each other', async () => {
  const [one, other] = [createMetrics({ process: false }), createMetrics({ process: false })]
  one.drift()
  expect(await one.expose()).toContain('suprsync_drift_total 1')
  expect(await other.expose()).toContain('suprsync_drift_total 0')
})

test('what was not read is absent, not zero and not stale', async () => {
  const metrics = createMetrics({ process: false })
  expect(await metrics.expose()).not.toMatch(/^suprsync_profiles_pending /m)
  let answer: () => Promise<object> = async () => full
  metrics.onCollect(() => answer())
  expect(await metrics.expose()).toMatch(/^suprsync_profiles_pending 12$/m)
  answer = () => Promise.reject(new Error('the database went away'))
  const page = await metrics.expose()
  expect(page).not.toMatch(/^suprsync_(profiles_pending|profiles_failed|oldest_pending_age_seconds|slot_\w+)[ {]/m)
  expect(page).toMatch(/^suprsync_drift_total 0$/m)
  answer = async () => ({ profilesPending: 0, profilesFailed: {} })
  expect(await metrics.expose()).toMatch(/^suprsync_profiles_pending 0$/m)
})

test('a collector that hangs delays the scrape by the time-out only, and is not asked again meanwhile', async () => {
  const metrics = createMetrics({ process: false, collectTimeoutMs: 30 })
  const hanging = Promise.withResolvers<object>()
  let asked = 0
  const signals: AbortSignal[] = []
  metrics.onCollect((signal) => {
    asked += 1
    signals.push(signal)
    return hanging.promise
  })
  expect(await metrics.expose()).toContain('suprsync_drift_total 0')
  await metrics.expose()
  expect(asked).toBe(1)
  expect(signals[0]?.aborted).toBe(true)
  hanging.resolve(full)
  await expect.poll(async () => (await metrics.expose()).includes('suprsync_profiles_pending 12')).toBe(true)
})

test('a collector that throws at once is asked again at the next scrape', async () => {
  const metrics = createMetrics({ process: false })
  let asked = 0
  metrics.onCollect(() => {
    asked += 1
    throw new Error('no pool yet')
  })
  await metrics.expose()
  await metrics.expose()
  expect(asked).toBe(2)
})

test('process metrics are there by default', async () => {
  expect(await createMetrics().expose()).toContain('process_resident_memory_bytes')
})

test('docs/metrics.md explains every metric, with its labels, and none that does not exist', async () => {
  const page = await exercised().expose()
  const docs = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')
  const exposed = new Set(Array.from(page.matchAll(/^# TYPE (suprsync_\w+)/gm), ([, name]) => name))
  const documented = new Set(Array.from(docs.matchAll(/^\| `(suprsync_\w+)`/gm), ([, name]) => name))
  expect([...documented].sort()).toEqual([...exposed].sort())
})
