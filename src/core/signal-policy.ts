// What a SIGTERM or SIGINT means, given the earlier ones. Pure: the shell in ops/signals.ts brings the clock and acts.

export type SignalState = { readonly kind: 'running' } | { readonly kind: 'stopping'; readonly firstAtMs: number }

export interface SignalDecision {
  readonly state: SignalState
  /** `begin` the shutdown, `ignore` an echo of the first signal, or `exit` at once. */
  readonly action: 'begin' | 'ignore' | 'exit'
}

export const RUNNING: SignalState = { kind: 'running' }

/** npm and a terminal's process group both deliver one Ctrl-C twice, some milliseconds apart; a person takes longer. */
export const SAME_SIGNAL_MS = 1_000

export function onSignal(state: SignalState, nowMs: number): SignalDecision {
  if (state.kind === 'running') return { state: { kind: 'stopping', firstAtMs: nowMs }, action: 'begin' }
  return { state, action: nowMs - state.firstAtMs < SAME_SIGNAL_MS ? 'ignore' : 'exit' }
}
