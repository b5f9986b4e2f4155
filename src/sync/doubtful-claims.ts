// Claims whose answer was lost: the server may have committed them, or may yet, and this sender would then never claim those users again
// (P1). Guarantees that all are given back before the next claim, and before a bucket is given up.
import type { DeliveryState } from '../core/delivery-port.ts'

export class DoubtfulClaims {
  readonly #state: Pick<DeliveryState, 'abandon'>
  #tokens: readonly string[] = []

  constructor(state: Pick<DeliveryState, 'abandon'>) {
    this.#state = state
  }

  get any(): boolean {
    return this.#tokens.length > 0
  }

  add(token: string): void {
    this.#tokens = [...this.#tokens, token]
  }

  /** @throws when state is away: then nothing may be claimed. */
  async giveBack(): Promise<void> {
    if (!this.any) return
    await this.#state.abandon(this.#tokens)
    this.#tokens = []
  }
}
