// The one road into state for both capture and backfill: reads what is stored, lets core judge who is newer, merges the
// users that are touched, and commits everything in one transaction. One write at a time, so that what was read is still
// so when it is written: what was read ahead, while another batch was being committed, is read again where that batch wrote.
// Another process is kept out by the fence in the commit.
import type { BackfillProgress, CaptureState, RowWrite, StateCommit } from '../core/capture-port.ts'
import type { FailPoints } from '../core/fail-points.ts'
import { type Lsn, NO_LSN } from '../core/lsn.ts'
import type { Metrics } from '../core/metrics.ts'
import { mergeUsers } from '../core/profile-merge.ts'
import { liveRows, pagedWrite, streamedWrite, TouchedUsers } from '../core/row-writes.ts'
import type { Snapshot } from '../core/snapshot.ts'
import {
  ABSENT,
  judgePaged,
  judgeStreamed,
  needsVersion,
  type PagedRow,
  type RowContent,
  type StoredRow,
  type StreamedRow,
  type StreamVerdict,
} from '../core/source-row.ts'
import { Breather } from './breather.ts'
import type { RowMapper } from './row-mapper.ts'

export interface StateWriterOptions {
  readonly state: CaptureState
  readonly source: string
  readonly mapper: Pick<RowMapper, 'content' | 'idIsKey'>
  /** A backfill is owed: pages are read until its last one is stored. */
  readonly paging: boolean
  readonly metrics: Metrics
  readonly failPoints: FailPoints
  /** Called after each commit that may have made users pending. */
  readonly onPending: () => void
}

/** What was read and mapped for a batch before its turn came. */
export interface ReadAhead {
  readonly rows: readonly StreamedRow[]
  readonly keys: ReadonlySet<string>
  /** The rows that differ from what is stored; null: unknown to state. */
  readonly stored: Map<string, StoredRow | null>
  readonly contents: Map<string, RowContent>
  /** Rows that were being written when this was read, or since: they are read again. */
  readonly stale: Set<string>
}

const NOTHING: Omit<StateCommit, 'lane'> = {
  rows: [],
  seen: null,
  profiles: [],
  marks: [],
  lsn: null,
  truncate: null,
  backfill: null,
}
const TRUNCATE_SLICE = 2_000
const BREATHE_EVERY_ROWS = 50

export class StateWriter {
  readonly #options: StateWriterOptions
  #paging: boolean
  #turn: Promise<unknown> = Promise.resolve()
  readonly #ahead = new Set<ReadAhead>()
  /** The keys of the commit that is under way. */
  #writing: readonly string[] = []

  constructor(options: StateWriterOptions) {
    this.#options = options
    this.#paging = options.paging
  }

