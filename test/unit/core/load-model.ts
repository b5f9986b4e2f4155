// A server with a capacity and a queue, and one sender before it that has more than enough to do, in virtual time. The
// sender is the limiter and the host's state, joined as the gate joins them.
import type { Outcome } from '../../../src/core/api.ts'
import { HOST_OPEN, type HostState, hostWaitMs, nextHostState } from '../../../src/core/host-state.ts'
import {
  effective,
  holdFraction,
  type LimiterSettings,
  type LimiterState,
  noteAnswer,
  openLimiter,
  releaseSlot,
  resume,
  suspend,
  takeSlot,
} from '../../../src/core/limiter.ts'

export const ACCEPTED: Outcome = { kind: 'accepted', user: null }

export function refused(status: number | null, given: { readonly applied?: 'no' | 'unclear' } = {}): Outcome {
  const failure = { code: 'x', status, key: null, message: 'x' }
  const applied = given.applied ?? (status === 429 ? 'no' : 'unclear')
  return { kind: 'retry', applied, scope: 'host', floorMs: 0, failure }
}

export interface Model {
  readonly settings: LimiterSettings
  readonly untilMs: number
  /** What becomes of a request: when, and how. */
  readonly answer: (nowMs: number, user: number) => { readonly afterMs: number; readonly outcome: Outcome }
  /** Whose request is next; null: nothing is due. Default: new users for ever. */
  readonly next?: (nowMs: number) => { readonly user: number; readonly repeated: boolean } | null
  readonly onAnswer?: (user: number, outcome: Outcome, nowMs: number) => void
}

export interface Run {
  readonly sentAtMs: readonly number[]
  readonly acceptedAtMs: readonly number[]
  /** At each tenth of a second. */
  readonly shares: readonly number[]
  readonly latenciesMs: readonly { readonly atMs: number; readonly durationMs: number }[]
  readonly host: readonly { readonly atMs: number; readonly kind: HostState['kind'] }[]
}

export function run({ settings, untilMs, answer, next, onAnswer }: Model): Run {
  let users = 0
  const draw = next ?? (() => ({ user: users++, repeated: false }))
  let limiter: LimiterState = holdFraction(openLimiter(settings, 0), { fraction: 1, settled: true }, 0)
  let host: HostState = HOST_OPEN
  const seen = {
    sentAtMs: [] as number[],
    acceptedAtMs: [] as number[],
    shares: [] as number[],
    latenciesMs: [] as { atMs: number; durationMs: number }[],
    host: [] as { atMs: number; kind: HostState['kind'] }[],
  }
  const ends = new Map<number, (() => void)[]>()
  const turn = (after: HostState, nowMs: number) => {
    const before = host
    host = after
    if (after.kind === before.kind) return
    seen.host.push({ atMs: nowMs, kind: after.kind })
    if (after.kind === 'unreachable') limiter = suspend(limiter, nowMs)
    if (after.kind === 'open') limiter = resume(limiter, nowMs)
  }
  for (let nowMs = 0; nowMs < untilMs; nowMs++) {
    for (const end of ends.get(nowMs) ?? []) end()
    ends.delete(nowMs)
    while (hostWaitMs(host, nowMs) === 0) {
      const taken = takeSlot(limiter, nowMs)
      if (taken.kind !== 'go') {
        limiter = taken.state
        break
      }
      const drawn = draw(nowMs)
      if (drawn === null) break
      limiter = taken.state
      turn(nextHostState(host, { kind: 'sent' }, nowMs), nowMs)
      seen.sentAtMs.push(nowMs)
      const { afterMs, outcome } = answer(nowMs, drawn.user)
      const atMs = nowMs + Math.max(1, Math.round(afterMs))
      const end = () => {
        const timed = { outcome, kind: 'edit', durationMs: atMs - nowMs, repeated: drawn.repeated } as const
        if (host.kind !== 'unreachable') limiter = noteAnswer(limiter, timed, atMs)
        limiter = releaseSlot(limiter)
        turn(nextHostState(host, { kind: 'outcome', outcome }, atMs), atMs)
        if (outcome.kind === 'accepted') seen.acceptedAtMs.push(atMs)
        seen.latenciesMs.push({ atMs, durationMs: atMs - nowMs })
        onAnswer?.(drawn.user, outcome, atMs)
      }
      ends.set(atMs, [...(ends.get(atMs) ?? []), end])
    }
    if (nowMs % 100 === 0) seen.shares.push(effective(limiter, nowMs).share)
  }
  return seen
}

export interface Server {
  readonly baseMs: number
  /** Requests a second that it can do, at a moment. */
  readonly capacity: (nowMs: number) => number
  /** Requests that wait before it refuses; each waits its turn. */
  readonly queue: number
  readonly refusal: number
}

/** One after the other at its capacity; answers differ by chance as an internet's do. */
export function server({ baseMs, capacity, queue, refusal }: Server, seed = 1): Model['answer'] {
  let freeAtMs = 0
  const random = seeded(seed)
  return (nowMs) => {
    const perRequestMs = 1000 / capacity(nowMs)
    const waitMs = Math.max(0, freeAtMs - nowMs)
    const ownMs = baseMs * (0.7 + 0.6 * random()) * (random() < 0.02 ? 4 : 1)
    if (waitMs > queue * perRequestMs) return { afterMs: 5, outcome: refused(refusal) }
    freeAtMs = Math.max(freeAtMs, nowMs) + perRequestMs
    return { afterMs: waitMs + ownMs, outcome: ACCEPTED }
  }
}

/** mulberry32 */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export function perSecond(atMs: readonly number[], fromMs: number, untilMs: number): number {
  return (atMs.filter((at) => at >= fromMs && at < untilMs).length * 1000) / (untilMs - fromMs)
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
