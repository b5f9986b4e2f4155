// Whose request SuprSend refused with 402 or 403 as if the key were at fault. Guarantees that a user who alone is refused
// stops nobody for long (P6): refused again although others were accepted since, that user is set aside. Bounded; what is
// forgotten costs one more pause. A 401 is about the key and nobody else.
import type { Outcome } from '../core/api.ts'
import type { HostState } from '../core/host-state.ts'
import { refusedAlone } from '../core/outcome.ts'

const MOST_USERS = 1_000

export class Refusals {
  /** User → how many requests of others had been accepted when it was refused. */
  readonly #refused = new Map<string, number>()
  #accepted = 0

  /** What an answer means in the light of those before it. */
  judge(distinctId: string, outcome: Outcome, host: HostState['kind']): Outcome {
    if (outcome.kind === 'accepted') {
      // One who is refused later in the same attempt shows nothing.
      if (!this.#refused.has(distinctId)) this.#accepted += 1
      return outcome
    }
    if (outcome.kind !== 'stop' || outcome.failure.status === 401) return outcome
    const before = this.#refused.get(distinctId)
    // While the host is not open, others are refused as well.
    if (before !== undefined && before < this.#accepted && host === 'open') {
      this.#refused.delete(distinctId)
      return refusedAlone(outcome.failure)
    }
    this.#refused.delete(distinctId)
    this.#refused.set(distinctId, this.#accepted)
    const oldest = this.#refused.keys().next()
    if (this.#refused.size > MOST_USERS && !oldest.done) this.#refused.delete(oldest.value)
    return outcome
  }

  /** Its attempt was accepted to the end. */
  forget(distinctId: string): void {
    this.#refused.delete(distinctId)
  }
}
