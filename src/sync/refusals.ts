// Whose request SuprSend refused as if everybody were meant: with 402 or 403, or asked to slow down. Guarantees that a user who
// alone is answered so stops nobody for long (P6): answered so again although others were accepted since, it is that user's own.
// Bounded; what is forgotten costs one more pause. A 401 is about the key and nobody else.
import type { Outcome } from '../core/api.ts'
import type { HostState } from '../core/host-state.ts'
import { refusedAlone } from '../core/outcome.ts'

const MOST_USERS = 1_000

/** A rate that is passed meets one user twice by chance, three times in a row hardly. */
const PACED_TIMES = 3
const REFUSED_TIMES = 2

interface Met {
  readonly kind: 'refused' | 'paced'
  /** In a row, others accepted before each but the first. */
  readonly times: number
  /** How many requests of others had been accepted. */
  readonly accepted: number
}

export class Refusals {
  readonly #met = new Map<string, Met>()
  #accepted = 0

  /** What an answer means in the light of those before it. */
  judge(distinctId: string, outcome: Outcome, host: HostState['kind']): Outcome {
    if (outcome.kind === 'accepted') {
      // One who is refused later in the same attempt shows nothing.
      if (!this.#met.has(distinctId)) this.#accepted += 1
      return outcome
    }
    const kind = kindOf(outcome)
    if (kind === null) return outcome
    const before = this.#met.get(distinctId)
    const same = before?.kind === kind ? before : undefined
    // While the host is not open, others are answered so as well.
    const again = same !== undefined && same.accepted < this.#accepted && host === 'open'
    const times = again ? same.times + 1 : (same?.times ?? 1)
    this.#note(distinctId, { kind, times, accepted: this.#accepted })
    const judged = alone(outcome, times)
    // Sent again by hand it is judged anew: by then the key may be what is refused.
    if (judged.kind === 'rejected') this.#met.delete(distinctId)
    return judged
  }

  /** Its attempt was accepted to the end. */
  forget(distinctId: string): void {
    this.#met.delete(distinctId)
  }

  #note(distinctId: string, met: Met): void {
    this.#met.delete(distinctId)
    this.#met.set(distinctId, met)
    const oldest = this.#met.keys().next()
    if (this.#met.size > MOST_USERS && !oldest.done) this.#met.delete(oldest.value)
  }
}

function kindOf(outcome: Outcome): Met['kind'] | null {
  if (outcome.kind === 'stop') return outcome.failure.status === 401 ? null : 'refused'
  if (outcome.kind !== 'retry' || outcome.scope !== 'host') return null
  return outcome.failure.status === 429 || (outcome.failure.status === 503 && outcome.floorMs > 0) ? 'paced' : null
}

function alone(outcome: Outcome, times: number): Outcome {
  if (outcome.kind === 'stop' && times >= REFUSED_TIMES) return refusedAlone(outcome.failure)
  if (outcome.kind === 'retry' && times >= PACED_TIMES) return { ...outcome, scope: 'user' }
  return outcome
}
