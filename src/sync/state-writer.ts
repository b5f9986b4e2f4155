// The one road into state for both capture and backfill: reads what is stored, lets core judge who is newer, merges the
// users that are touched, and commits everything in one transaction. One write at a time, so that what was read is still
// so when it is written: what was read ahead, while another batch was being committed, is read again where that batch wrote.
// Another process is kept out by the fence in the commit.
import type { BackfillProgress, CaptureState, RowWrite, StateCommit, WalkedRows } from '../core/capture-port.ts'
import type { FailPoints } from '../core/fail-points.ts'
import { type Lsn, later, NO_LSN } from '../core/lsn.ts'
import type { Metrics } from '../core/metrics.ts'
import { type CommitBy, type Parking, parking } from '../core/parking.ts'
import { pagedWrite, streamedWrite, sweptWrite, TouchedUsers } from '../core/row-writes.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { Page } from '../core/source-port.ts'
import {
  ABSENT,
  judgePaged,
  judgeStreamed,
  needsVersion,
  type PagedRow,
  type RowContent,
  rowId,
  type StoredRow,
  type StreamedRow,
  type StreamVerdict,
} from '../core/source-row.ts'
import { assembleUsers } from './assembly.ts'
import { Breather } from './breather.ts'
import type { RowMapper } from './row-mapper.ts'

export interface StateWriterOptions {
  readonly state: CaptureState
  /**
   * Names of the tables in state: the users table, the child tables in the order of the mapping, and those that are mapped no
   * more, whose rows count until they are forgotten.
   */
  readonly sources: readonly [string, ...string[]]
  readonly mapper: Pick<RowMapper, 'content' | 'idIsKey'>
  /** Runs of a backfill that are owed: pages are read until the last one of each is stored. */
  readonly owedBackfills: number
  /** What is to be done before every row is mapped by the mapping of today (core/parking.ts). */
  readonly stepsLeft: number
  readonly metrics: Metrics
  readonly failPoints: FailPoints
  /** Called after each commit that may have made users pending. */
  readonly onPending: () => void
}

/** What was read and mapped for a batch before its turn came. */
export interface ReadAhead {
  readonly rows: readonly StreamedRow[]
  /** Of the rows, as rowId gives them; so are all keys below. */
  readonly ids: ReadonlySet<string>
  /** The rows that differ from what is stored; null: unknown to state. */
  readonly stored: Map<string, StoredRow | null>
  readonly contents: Map<string, RowContent>
  /** Rows that were being written when this was read, or since: they are read again. */
  readonly stale: Set<string>
}

const NOTHING: Omit<StateCommit, 'lane' | 'parking'> = {
  rows: [],
  seen: null,
  profiles: [],
  marks: [],
  lsn: null,
  truncate: null,
  forget: null,
  backfill: null,
  pagesLsn: null,
}
const SLICE = 2_000
const BREATHE_EVERY_ROWS = 50

export class StateWriter {
  readonly #options: StateWriterOptions
  #owedBackfills: number
  #stepsLeft: number
  #sources: StateWriterOptions['sources']
  #turn: Promise<unknown> = Promise.resolve()
  readonly #ahead = new Set<ReadAhead>()
  /** The rows of the commit that is under way. */
  #writing: readonly string[] = []

  constructor(options: StateWriterOptions) {
    this.#options = options
    this.#owedBackfills = options.owedBackfills
    this.#stepsLeft = options.stepsLeft
    this.#sources = options.sources
  }

  /** More runs are owed than at the start. */
  owe(backfills: number): void {
    this.#owedBackfills += backfills
  }

  /** A run ended before its last page. */
  calledOff(): void {
    this.#owedBackfills -= 1
  }

