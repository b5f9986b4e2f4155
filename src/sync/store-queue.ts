// The batches of capture that are being stored, in their order: the first is committed while the second is read ahead, so
// that PostgreSQL and this process work at the same time. A batch that fails keeps its place: nothing after it is stored.
import type { ChangeBatch } from '../core/change-batch.ts'
import type { RawRow } from '../core/row.ts'

interface Storing {
  readonly batch: ChangeBatch
  readonly done: Promise<void>
}

const MAX_STORING = 2

export class StoreQueue {
  #storing: readonly Storing[] = []

  get isEmpty(): boolean {
    return this.#storing.length === 0
  }

  /** Those behind `batch`. */
  after(batch: ChangeBatch): readonly ChangeBatch[] {
    const batches = this.#storing.map((storing) => storing.batch)
    return batches.slice(batches.indexOf(batch) + 1)
  }

  /** The row's newest state here, as `ChangeBatch.latest`. */
  latest(table: number, key: string): RawRow | null | undefined {
    return this.#storing.findLast(({ batch }) => batch.latest(table, key) !== undefined)?.batch.latest(table, key)
  }

  /**
   * Calls `store` with what was read ahead once every batch before is stored. The promise rejects with the first failure,
   * its own or an earlier batch's; the caller must hear it.
   */
  push<Read>(batch: ChangeBatch, ahead: Promise<Read>, store: (read: Read) => Promise<void>): Promise<void> {
    const done = inOrder(this.#storing.at(-1)?.done, ahead, store).then(() => {
      this.#storing = this.#storing.slice(1)
    })
    this.#storing = [...this.#storing, { batch, done }]
    return done
  }

  /** Until one more may be pushed; throws what failed. */
  async room(): Promise<void> {
    while (this.#storing.length >= MAX_STORING) await this.#storing[0]?.done
  }

  /** Until everything is stored; throws what failed. */
  async drained(): Promise<void> {
    while (this.#storing.length > 0) await this.#storing[0]?.done
  }

  /** Until nothing is under way any more, be it stored or failed. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#storing.map(({ done }) => done))
  }
}

async function inOrder<Read>(
  before: Promise<void> | undefined,
  ahead: Promise<Read>,
  store: (read: Read) => Promise<void>,
): Promise<void> {
  const [earlier, read] = await Promise.allSettled([before, ahead])
  if (earlier.status === 'rejected') throw earlier.reason
  if (read.status === 'rejected') throw read.reason
  await store(read.value)
}
