// SIGTERM and SIGINT as an AbortSignal (P10). The first one begins the shutdown; one that comes a second or more later
// exits at once; and past the deadline the process exits with 1, saying what was still open. What closes, and in which
// order, belongs to whoever listens to the AbortSignal. Disposing takes the handlers away and ends the deadline.
import { constants } from 'node:os'
import type { Logger } from '../core/logger.ts'
import { onSignal, RUNNING } from '../core/signal-policy.ts'

const SIGNALS = ['SIGTERM', 'SIGINT'] as const
type Signal = (typeof SIGNALS)[number]

/** The part of `process` that is used; tests bring their own. */
export interface SignalHost {
  on(name: Signal, listener: (name: Signal) => void): unknown
  off(name: Signal, listener: (name: Signal) => void): unknown
  exit(code: number): void
}

export interface SignalOptions {
  readonly shutdownTimeoutMs: number
  readonly log: Logger
  /** Names of what has not ended yet, for the last line before a forced exit. */
  readonly stillOpen?: () => readonly string[]
  readonly host?: SignalHost
}

export interface Signals extends Disposable {
  /** Aborts when the shutdown begins. */
  readonly signal: AbortSignal
}

export function installSignals(options: SignalOptions): Signals {
  const { shutdownTimeoutMs, log, stillOpen = () => [], host = process } = options
  const stopping = new AbortController()
  let state = RUNNING
  let deadline: NodeJS.Timeout | undefined

  function receive(name: Signal): void {
    const decision = onSignal(state, performance.now())
    state = decision.state
    switch (decision.action) {
      case 'begin':
        log.info({ signal: name, shutdownTimeoutMs }, 'shutting down')
        deadline = setTimeout(expire, shutdownTimeoutMs)
        // When everything has closed earlier, nothing must keep the process alive.
        deadline.unref()
        stopping.abort()
        return
      case 'ignore':
        return
      case 'exit':
        log.warn({ signal: name, stillOpen: stillOpen() }, 'second signal, exiting at once')
        host.exit(128 + constants.signals[name])
    }
  }

  function expire(): void {
    log.error({ shutdownTimeoutMs, stillOpen: stillOpen() }, 'shutdown took too long, exiting')
    host.exit(1)
  }

  for (const name of SIGNALS) host.on(name, receive)
  return {
    signal: stopping.signal,
    [Symbol.dispose]() {
      clearTimeout(deadline)
      for (const name of SIGNALS) host.off(name, receive)
    },
  }
}
