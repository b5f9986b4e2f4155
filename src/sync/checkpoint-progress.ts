// Where the checkpoint stands and what its next move waits for: the clock and the memory behind core's checkpoint policy.
// Only what is persisted may be confirmed to the slot (P1).
import { type IdleProgress, shouldPersist, walRelease } from '../core/checkpoint-policy.ts'
import type { Lsn } from '../core/lsn.ts'

export interface CaptureStart {
  /** The checkpoint: where to go on. */
  readonly lsn: Lsn
  /** Where the newest transaction commits of which slices were stored before a crash, beyond the checkpoint. */
  readonly slicedLsn: Lsn | null
}

export class CheckpointProgress {
  readonly #walIsScarce: () => boolean
  #persisted: Lsn
  #persistedAt = Number.NEGATIVE_INFINITY
  /** When a write passed a WAL segment of which the server has not let go yet. */
  #segmentPassedAt: number | null = null
  /** Where transactions commit of which slices are stored beyond the persisted LSN: their end must move the checkpoint. */
  #sliced: readonly Lsn[]

  constructor({ lsn, slicedLsn }: CaptureStart, walIsScarce: () => boolean) {
    this.#walIsScarce = walIsScarce
    this.#persisted = lsn
    this.#sliced = slicedLsn === null ? [] : [slicedLsn]
  }

  get persisted(): Lsn {
    return this.#persisted
  }

  /** Whether moving to `settled` is worth a write although nothing else has to be stored. */
  isDue(settled: Lsn, replyRequested: boolean): boolean {
    return shouldPersist(this.#progress(settled, replyRequested))
  }

  storedSlice(commitLsn: Lsn): void {
    this.#sliced = [...this.#sliced, commitLsn]
  }

  moved(to: Lsn): void {
    const nowMs = performance.now()
    const release = walRelease(this.#progress(to, false))
    if (release !== 'waited for') this.#segmentPassedAt = release === 'begins' ? nowMs : null
    this.#persisted = to
    this.#persistedAt = nowMs
    this.#sliced = this.#sliced.filter((commitLsn) => commitLsn >= to)
  }

  #progress(settled: Lsn, replyRequested: boolean): IdleProgress {
    return {
      settled,
      persisted: this.#persisted,
      replyRequested,
      walIsScarce: this.#walIsScarce(),
      endsSlices: this.#sliced.some((commitLsn) => commitLsn < settled),
      sinceLastWriteMs: performance.now() - this.#persistedAt,
      sinceSegmentMs: this.#segmentPassedAt === null ? null : performance.now() - this.#segmentPassedAt,
    }
  }
}
