// The last streamed state of recently changed rows: tells an UPDATE of unmapped columns from a mapped one without asking
// the database, and knows unchanged TOAST values. An entry is right because every streamed change of its row passes
// through the same process: it is taken out when a change arrives and put back when that change is stored. Bounded in bytes.
import { rowSize, sameRow } from './change-batch.ts'
import type { RawRow, TextRow } from './row.ts'

export class RowCache {
  readonly #rows = new Map<string, TextRow>()
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get(id: string): TextRow | undefined {
    return this.#rows.get(id)
  }

  holds(id: string, row: RawRow): boolean {
    const known = this.#rows.get(id)
    return known !== undefined && sameRow(known, row)
  }

  set(id: string, row: TextRow): void {
    this.delete(id)
    this.#rows.set(id, row)
    this.#bytes += entrySize(id, row)
    for (const [oldest, old] of this.#rows) {
      if (this.#bytes <= this.#maxBytes) break
      this.#rows.delete(oldest)
      this.#bytes -= entrySize(oldest, old)
    }
  }

  delete(id: string): void {
    const row = this.#rows.get(id)
    if (!row) return
    this.#rows.delete(id)
    this.#bytes -= entrySize(id, row)
  }

  clear(): void {
    this.#rows.clear()
    this.#bytes = 0
  }
}

function entrySize(id: string, row: TextRow): number {
  return 120 + id.length + rowSize(row)
}
