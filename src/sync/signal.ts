// A bell that one side rings and the other waits for. Who waits names the count it has seen, so that a ring between
// looking and waiting is never missed.

export class Signal {
  #count = 0
  #ring = Promise.withResolvers<void>()

  get count(): number {
    return this.#count
  }

  notify(): void {
    this.#count += 1
    this.#ring.resolve()
    this.#ring = Promise.withResolvers()
  }

  /** Resolves when it rang more than `seen` times, or after `timeoutMs`. */
  async after(seen: number, timeoutMs: number): Promise<void> {
    if (this.#count > seen) return
    const timeout = Promise.withResolvers<void>()
    const timer = setTimeout(timeout.resolve, timeoutMs)
    try {
      await Promise.race([this.#ring.promise, timeout.promise])
    } finally {
      clearTimeout(timer)
    }
  }
}