  /** One of the steps is done; with the last, whoever waited for it goes on. */
  async stepDone(): Promise<void> {
    this.#stepsLeft -= 1
    if (this.#stepsLeft === 0) await this.unpark()
  }

  async unpark(): Promise<void> {
    if ((await this.#options.state.unpark()) > 0) this.#options.onPending()
  }

  /** Reads and maps what storing these rows will need. Needs no turn: it may go on while an earlier batch is committed. */
  async readAhead(rows: readonly StreamedRow[]): Promise<ReadAhead> {
    const ids = new Set(rows.map(({ source, key }) => rowId(source, key)))
    const stale = new Set(this.#writing.filter((id) => ids.has(id)))
    const ahead: ReadAhead = { rows, ids, stored: new Map(), contents: new Map(), stale }
    this.#ahead.add(ahead)
    try {
      await this.#read(ahead, rows)
      return ahead
    } catch (error) {
      this.#ahead.delete(ahead)
      throw error
    }
  }

  /** @returns false when nothing needed to be written: then the checkpoint has not moved either. */
  storeStreamed(ahead: ReadAhead, lsn: Lsn | null): Promise<boolean> {
    return this.#inTurn(async () => {
      this.#ahead.delete(ahead)
      const { rows, stale } = ahead
      if (stale.size > 0) {
        for (const id of stale) ahead.stored.delete(id)
        await this.#read(
          ahead,
          rows.filter(({ source, key }) => stale.has(rowId(source, key))),
        )
      }
      const { state, metrics } = this.#options
      const surroundings = { era: state.era, paging: this.#paging }
      const skipped: Record<Exclude<StreamVerdict, 'write'>, number> = { noop: 0, replay: 0, older: 0 }
      const touched = new TouchedUsers()
      const writes: RowWrite[] = []
      let pagesLsn: Lsn | null = null
      for (const unmapped of rows) {
        const id = rowId(unmapped.source, unmapped.key)
        const content = ahead.contents.get(id)
        const known = ahead.stored.get(id)
        if (known === undefined || content === undefined) {
          skipped.noop += 1
          continue
        }
        const row = { ...unmapped, content }
        const verdict = judgeStreamed(known ?? undefined, row, surroundings)
        if (verdict !== 'write') {
          skipped[verdict] += 1
          continue
        }
        writes.push(streamedWrite(row, known ?? undefined, state.era))
        if (row.readLsn !== null) pagesLsn = later(row.readLsn, pagesLsn ?? NO_LSN)
        touched.add(known ?? undefined, content, {
          changeLsn: row.commitLsn,
          firstChangedAt: row.firstCommittedAt,
          lastChangedAt: row.lastCommittedAt,
        })
      }
      if (skipped.noop > 0) metrics.skippedChanges('unmapped_noop', skipped.noop)
      if (skipped.replay > 0) metrics.skippedChanges('replay', skipped.replay)
      if (skipped.older > 0) metrics.skippedChanges('older', skipped.older)
      if (writes.length === 0) return false
      await this.#commit(writes, ahead.stored, touched, {
        ...NOTHING,
        lane: 0,
        parking: this.#parking('stream'),
        lsn,
        pagesLsn,
      })
      return true
    })
  }

  #parking(by: CommitBy['by']): Parking {
    return parking({ by, stepsLeft: this.#stepsLeft })
  }

  get #paging(): boolean {
    return this.#owedBackfills > 0
  }

