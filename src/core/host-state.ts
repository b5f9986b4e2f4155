// What a sender believes of SuprSend as a whole, as a value and its transition: open, unreachable, throttled, unauthorized.
// Guarantees: while it is not open, one probe stands for all (every 5 s at most when unreachable, every 15 s at most when
// the credential was refused, by all senders together), and one user who never gets an answer closes nothing (P6): only a
// certain failure to connect, or several requests in a row of users who were well until then, without any answer, do. What one sender meets it has to tell
// the others (newsOf); what it was told it does not. Leaves to others: waiting, telling, and which user is the probe.
import type { Outcome } from './api.ts'
import { RETRY_AFTER_MAX_MS, THROTTLE_DEFAULT_MS } from './retry.ts'

const UNREACHABLE_PROBE_MS = 5_000
const UNAUTHORIZED_PROBE_MS = 15_000
/** Requests in a row without any answer, after which the host counts as unreachable. */
const SILENCE_LIMIT = 5
/** The many answers of one burst are told once. */
const NEWS_AT_LEAST_MS = 1_000

export type HostState =
  /** `silent`: requests in a row that ended without an answer of the API. */
  | { readonly kind: 'open'; readonly silent: number }
  | { readonly kind: 'unreachable'; readonly probeAtMs: number }
  | { readonly kind: 'throttled'; readonly untilMs: number }
  | { readonly kind: 'unauthorized'; readonly probeAtMs: number }

/**
 * What one sender met that holds for all who send to the same address with the same key. That the host cannot be reached
 * is not among it: another sender may have another way there.
 */
export type HostNews =
  | { readonly kind: 'throttled'; readonly forMs: number }
  | { readonly kind: 'unauthorized' }
  /** The key is right again. */
  | { readonly kind: 'open' }

export type HostEvent =
  /** A request is about to leave. While the state is not open, that is the probe. */
  | { readonly kind: 'sent' }
  /** `repeated`: this user's attempt before this one failed as well, so that silence may be its own (P6). */
  | { readonly kind: 'outcome'; readonly outcome: Outcome; readonly repeated?: boolean }
  /** Another sender met it. */
  | { readonly kind: 'told'; readonly news: HostNews }
  /** The number of senders is another one. */
  | { readonly kind: 'recounted' }

/** How the senders share what one of them would do alone. */
export interface Probers {
  /** Live senders, this one included. */
  readonly probers: number
  /** 0 ≤ random < 1: they must not all ask at the same moments. */
  readonly random: number
}

const ALONE: Probers = { probers: 1, random: 0 }

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

export function nextHostState(state: HostState, event: HostEvent, nowMs: number, among: Probers = ALONE): HostState {
  switch (event.kind) {
    case 'sent':
      return afterSent(state, nowMs, among)
    case 'outcome':
      return afterOutcome(state, event, nowMs, among)
    case 'told':
      return afterNews(state, event.news, nowMs, among)
    case 'recounted':
      // Only ever earlier: those who were to ask before us may be gone.
      return state.kind === 'unauthorized'
        ? { ...state, probeAtMs: Math.min(state.probeAtMs, nowMs + unauthorizedProbeMs(among)) }
        : state
  }
}

/** What the others must know of an outcome; null: nothing, or nothing that they were not told before. */
export function newsOf(before: HostState, after: HostState, outcome: Outcome, nowMs: number): HostNews | null {
  if (after.kind === 'throttled') {
    const isNew = before.kind !== 'throttled' || after.untilMs - before.untilMs >= NEWS_AT_LEAST_MS
    return isNew ? { kind: 'throttled', forMs: after.untilMs - nowMs } : null
  }
  // A 402 or 403 may be about one user, whom the others must not wait for (P6); where it is about all, they meet it too.
  if (after.kind === 'unauthorized') {
    const isKey = outcome.kind === 'stop' && outcome.failure.status === 401
    return isKey && before.kind !== 'unauthorized' ? { kind: 'unauthorized' } : null
  }
  return before.kind === 'unauthorized' && after.kind === 'open' ? { kind: 'open' } : null
}

function afterSent(state: HostState, nowMs: number, among: Probers): HostState {
  switch (state.kind) {
    case 'open':
      return state
    case 'unreachable':
      return { kind: 'unreachable', probeAtMs: nowMs + UNREACHABLE_PROBE_MS }
    case 'unauthorized':
      return { kind: 'unauthorized', probeAtMs: nowMs + unauthorizedProbeMs(among) }
    case 'throttled':
      return nowMs >= state.untilMs ? HOST_OPEN : state
  }
}

type Met = Extract<HostEvent, { kind: 'outcome' }>

function afterOutcome(state: HostState, { outcome, repeated = false }: Met, nowMs: number, among: Probers): HostState {
  switch (outcome.kind) {
    case 'accepted':
    case 'missing':
    case 'rejected':
      return opened(state, nowMs)
    case 'stop':
      return refused(state, nowMs, among)
    case 'retry':
      return outcome.scope === 'host' ? hostTrouble(state, { outcome, repeated }, nowMs) : userTrouble(state, outcome)
  }
}

function afterNews(state: HostState, news: HostNews, nowMs: number, among: Probers): HostState {
  switch (news.kind) {
    case 'throttled':
      return toldThrottled(state, nowMs + Math.min(news.forMs, RETRY_AFTER_MAX_MS))
    case 'unauthorized':
      return refused(state, nowMs, among)
    case 'open':
      return state.kind === 'unauthorized' ? HOST_OPEN : state
  }
}

/** A floor in every state; what this sender met itself still stands. */
function toldThrottled(state: HostState, untilMs: number): HostState {
  switch (state.kind) {
    case 'open':
      return { kind: 'throttled', untilMs }
    case 'throttled':
      return { kind: 'throttled', untilMs: Math.max(state.untilMs, untilMs) }
    case 'unreachable':
    case 'unauthorized':
      return { ...state, probeAtMs: Math.max(state.probeAtMs, untilMs) }
  }
}

/** Refused or told so again while it stands: the probe stays where it is, or it would never come. */
function refused(state: HostState, nowMs: number, among: Probers): HostState {
  if (state.kind === 'unauthorized') return state
  // Evenly over the time in which each asks once: all met it, or were told, at about the same moment.
  const { probers, random } = among
  const probeAtMs = nowMs + UNAUTHORIZED_PROBE_MS * (1 + random * (Math.max(1, probers) - 1))
  const floorMs = state.kind === 'throttled' ? state.untilMs : 0
  return { kind: 'unauthorized', probeAtMs: Math.max(probeAtMs, floorMs) }
}

/** Each so rarely that it is one request in 15 s of all together. */
function unauthorizedProbeMs({ probers }: Probers): number {
  return UNAUTHORIZED_PROBE_MS * Math.max(1, probers)
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

interface Trouble {
  readonly outcome: Extract<Outcome, { kind: 'retry' }>
  readonly repeated: boolean
}

function hostTrouble(state: HostState, { outcome, repeated }: Trouble, nowMs: number): HostState {
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
      return nowMs < state.untilMs ? state : { kind: 'open', silent: repeated ? 0 : 1 }
    case 'open': {
      const certain = status === null && outcome.applied === 'no'
      // Five who never get an answer would else close it again and again; an outage meets new users at once.
      const silent = state.silent + (repeated ? 0 : 1)
      if (!certain && silent < SILENCE_LIMIT) return { kind: 'open', silent }
      return { kind: 'unreachable', probeAtMs: nowMs + UNREACHABLE_PROBE_MS }
    }
  }
}
