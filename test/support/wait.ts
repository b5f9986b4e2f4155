// The one way tests wait: for a condition, with a deadline. Nothing in test/ sleeps for a fixed time.
import { setTimeout as delay } from 'node:timers/promises'

export interface UntilOptions {
  /** What is waited for, for the failure's message. */
  readonly what: string
  readonly timeoutMs?: number
  readonly pollMs?: number
}

/**
 * Polls until the condition returns something other than false, null or undefined, and returns that. An error thrown by
 * the condition counts as "not yet" and is the cause of the failure when the deadline passes.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: UntilOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const { what, timeoutMs = 10_000, pollMs = 10 } = options
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let last: unknown
    try {
      const result = await condition()
      if (result !== false && result !== null && result !== undefined) {
        return result as Exclude<T, false | null | undefined>
      }
      last = result
    } catch (error) {
      last = error
    }
    if (performance.now() >= deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: last })
    await delay(pollMs)
  }
}
