// The one place where what broke off is begun again, by cause-dependent backoff (core/reconnect.ts).
import { sleep } from '../core/abort.ts'
import { errorCode, errorMessage, SuprsyncError } from '../core/error.ts'
import type { Logger } from '../core/logger.ts'
import { reconnectDelayMs } from '../core/reconnect.ts'

export interface Trouble {
  readonly code: string
  readonly message: string
}

export interface RepeatOptions {
  /** For the log. */
  readonly what: string
  readonly signal: AbortSignal
  readonly onTrouble: (trouble: Trouble) => void
  readonly log: Logger
}

/** Until the signal aborts. `settled` tells that it worked, so that the next failure is a first one. */
export async function repeat(
  { what, signal, onTrouble, log }: RepeatOptions,
  run: (settled: () => void) => Promise<void>,
): Promise<void> {
  let failures = 0
  let downSince = 0
  while (!signal.aborted) {
    try {
      await run(() => {
        failures = 0
      })
    } catch (error) {
      if (signal.aborted) return
      if (failures === 0) downSince = performance.now()
      failures += 1
      const code = errorCode(error)
      onTrouble({ code: code ?? 'unexpected', message: explain(error, what) })
      const delayMs = reconnectDelayMs({
        code,
        failures,
        downMs: performance.now() - downSince,
        random: Math.random(),
      })
      log.warn({ err: error, what, failures, delayMs }, 'interrupted; trying again')
      await sleep(delayMs, signal)
    }
  }
}

/** Messages of PostgreSQL may quote a row; ours never do. */
function explain(error: unknown, what: string): string {
  if (error instanceof SuprsyncError) return errorMessage(error)
  const named = what === 'delivery' ? 'Delivery' : 'Capture'
  return `${named} was interrupted (${errorCode(error) ?? 'unexpected error'}); it is tried again by itself.`
}
