// Waiting that can be called off. The one sleep of the program; every waiter takes an AbortSignal.
import { setTimeout as delay } from 'node:timers/promises'

/** Resolves after `delayMs`, or at once when the signal aborts: who waits looks at the signal, nobody catches. */
export async function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  try {
    await delay(delayMs, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
