// The service's own sampling: what it asks, counts and makes due again, and that it waits for nobody when it is to stop.
import { expect, test } from 'vitest'
import type { Answer } from '../../../src/core/api.ts'
import type { ProfileSink } from '../../../src/core/delivery-port.ts'
import type { Json } from '../../../src/core/json.ts'
import { SILENT_LOGGER } from '../../../src/core/logger.ts'
import { NO_METRICS } from '../../../src/core/metrics.ts'
import { type Profile, profileHash } from '../../../src/core/profile.ts'
import type { ReconcileState, Repair, SampledUser } from '../../../src/core/reconcile-port.ts'
import { FreezeGuard } from '../../../src/sync/freeze-guard.ts'
import { Gate } from '../../../src/sync/gate.ts'
import { Reconcile } from '../../../src/sync/reconcile.ts'
import { until } from '../../support/wait.ts'

const answered = (status: number, body: Json = null): Answer => ({ kind: 'answered', status, body, retryAfterMs: null })
const EQUAL = answered(200, { distinct_id: 'u', properties: { name: 'Ada' } })
const OTHER = answered(200, { distinct_id: 'u', properties: { name: 'Eve' } })
const MISSING = answered(404, { code: 404, message: "user [distinct_id: 'u'] not found" })
const FORBIDDEN = answered(403, { code: 403, message: 'no' })

function user(desired: Profile | null = { channels: {}, properties: { name: 'Ada' } }): SampledUser {
  const hash = desired === null ? null : profileHash(desired)
  return {
    distinctId: 'u',
    desired,
    desiredHash: hash,
    stored: { desiredHash: hash, synced: desired, syncedHash: hash, isPending: false, setAside: null },
  }
}

interface Script {
  readonly answers: readonly Answer[]
  readonly sampled?: () => Promise<SampledUser | null>
  readonly onRepair?: (repair: Repair) => Promise<boolean>
}

function start({ answers, sampled = async () => user(), onRepair = async () => true }: Script) {
  const left = [...answers]
  const seen = { asked: 0, results: [] as string[], repairs: [] as Repair[], woken: 0, aborted: false }
  const sink: ProfileSink = {
    async send(_, request, signal) {
      expect(request).toEqual({ kind: 'get' })
      seen.asked += 1
      const answer = left.shift()
      if (answer !== undefined) return answer
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      seen.aborted = true
      return { kind: 'unclear', code: 'aborted' }
    },
  }
  const state: ReconcileState = {
    sample: sampled,
    async repair(repair) {
      seen.repairs.push(repair)
      return await onRepair(repair)
    },
  }
  const gate = new Gate({
    limits: { maxInFlight: 8, ratePerSecond: null },
    metrics: NO_METRICS,
    guard: new FreezeGuard({ confirm: () => Promise.resolve(true) }),
    onHostChange: () => undefined,
  })
  gate.hold(1, { settled: true })
  const reconcile = new Reconcile({
    state,
    sink,
    gate,
    policy: { onDelete: 'delete', exclusive: new Set(), named: new Set(['name']) },
    share: () => 64,
    usersPerHour: 3_600_000,
    onRepaired: () => {
      seen.woken += 1
    },
    metrics: { ...NO_METRICS, reconciled: (result) => void seen.results.push(result) },
    log: SILENT_LOGGER,
  })
  const stop = new AbortController()
  const run = reconcile.run(stop.signal)
  return {
    seen,
    gate,
    async stop() {
      gate.close()
      stop.abort()
      await run
    },
  }
}

test('compares one after the other, counts each, and makes due whom SuprSend holds otherwise', async () => {
  const it = start({ answers: [EQUAL, OTHER, MISSING, answered(500, { code: 500 })] })
  await until(() => it.seen.results.length >= 4, { what: 'four looks' })
  await it.stop()
  const hash = user().desiredHash
  expect(it.seen.results).toEqual(['same', 'different', 'missing', 'failed'])
  expect(it.seen.repairs).toEqual([
    { distinctId: 'u', how: 'whole', desiredHash: hash },
    { distinctId: 'u', how: 'create', desiredHash: hash },
  ])
  expect(it.seen.woken).toBe(2)
})

test('who moved meanwhile counts as nothing', async () => {
  const it = start({ answers: [OTHER, EQUAL], onRepair: async () => false })
  await until(() => it.seen.results.length >= 1, { what: 'the second look' })
  await it.stop()
  expect(it.seen).toMatchObject({ results: ['same'], woken: 0 })
})

test('a refusal of one look keeps nobody waiting', async () => {
  const it = start({ answers: [FORBIDDEN, FORBIDDEN] })
  await until(() => it.seen.asked === 3, { what: 'a third look' })
  expect(it.gate.host.kind).toBe('open')
  await it.stop()
  expect(it.seen.results).toEqual(['failed', 'failed'])
})

test('while the key is refused nobody is drawn: the probe is a delivery', async () => {
  let draws = 0
  const sampled = async () => {
    draws += 1
    return user()
  }
  const it = start({ answers: [answered(401)], sampled })
  await until(() => it.gate.host.kind === 'unauthorized', { what: 'the key to be refused' })
  await it.stop()
  expect(draws).toBe(1)
  expect(it.seen.results).toEqual(['failed'])
})

test('an empty draw, one who need not be asked for, and a state that is away: the next one is', async () => {
  const draws: (() => Promise<SampledUser | null>)[] = [
    async () => null,
    async () => ({ ...user(), stored: { ...user().stored, isPending: true } }),
    () => Promise.reject(new Error('away')),
  ]
  const it = start({ answers: [EQUAL], sampled: () => draws.shift()?.() ?? Promise.resolve(user()) })
  await until(() => it.seen.results.length >= 1, { what: 'a look' })
  await it.stop()
  expect(it.seen.results).toEqual(['same'])
})

test('ends within a second while an answer, or the state, is outstanding', async () => {
  const asking = start({ answers: [] })
  await until(() => asking.seen.asked === 1, { what: 'a look' })
  const drawing = start({ answers: [], sampled: () => new Promise(() => undefined) })
  const startedAt = performance.now()
  await Promise.all([asking.stop(), drawing.stop()])
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  expect(asking.seen).toMatchObject({ aborted: true, results: [] })
})
