// From batched row changes to what they contribute: maps complete rows, reads those again whose unchanged TOAST value (or
// reshaped column) the stream did not carry. Such a reading is a page: it counts with its snapshot, and only once that
// snapshot sees the change (a commit is streamed before other sessions see it).
import { sleep } from '../core/abort.ts'
import { type BatchedRow, rowSize } from '../core/change-batch.ts'
import type { Mapping } from '../core/mapping.ts'
import type { Metrics } from '../core/metrics.ts'
import { FIRST_PAGE_ROWS, nextPageRows } from '../core/page-size.ts'
import { documentOf } from '../core/profile.ts'
import { isComplete, rowKey, type Table, type TextRow } from '../core/row.ts'
import { type Snapshot, sees } from '../core/snapshot.ts'
import type { Pages } from '../core/source-port.ts'
import { partHash, type RowContent, rowHash, type StreamedRow } from '../core/source-row.ts'

export interface CompiledSource {
  readonly mapping: Mapping
  /** Another mapping, another hash: what was stored under the former is mapped anew. */
  readonly mappingHash: string
}

export class RowMapper {
  readonly #mapping: Mapping
  readonly #mappingHash: string
  readonly #metrics: Metrics

  constructor({ mapping, mappingHash }: CompiledSource, metrics: Metrics) {
    this.#mapping = mapping
    this.#mappingHash = mappingHash
    this.#metrics = metrics
  }

  get idIsKey(): boolean {
    return this.#mapping.idIsKey
  }

  content(row: TextRow): RowContent {
    const mapped = this.#mapping.map(row)
    for (const reason of mapped.reasons) this.#metrics.valueLeftOut(reason.key, reason.code)
    const { reasons, distinctId } = mapped
    const hash = rowHash(this.#mappingHash, row)
    const part = mapped.kind === 'user' ? documentOf(mapped.profile) : null
    return { distinctId, part, partHash: partHash(part, reasons), rowHash: hash, reasons }
  }

  /** @param stop gives up waiting for a change that readings do not see yet: it will be received again. */
  async streamed(
    batch: Iterable<BatchedRow>,
    source: { readonly table: Table; readonly pages: Pages },
    { ended, stop }: { readonly ended: AbortSignal; readonly stop: AbortSignal | null },
  ): Promise<readonly StreamedRow[]> {
    const rows: StreamedRow[] = []
    const incomplete: BatchedRow[] = []
    for (const batched of batch) {
      if (batched.row !== null && !isComplete(batched.row)) incomplete.push(batched)
      else rows.push(this.#streamed(batched, batched.row, null))
    }
    for (let left = incomplete, limit = FIRST_PAGE_ROWS; left.length > 0 && !ended.aborted; ) {
      const some = left.slice(0, limit)
      const page = await source.pages.rows(some.map((batched) => batched.keyValues))
      const found = new Map(page.rows.map((row) => [rowKey(source.table, row), row]))
      const unseen = some.filter((batched) => !sees(page.snapshot, batched.version.xid))
      for (const batched of some) {
        if (sees(page.snapshot, batched.version.xid)) {
          rows.push(this.#streamed(batched, found.get(batched.key) ?? null, page.snapshot))
        }
      }
      limit = nextPageRows(limit, {
        rows: page.rows.length,
        sizeBytes: page.rows.reduce((sum, row) => sum + rowSize(row), 0),
      })
      left = [...left.slice(some.length), ...unseen]
      if (unseen.length < some.length) continue
      stop?.throwIfAborted()
      await sleep(20, ended)
    }
    ended.throwIfAborted()
    return rows
  }

  #streamed(batched: BatchedRow, row: TextRow | null, readSnapshot: Snapshot | null): StreamedRow {
    const reread = row !== null && readSnapshot !== null
    return {
      key: batched.key,
      row: reread ? null : row,
      content: reread ? this.content(row) : null,
      rowHash: row === null ? null : rowHash(this.#mappingHash, row),
      xid: batched.version.xid,
      commitLsn: batched.version.commitLsn,
      firstCommittedAt: batched.firstCommittedAt,
      lastCommittedAt: batched.version.committedAt,
      varied: batched.varied,
      readSnapshot,
    }
  }
}