  async #read(ahead: ReadAhead, rows: readonly StreamedRow[]): Promise<void> {
    const { state, mapper } = this.#options
    const breather = new Breather(BREATHE_EVERY_ROWS)
    for (const [source, some] of Map.groupBy(rows, (row) => row.source)) {
      const changed = await state.readChangedRows(
        source,
        some.map((row) => ({ key: row.key, rowHash: needsVersion(row, this.#paging) ? null : row.rowHash })),
      )
      for (const { key, row, content } of some) {
        const known = changed.get(key)
        if (known === undefined) continue
        const id = rowId(source, key)
        ahead.stored.set(id, known)
        if (ahead.contents.has(id)) continue
        ahead.contents.set(id, content ?? (row === null ? ABSENT : mapper.content(source, row)))
        if (breather.isDue()) await breather.breathe()
      }
    }
  }

  storePage(
    source: string,
    rows: readonly PagedRow[],
    { snapshot, lsn, backfill }: Omit<Page, 'rows'> & { readonly backfill: BackfillProgress },
  ): Promise<void> {
    return this.#inTurn(async () => {
      const { state, metrics } = this.#options
      const stored = await state.readRows(
        source,
        rows.map((row) => row.key),
      )
      const page = { source, snapshot, era: state.era, truncateXid: await state.readTruncateXid(source) }
      const touched = new TouchedUsers()
      const writes: RowWrite[] = []
      const seen: { readonly key: string; readonly rowHash: string | null }[] = []
      const now = Date.now()
      for (const row of rows) {
        const known = stored.get(row.key)
        const verdict = judgePaged(known, row, page)
        if (verdict === 'seen') seen.push({ key: row.key, rowHash: row.content.rowHash })
        if (verdict !== 'write') continue
        writes.push(pagedWrite(row, known, page))
        touched.add(known, row.content, { changeLsn: NO_LSN, firstChangedAt: now, lastChangedAt: now })
      }
      const seenRows = seen.length === 0 ? null : { source, rows: seen, snapshot }
      const base = {
        ...NOTHING,
        lane: 1,
        parking: this.#parking('page'),
        seen: seenRows,
        backfill,
        pagesLsn: lsn,
      } as const
      await this.#commit(writes, byId(source, stored), touched, base)
      if (backfill.finished) this.#owedBackfills -= 1
      metrics.backfillRows(rows.length)
    })
  }

  /**
   * Tombstones for rows that no page of the run has shown, in slices between which live edits are stored; then the run is at
   * its end. Begun again if interrupted: what is swept is not found again.
   */
  async sweep(
    source: string,
    run: BackfillProgress & { readonly first: Snapshot },
    signal: AbortSignal,
  ): Promise<number> {
    let swept = 0
    for (let afterKey: string | null = null; ; ) {
      signal.throwIfAborted()
      const next: string | null = await this.#inTurn(async () => {
        const { state } = this.#options
        const { rows, last } = await state.readUnseen(source, { first: run.first, afterKey, limit: SLICE })
        const finished = last === null
        if (rows.length === 0 && !finished) return last
        const touched = new TouchedUsers()
        const now = Date.now()
        for (const row of rows) touched.add(row, ABSENT, { changeLsn: NO_LSN, firstChangedAt: now, lastChangedAt: now })
        const writes = rows.map((row) => sweptWrite(row, { source, first: run.first, era: state.era }))
        const stored = byId(source, new Map(rows.map((row) => [row.key, row])))
        const base = { ...NOTHING, lane: 1, parking: this.#parking('page'), backfill: { ...run, finished } } as const
        await this.#commit(writes, stored, touched, base)
        if (finished) this.#owedBackfills -= 1
        swept += rows.length
        return last
      })
      if (next === null) return swept
      afterKey = next
    }
  }

