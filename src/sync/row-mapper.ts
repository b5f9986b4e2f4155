// From batched row changes to what they contribute: maps complete rows, reads those again whose unchanged TOAST value (or
// reshaped column) the stream did not carry. Such a reading is a page: it counts with its snapshot, and only once that
// snapshot sees the change (a commit is streamed before other sessions see it).
import { sleep } from '../core/abort.ts'
import { type BatchedRow, rowSize } from '../core/change-batch.ts'
import type { MappedChild, MappedRow } from '../core/mapping.ts'
import type { Metrics } from '../core/metrics.ts'
import { FIRST_PAGE_ROWS, nextPageRows } from '../core/page-size.ts'
import { documentOf } from '../core/profile.ts'
import { isComplete, rowKey, type TextRow } from '../core/row.ts'
import { sees } from '../core/snapshot.ts'
import type { Page, SourceTable } from '../core/source-port.ts'
import { partHash, type RowContent, rowHash, type StreamedRow } from '../core/source-row.ts'

/** A followed table with its mapping. */
export interface MappedTable extends SourceTable {
  readonly map: (row: TextRow) => MappedRow | MappedChild
  /** Another mapping, another hash: what was stored under the former is mapped anew. */
  readonly mappingHash: string
  /** Of what tells whose a row is: the distinct_id, or of a child table the columns that name the users row. */
  readonly ownerHash: string
}

export interface CompiledSource {
  /** The users table, then the child tables in the order of the mapping. */
  readonly tables: readonly [MappedTable, ...MappedTable[]]
  /** A users row's distinct_id is its key, exactly. */
  readonly idIsKey: boolean
}

export class RowMapper {
  readonly #byOid: ReadonlyMap<number, MappedTable>
  readonly #byName: ReadonlyMap<string, MappedTable>
  readonly #metrics: Metrics
  readonly idIsKey: boolean

  constructor({ tables, idIsKey }: CompiledSource, metrics: Metrics) {
    this.#byOid = new Map(tables.map((table) => [table.table.oid, table]))
    this.#byName = new Map(tables.map((table) => [table.name, table]))
    this.#metrics = metrics
    this.idIsKey = idIsKey
  }

  /** @param source the table's name. */
  content(source: string, row: TextRow): RowContent {
    const { map, mappingHash } = known(this.#byName.get(source))
    const mapped = map(row)
    for (const reason of mapped.reasons) this.#metrics.valueLeftOut(reason.key, reason.code)
    const { reasons } = mapped
    const part = mapped.kind === 'absent' ? null : documentOf(mapped.profile)
    return {
      distinctId: 'distinctId' in mapped ? mapped.distinctId : null,
      userKey: 'userKey' in mapped ? mapped.userKey : null,
      part,
      partHash: partHash(part, reasons),
      rowHash: rowHash(mappingHash, row),
      reasons,
    }
  }

  /** @param stop gives up waiting for a change that readings do not see yet: it will be received again. */
  async streamed(
    batch: Iterable<BatchedRow>,
    signals: { readonly ended: AbortSignal; readonly stop: AbortSignal | null },
  ): Promise<readonly StreamedRow[]> {
    const rows: StreamedRow[] = []
    const incomplete: BatchedRow[] = []
    for (const batched of batch) {
      if (batched.row !== null && !isComplete(batched.row)) incomplete.push(batched)
      else rows.push(this.#streamed(known(this.#byOid.get(batched.table)), batched, batched.row, null))
    }
    for (const [oid, some] of Map.groupBy(incomplete, (batched) => batched.table)) {
      for await (const row of this.#readAgain(known(this.#byOid.get(oid)), some, signals)) rows.push(row)
    }
    signals.ended.throwIfAborted()
    return rows
  }

  async *#readAgain(
    source: MappedTable,
    incomplete: readonly BatchedRow[],
    { ended, stop }: { readonly ended: AbortSignal; readonly stop: AbortSignal | null },
  ): AsyncGenerator<StreamedRow> {
    for (let left = incomplete, limit = FIRST_PAGE_ROWS; left.length > 0 && !ended.aborted; ) {
      const some = left.slice(0, limit)
      const askedAt = performance.now()
      const page = await source.pages.rows(some.map((batched) => batched.keyValues))
      const found = new Map(page.rows.map((row) => [rowKey(source.table, row), row]))
      const unseen = some.filter((batched) => !sees(page.snapshot, batched.version.xid))
      for (const batched of some) {
        if (sees(page.snapshot, batched.version.xid)) {
          yield this.#streamed(source, batched, found.get(batched.key) ?? null, page)
        }
      }
      limit = nextPageRows(limit, {
        rows: page.rows.length,
        sizeBytes: page.rows.reduce((sum, row) => sum + rowSize(row), 0),
        tookMs: performance.now() - askedAt,
      })
      left = [...left.slice(some.length), ...unseen]
      if (unseen.length < some.length) continue
      stop?.throwIfAborted()
      await sleep(20, ended)
    }
  }

  /** @param page what the row was read again from; null: it came whole. */
  #streamed(
    source: MappedTable,
    batched: BatchedRow,
    row: TextRow | null,
    page: Omit<Page, 'rows'> | null,
  ): StreamedRow {
    const reread = row !== null && page !== null
    return {
      source: source.name,
      key: batched.key,
      row: reread ? null : row,
      content: reread ? this.content(source.name, row) : null,
      rowHash: row === null ? null : rowHash(source.mappingHash, row),
      xid: batched.version.xid,
      commitLsn: batched.version.commitLsn,
      firstCommittedAt: batched.firstCommittedAt,
      lastCommittedAt: batched.version.committedAt,
      varied: batched.varied,
      readSnapshot: page?.snapshot ?? null,
      readLsn: page?.lsn ?? null,
    }
  }
}

function known(table: MappedTable | undefined): MappedTable {
  if (table) return table
  throw new TypeError('a row of a table that the mapping does not follow')
}
