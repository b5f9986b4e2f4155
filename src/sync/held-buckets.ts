// The buckets of one sender: of which it may claim, which it is about to give up, and how many users of each it has in hand. Guarantees
// that a bucket counts as quiet only when no claim can bring a user of it and none is in hand (DESIGN §7.1).

export class HeldBuckets {
  #open: readonly number[] = []
  #leaving: ReadonlySet<number> = new Set()
  readonly #inHand = new Map<number, number>()
  /** Of a claim that is under way. */
  #claimed: ReadonlySet<number> = new Set()

  /** May be claimed from. */
  get open(): readonly number[] {
    return this.#open
  }

  get leaving(): ReadonlySet<number> {
    return this.#leaving
  }

  get size(): number {
    return this.#open.length + this.#leaving.size
  }

  /** Of those it has: the others are about to leave. */
  keep(buckets: readonly number[]): void {
    const kept = new Set(buckets)
    const all = [...this.#open, ...this.#leaving]
    this.#open = all.filter((bucket) => kept.has(bucket))
    this.#leaving = new Set(all.filter((bucket) => !kept.has(bucket)))
  }

  take(buckets: readonly number[]): void {
    const all = new Set([...this.#open, ...buckets.filter((bucket) => !this.#leaving.has(bucket))])
    this.#open = [...all]
  }

  /** They are another's now, or nobody's. */
  drop(buckets: readonly number[]): void {
    const gone = new Set(buckets)
    this.#open = this.#open.filter((bucket) => !gone.has(bucket))
    this.#leaving = new Set([...this.#leaving].filter((bucket) => !gone.has(bucket)))
  }

  /** @param claim with the buckets that may be claimed from; what it brings is in hand before it resolves. */
  async during<T>(claim: (buckets: readonly number[]) => Promise<T>): Promise<T> {
    const buckets = this.#open
    this.#claimed = new Set(buckets)
    try {
      return await claim(buckets)
    } finally {
      this.#claimed = new Set()
    }
  }

  entered(bucket: number): void {
    this.#inHand.set(bucket, (this.#inHand.get(bucket) ?? 0) + 1)
  }

  left(bucket: number): void {
    const count = (this.#inHand.get(bucket) ?? 0) - 1
    if (count > 0) this.#inHand.set(bucket, count)
    else this.#inHand.delete(bucket)
  }

  /** Of those about to leave, the ones that nothing of ours touches any more. */
  quiet(): readonly number[] {
    return [...this.#leaving].filter((bucket) => !this.#inHand.has(bucket) && !this.#claimed.has(bucket))
  }
}