  /** Tombstones for every row that the TRUNCATE removed, in slices; the checkpoint does not move. */
  storeTruncate(
    source: string,
    version: { readonly xid: bigint; readonly lsn: Lsn; readonly committedAt: number },
    stop: AbortSignal | null,
  ): Promise<void> {
    return this.#inTurn(async () => {
      const { state } = this.#options
      const touch = { changeLsn: version.lsn, firstChangedAt: version.committedAt, lastChangedAt: version.committedAt }
      let truncate: StateCommit['truncate'] = { source, xid: version.xid, lsn: version.lsn }
      let afterKey: string | null = null
      for (;;) {
        stop?.throwIfAborted() // begun again from the checkpoint
        const { xid, lsn } = version
        const { rows, last }: WalkedRows = await state.readTruncated(source, { xid, lsn, afterKey, limit: SLICE })
        const stored = new Map(rows.map((row) => [row.key, row]))
        const touched = new TouchedUsers()
        const writes = rows.map((row): RowWrite => {
          touched.add(row, ABSENT, touch)
          const readSnapshot = row.era === state.era ? row.readSnapshot : null
          return {
            source,
            key: row.key,
            content: { ...ABSENT, distinctId: row.distinctId, userKey: row.userKey },
            version: { changeXid: version.xid, changeLsn: version.lsn, readSnapshot },
          }
        })
        const base = { ...NOTHING, lane: 0, parking: this.#parking('stream'), truncate } as const
        if (rows.length > 0 || truncate !== null) await this.#commit(writes, byId(source, stored), touched, base)
        if (last === null) return
        truncate = null
        afterKey = last
      }
    })
  }

  /**
   * Forgets a table that is followed no more: its users lose what its rows gave them. In slices, between which live edits are
   * stored; begun again if interrupted.
   */
  async forget(source: string, signal: AbortSignal): Promise<void> {
    const [users, ...others] = this.#sources
    this.#sources = [users, ...others.filter((other) => other !== source)]
    for (let afterKey: string | null = null; ; ) {
      signal.throwIfAborted()
      const last: string | null = await this.#inTurn(async () => {
        const rows = await this.#options.state.readAny(source, { afterKey, limit: SLICE })
        if (rows.length === 0) return null
        const touched = new TouchedUsers()
        const now = Date.now()
        for (const row of rows) touched.add(row, ABSENT, { changeLsn: NO_LSN, firstChangedAt: now, lastChangedAt: now })
        const forget = { source, keys: rows.map((row) => row.key) }
        const base = { ...NOTHING, lane: 1, parking: this.#parking('page'), forget } as const
        await this.#commit([], new Map(), touched, base)
        return rows.at(-1)?.key ?? null
      })
      if (last === null) return
      afterKey = last
    }
  }

  /** Moves the checkpoint although nothing more has to be stored; users of a transaction stored in slices become due. */
  advance(lsn: Lsn): Promise<void> {
    return this.#inTurn(async () => {
      await this.#options.state.advance(lsn)
      this.#options.onPending()
    })
  }

  async #commit(
    rows: readonly RowWrite[],
    stored: ReadonlyMap<string, StoredRow | null>,
    touched: TouchedUsers,
    base: StateCommit,
  ): Promise<void> {
    const { state, mapper, metrics, failPoints, onPending } = this.#options
    const sources = this.#sources
    const [users] = sources
    const { profiles, marks } = await assembleUsers({ state, mapper, sources }, { rows, stored, touched })
    const write = { ...base, rows, marks, profiles }
    const { seen } = base
    this.#outdate([
      ...rows.map(({ source, key }) => rowId(source, key)),
      ...(seen?.rows ?? []).map(({ key }) => rowId(seen?.source ?? '', key)),
      ...marks.map(({ key }) => rowId(users, key)),
    ])
    const startedAt = performance.now()
    await state.commit(users, write, () => failPoints.hit('in_state_transaction'))
    this.#writing = []
    metrics.stateCommit(performance.now() - startedAt)
    // Slices are due only with the end of their transaction, pages at once.
    if (base.lsn !== null || (profiles.length > 0 && base.lane === 1)) onPending()
  }

  #outdate(ids: readonly string[]): void {
    this.#writing = ids
    for (const { ids: theirs, stale } of this.#ahead) for (const id of ids) if (theirs.has(id)) stale.add(id)
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(task)
    this.#turn = result.catch(() => undefined) // the caller gets the error; the next turn is not its business
    return result
  }
}

function byId(source: string, stored: ReadonlyMap<string, StoredRow>): ReadonlyMap<string, StoredRow> {
  return new Map([...stored].map(([key, row]) => [rowId(source, key), row]))
}
