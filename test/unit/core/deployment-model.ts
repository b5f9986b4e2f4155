// Several senders that share 64 buckets, in virtual time: each sends as much as its limiter lets it, buckets go from one to
// another as the service hands them over (hold less, wait until it fits, give up; another gains), and senders die.
import {
  fits,
  holdFraction,
  type LimiterSettings,
  type LimiterState,
  openLimiter,
  releaseSlot,
  slowDown,
  takeSlot,
} from '../../../src/core/limiter.ts'

export const BUCKETS = 64

export type Step = { readonly atMs: number } & (
  | {
      readonly kind: 'give'
      readonly from: number
      readonly to: number
      readonly count: number
      readonly gapMs: number
    }
  | { readonly kind: 'die'; readonly from: number; readonly to: number }
  | { readonly kind: 'slow'; readonly from: number }
)

export interface Script {
  readonly settings: LimiterSettings
  readonly senders: number
  readonly steps: readonly Step[]
  readonly untilMs: number
  readonly requestMs: readonly number[]
}

interface Sender {
  limiter: LimiterState
  /** Buckets whose lock it has; what it has told its limiter may be less, never more. */
  owned: number
  giving: { readonly count: number; readonly to: number; readonly gapMs: number } | null
  endsAtMs: number[]
}

export interface Seen {
  readonly sentAtMs: readonly number[]
  readonly mostInFlight: number
}

export function simulate({ settings, senders: count, steps, untilMs, requestMs }: Script): Seen {
  const senders = Array.from({ length: count }, (): Sender => newSender(settings, 0))
  const gains: { readonly atMs: number; readonly to: number; readonly count: number }[] = []
  const hold = (sender: Sender, buckets: number, nowMs: number, settled = false) => {
    sender.limiter = holdFraction(sender.limiter, { fraction: buckets / BUCKETS, settled }, nowMs)
  }
  const [first] = senders
  if (first) {
    first.owned = BUCKETS
    hold(first, BUCKETS, 0, true)
  }
  const left = [...steps].sort((a, b) => a.atMs - b.atMs)
  const sentAtMs: number[] = []
  let mostInFlight = 0
  for (let nowMs = 0; nowMs < untilMs; nowMs++) {
    for (const sender of senders) {
      for (const endsAtMs of sender.endsAtMs) if (endsAtMs <= nowMs) sender.limiter = releaseSlot(sender.limiter)
      sender.endsAtMs = sender.endsAtMs.filter((endsAtMs) => endsAtMs > nowMs)
    }
    for (let step = left[0]; step && step.atMs <= nowMs; step = left[0]) {
      left.shift()
      const sender = senders[step.from % count]
      if (!sender) continue
      if (step.kind === 'slow') sender.limiter = slowDown(sender.limiter, 0, nowMs)
      else if (step.kind === 'die') {
        if (sender.owned > 0) gains.push({ atMs: nowMs, to: step.to, count: sender.owned })
        senders[step.from % count] = newSender(settings, nowMs)
      } else if (sender.giving === null && sender.owned > 0) {
        const given = Math.min(step.count, sender.owned)
        sender.giving = { count: given, to: step.to, gapMs: step.gapMs }
        hold(sender, sender.owned - given, nowMs)
      }
    }
    for (const sender of senders) {
      if (sender.giving === null || !fits(sender.limiter)) continue
      sender.owned -= sender.giving.count
      gains.push({ atMs: nowMs + sender.giving.gapMs, to: sender.giving.to, count: sender.giving.count })
      sender.giving = null
    }
    for (let at = gains.length - 1; at >= 0; at--) {
      const gain = gains[at]
      const sender = gain && senders[gain.to % count]
      if (!gain || !sender || gain.atMs > nowMs) continue
      gains.splice(at, 1)
      sender.owned += gain.count
      hold(sender, sender.owned - (sender.giving?.count ?? 0), nowMs)
    }
    for (const [at, sender] of senders.entries()) {
      // Not all at the same instant.
      const atMs = nowMs + at / count
      for (let taken = takeSlot(sender.limiter, atMs); ; taken = takeSlot(sender.limiter, atMs)) {
        sender.limiter = taken.state
        if (taken.kind !== 'go') break
        sender.endsAtMs.push(nowMs + (requestMs[sentAtMs.length % requestMs.length] ?? 1))
        sentAtMs.push(atMs)
      }
    }
    mostInFlight = Math.max(
      mostInFlight,
      senders.reduce((sum, { endsAtMs }) => sum + endsAtMs.length, 0),
    )
  }
  return { sentAtMs, mostInFlight }
}

export function mostInOneSecond(sentAt: readonly number[]): number {
  let most = 0
  for (let first = 0, last = 0; last < sentAt.length; last++) {
    // Thirds of a millisecond are not exact: what is a second apart must not seem to be less.
    while ((sentAt[last] ?? 0) - (sentAt[first] ?? 0) >= 1000 - 1e-6) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}

function newSender(settings: LimiterSettings, nowMs: number): Sender {
  return { limiter: openLimiter(settings, nowMs), owned: 0, giving: null, endsAtMs: [] }
}
