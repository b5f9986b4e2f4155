// Claims whose answer was lost: the server may have committed them, and this owner would then never claim those users again
// (P1). Guarantees that each is given back before the next claim, and once more when its statement has certainly ended.
import type { DeliveryState } from '../core/delivery-port.ts'

/** Past the statement time-out of state (60 s): a claim whose connection was cut may go on in the server until then. */
const ENDED_AFTER_MS = 65_000

interface DoubtfulClaim {
  readonly token: string
  readonly failedAtMs: number
  givenBack: boolean
}

export class DoubtfulClaims {
  readonly #state: Pick<DeliveryState, 'abandon'>
  readonly #owner: string
  #claims: DoubtfulClaim[] = []

  constructor(state: Pick<DeliveryState, 'abandon'>, owner: string) {
    this.#state = state
    this.#owner = owner
  }

  add(token: string): void {
    this.#claims.push({ token, failedAtMs: performance.now(), givenBack: false })
  }

  /** @throws when state is away: then nothing may be claimed. */
  async giveBack(): Promise<void> {
    for (const claim of [...this.#claims]) {
      const ended = performance.now() - claim.failedAtMs >= ENDED_AFTER_MS
      if (claim.givenBack && !ended) continue
      await this.#state.abandon(this.#owner, claim.token)
      claim.givenBack = true
      if (ended) this.#claims = this.#claims.filter((other) => other !== claim)
    }
  }
}
