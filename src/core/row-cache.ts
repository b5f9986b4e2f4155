// The last streamed state of recently changed rows: tells an UPDATE of unmapped columns from a mapped one without asking
// the database, and knows unchanged TOAST values. An entry is right because every streamed change of its row passes
// through the same process: it is taken out when a change arrives and put back when that change is stored. Bounded in
// bytes, in two generations: when the young one has its half, the old one is dropped whole.
import { rowSize, sameRow } from './change-batch.ts'
import type { RawRow, TextRow } from './row.ts'

export class RowCache {
  readonly #halfBytes: number
  #young = new Map<string, TextRow>()
  #old = new Map<string, TextRow>()
  #youngBytes = 0

  constructor(maxBytes: number) {
    this.#halfBytes = maxBytes / 2
  }

  get(key: string): TextRow | undefined {
    return this.#young.get(key) ?? this.#old.get(key)
  }

  holds(key: string, row: RawRow): boolean {
    const known = this.get(key)
    return known !== undefined && sameRow(known, row)
  }

  set(key: string, row: TextRow): void {
    const sizeBytes = 120 + key.length + rowSize(row)
    if (sizeBytes > this.#halfBytes) return this.delete(key)
    this.#youngBytes += sizeBytes
    if (this.#youngBytes > this.#halfBytes) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngBytes = sizeBytes
    }
    this.#young.set(key, row)
    this.#old.delete(key)
  }

  delete(key: string): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
    this.#youngBytes = 0
  }
}
