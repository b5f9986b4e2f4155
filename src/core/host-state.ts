// What a sender believes of SuprSend as a whole, as a value and its transition: open, unreachable, throttled, unauthorized.
// Guarantees: while it is not open, one probe stands for all (every 5 s at most when unreachable, every 15 s at most when
// the credential was refused), and one user who never gets an answer closes nothing (P6): only a certain failure to
// connect, or several requests in a row without any answer, do. Leaves to others: waiting, and which user is the probe.
import type { Outcome } from './api.ts'
import { RETRY_AFTER_MAX_MS } from './retry.ts'

const UNREACHABLE_PROBE_MS = 5_000
const UNAUTHORIZED_PROBE_MS = 15_000
/** Requests in a row without any answer, after which the host counts as unreachable. */
const SILENCE_LIMIT = 5
/** For a 429 without Retry-After. */
const THROTTLE_DEFAULT_MS = 1_000

export type HostState =
  /** `silent`: requests in a row that ended without an answer of the API. */
  | { readonly kind: 'open'; readonly silent: number }
  | { readonly kind: 'unreachable'; readonly probeAtMs: number }
  | { readonly kind: 'throttled'; readonly untilMs: number }
  | { readonly kind: 'unauthorized'; readonly probeAtMs: number }

export type HostEvent =
  /** A request is about to leave. While the state is not open, that is the probe. */
  { readonly kind: 'sent' } | { readonly kind: 'outcome'; readonly outcome: Outcome }

export const HOST_OPEN: HostState = { kind: 'open', silent: 0 }

/** How long until the next request may leave: 0 = now. In `unreachable` and `unauthorized` exactly one may, as a probe. */
export function hostWaitMs(state: HostState, nowMs: number): number {
  switch (state.kind) {
    case 'open':
      return 0
    case 'unreachable':
    case 'unauthorized':
      return Math.max(0, state.probeAtMs - nowMs)
    case 'throttled':
      return Math.max(0, state.untilMs - nowMs)
  }
}

export function nextHostState(state: HostState, event: HostEvent, nowMs: number): HostState {
  return event.kind === 'sent' ? afterSent(state, nowMs) : afterOutcome(state, event.outcome, nowMs)
}

function afterSent(state: HostState, nowMs: number): HostState {
  switch (state.kind) {
    case 'open':
      return state
    case 'unreachable':
      return { kind: 'unreachable', probeAtMs: nowMs + UNREACHABLE_PROBE_MS }
    case 'unauthorized':
      return { kind: 'unauthorized', probeAtMs: nowMs + UNAUTHORIZED_PROBE_MS }
    case 'throttled':
      return nowMs >= state.untilMs ? HOST_OPEN : state
  }
}

function afterOutcome(state: HostState, outcome: Outcome, nowMs: number): HostState {
  switch (outcome.kind) {
    case 'accepted':
    case 'missing':
    case 'rejected':
      return opened(state, nowMs)
    case 'stop':
      return state.kind === 'unauthorized' ? state : { kind: 'unauthorized', probeAtMs: nowMs + UNAUTHORIZED_PROBE_MS }
    case 'retry':
      return outcome.scope === 'host' ? hostTrouble(state, outcome, nowMs) : userTrouble(state, outcome)
  }
}

/** Answers to requests that left before the throttling do not lift it. */
function opened(state: HostState, nowMs: number): HostState {
  return state.kind === 'throttled' && nowMs < state.untilMs ? state : HOST_OPEN
}

/** An answer about one user shows that the host is there, but not that the credential is good again. */
function userTrouble(state: HostState, outcome: Extract<Outcome, { kind: 'retry' }>): HostState {
  const answered = outcome.failure.status !== null
  return answered && (state.kind === 'unreachable' || state.kind === 'open') ? HOST_OPEN : state
}

function hostTrouble(state: HostState, outcome: Extract<Outcome, { kind: 'retry' }>, nowMs: number): HostState {
  if (state.kind === 'unauthorized') return state
  const { status } = outcome.failure
  if (status === 429 || (status === 503 && outcome.floorMs > 0)) {
    const untilMs = nowMs + Math.min(outcome.floorMs || THROTTLE_DEFAULT_MS, RETRY_AFTER_MAX_MS)
    return { kind: 'throttled', untilMs: state.kind === 'throttled' ? Math.max(state.untilMs, untilMs) : untilMs }
  }
  switch (state.kind) {
    case 'unreachable':
      return state
    case 'throttled':
      return nowMs < state.untilMs ? state : { kind: 'open', silent: 1 }
    case 'open': {
      const silent = state.silent + 1
      const certain = status === null && outcome.applied === 'no'
      if (!certain && silent < SILENCE_LIMIT) return { kind: 'open', silent }
      return { kind: 'unreachable', probeAtMs: nowMs + UNREACHABLE_PROBE_MS }
    }
  }
}