  /** Reads and maps what storing these rows will need. Needs no turn: it may go on while an earlier batch is committed. */
  async readAhead(rows: readonly StreamedRow[]): Promise<ReadAhead> {
    const keys = new Set(rows.map(({ key }) => key))
    const stale = new Set(this.#writing.filter((key) => keys.has(key)))
    const ahead: ReadAhead = { rows, keys, stored: new Map(), contents: new Map(), stale }
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
        for (const key of stale) ahead.stored.delete(key)
        await this.#read(
          ahead,
          rows.filter(({ key }) => stale.has(key)),
        )
      }
      const { state, metrics } = this.#options
      const surroundings = { era: state.era, paging: this.#paging }
      const skipped: Record<Exclude<StreamVerdict, 'write'>, number> = { noop: 0, replay: 0, older: 0 }
      const touched = new TouchedUsers()
      const writes: RowWrite[] = []
      for (const unmapped of rows) {
        const content = ahead.contents.get(unmapped.key)
        const known = ahead.stored.get(unmapped.key)
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
      await this.#commit(writes, ahead.stored, touched, { ...NOTHING, lane: 0, lsn })
      return true
    })
  }

  async #read(ahead: ReadAhead, rows: readonly StreamedRow[]): Promise<void> {
    if (rows.length === 0) return
    const { state, source, mapper } = this.#options
    const changed = await state.readChangedRows(
      source,
      rows.map((row) => ({ key: row.key, rowHash: needsVersion(row, this.#paging) ? null : row.rowHash })),
    )
    const breather = new Breather(BREATHE_EVERY_ROWS)
    for (const { key, row, content } of rows) {
      const known = changed.get(key)
      if (known === undefined) continue
      ahead.stored.set(key, known)
      if (ahead.contents.has(key)) continue
      ahead.contents.set(key, content ?? (row === null ? ABSENT : mapper.content(row)))
      if (breather.isDue()) await breather.breathe()
    }
  }

  storePage(rows: readonly PagedRow[], snapshot: Snapshot, backfill: BackfillProgress): Promise<void> {
    return this.#inTurn(async () => {
      const { state, source, metrics } = this.#options
      const stored = await state.readRows(
        source,
        rows.map((row) => row.key),
      )
      const page = { snapshot, era: state.era, truncateXid: await state.readTruncateXid(source) }
      const touched = new TouchedUsers()
      const writes: RowWrite[] = []
      const seen: string[] = []
      const now = Date.now()
      for (const row of rows) {
        const known = stored.get(row.key)
        const verdict = judgePaged(known, row, page)
        if (verdict === 'seen') seen.push(row.key)
        if (verdict !== 'write') continue
        writes.push(pagedWrite(row, known, page))
        touched.add(known, row.content, { changeLsn: NO_LSN, firstChangedAt: now, lastChangedAt: now })
      }
      const seenRows = seen.length === 0 ? null : { keys: seen, snapshot }
      await this.#commit(writes, stored, touched, { ...NOTHING, lane: 1, seen: seenRows, backfill })
      if (backfill.finished) this.#paging = false
      metrics.backfillRows(rows.length)
    })
  }

  /** Tombstones for every row that the TRUNCATE removed, in slices; the checkpoint does not move. */
  storeTruncate(
    version: { readonly xid: bigint; readonly lsn: Lsn; readonly committedAt: number },
    stop: AbortSignal | null,
  ): Promise<void> {
    return this.#inTurn(async () => {
      const { state, source } = this.#options
      const touch = { changeLsn: version.lsn, firstChangedAt: version.committedAt, lastChangedAt: version.committedAt }
      let truncate: StateCommit['truncate'] = { xid: version.xid, lsn: version.lsn }
      let afterKey: string | null = null
      for (;;) {
        stop?.throwIfAborted() // begun again from the checkpoint
        const rows = await state.readTruncated(source, { ...version, afterKey, limit: TRUNCATE_SLICE })
        if (rows.length === 0 && truncate === null) return
        const stored = new Map(rows.map((row) => [row.key, row]))
        const touched = new TouchedUsers()
        const writes = rows.map((row): RowWrite => {
          touched.add(row, ABSENT, touch)
          const readSnapshot = row.era === state.era ? row.readSnapshot : null
          return {
            key: row.key,
            content: { ...ABSENT, distinctId: row.distinctId },
            version: { changeXid: version.xid, changeLsn: version.lsn, readSnapshot },
          }
        })
        await this.#commit(writes, stored, touched, { ...NOTHING, lane: 0, truncate })
        truncate = null
        afterKey = rows.at(-1)?.key ?? null
        if (rows.length < TRUNCATE_SLICE) return
      }
    })
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
    const { state, source, mapper, metrics, failPoints, onPending } = this.#options
    const ids = touched.ids
    const keys = rows.map((row) => row.key)
    const written = new Set(keys)
    const shared = mapper.idIsKey ? ids.filter((id) => !written.has(id)) : ids
    const others = shared.length === 0 ? [] : await state.readLiveRows(source, shared, keys)
    const { profiles, marks } = mergeUsers(ids, [...liveRows(rows, stored), ...others])
    const write = {
      ...base,
      rows,
      marks,
      profiles: profiles.map((profile) => ({ ...profile, ...touched.of(profile.distinctId) })),
    }
    this.#outdate([...keys, ...(base.seen?.keys ?? []), ...marks.map(({ key }) => key)])
    const startedAt = performance.now()
    await state.commit(source, write, () => failPoints.hit('in_state_transaction'))
    this.#writing = []
    metrics.stateCommit(performance.now() - startedAt)
    // Slices are due only with the end of their transaction, pages at once.
    if (base.lsn !== null || (profiles.length > 0 && base.lane === 1)) onPending()
  }

  #outdate(keys: readonly string[]): void {
    this.#writing = keys
    for (const { keys: theirs, stale } of this.#ahead) for (const key of keys) if (theirs.has(key)) stale.add(key)
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(task)
    this.#turn = result.catch(() => undefined) // the caller gets the error; the next turn is not its business
    return result
  }
}
