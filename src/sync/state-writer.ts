// The one road into state for both capture and backfill: reads what is stored, lets core judge who is newer, merges the
// users that are touched, and commits everything in one transaction. One write at a time, so that what was read is still
// so when it is written: what was read ahead, while another batch was being committed, is read again where that batch wrote.
// Another process is kept out by the fence in the commit.
import type { BackfillProgress, CaptureState, RowWrite, StateCommit } from '../core/capture-port.ts'
import type { FailPoints } from '../core/fail-points.ts'
import { type Lsn, later, NO_LSN } from '../core/lsn.ts'
import type { Metrics } from '../core/metrics.ts'
import type { RemapSteps } from '../core/remap-steps.ts'
import { pagedWrite, streamedWrite, TouchedUsers } from '../core/row-writes.ts'
import { parseSnapshot } from '../core/snapshot.ts'
import {
  byId,
  judgePaged,
  judgeStreamed,
  rowId,
  type StoredRow,
  type StreamedRow,
  type StreamVerdict,
} from '../core/source-row.ts'
import { assembleUsers } from './assembly.ts'
import { parkUsers } from './parked-users.ts'
import { type ReadAhead, type Reading, readStored } from './read-ahead.ts'
import type { PagedRows } from './read-users.ts'
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
  /** What is to be done before every row is mapped by the mapping of today. */
  readonly steps: RemapSteps
  /** Rows of the users table as they are now, by keys; null: they cannot be told just now. */
  readonly readUsers: (keys: readonly string[]) => Promise<PagedRows | null>
  readonly metrics: Metrics
  readonly failPoints: FailPoints
  /** Called after each commit that may have made users pending. */
  readonly onPending: () => void
}

const NOTHING: Omit<StateCommit, 'lane'> = {
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

/** Rows to be written, and what is known of them. */
export interface Writes {
  readonly writes: readonly RowWrite[]
  /** By rowId, as they were. */
  readonly stored: ReadonlyMap<string, StoredRow | null>
  readonly touched: TouchedUsers
  /** Keys of users rows that are mapped by the mapping of today, beside those that are written. */
  readonly read?: ReadonlySet<string>
}

export class StateWriter {
  readonly #options: StateWriterOptions
  #owedBackfills: number
  #sources: StateWriterOptions['sources']
  #turn: Promise<unknown> = Promise.resolve()
  readonly #ahead = new Set<ReadAhead>()
  /** The rows of the commit that is under way. */
  #writing: readonly string[] = []

  constructor(options: StateWriterOptions) {
    this.#options = options
    this.#owedBackfills = options.owedBackfills
    this.#sources = options.sources
  }

  get state(): CaptureState {
    return this.#options.state
  }

  /** More runs are owed than at the start. */
  owe(backfills: number): void {
    this.#owedBackfills += backfills
  }

  /** A run is at its end, or was called off. */
  readingEnded(): void {
    this.#owedBackfills -= 1
  }

  /** Whoever is parked goes on; in slices, between which live edits are stored. */
  async unpark(): Promise<void> {
    const { state, onPending } = this.#options
    for (let users = 0; ; ) {
      const some = await this.inTurn(() => state.unparkSome())
      users += some
      if (some > 0) continue
      if (users > 0) onPending()
      return
    }
  }

  /** Reads and maps what storing these rows will need. Needs no turn: it may go on while an earlier batch is committed. */
  async readAhead(rows: readonly StreamedRow[]): Promise<ReadAhead> {
    const ids = new Set(rows.map(({ source, key }) => rowId(source, key)))
    const stale = new Set(this.#writing.filter((id) => ids.has(id)))
    const ahead: ReadAhead = { rows, ids, stored: new Map(), contents: new Map(), stale }
    this.#ahead.add(ahead)
    try {
      await readStored(this.#reading, ahead, rows)
      return ahead
    } catch (error) {
      this.#ahead.delete(ahead)
      throw error
    }
  }

  /** @returns false when nothing needed to be written: then the checkpoint has not moved either. */
  storeStreamed(ahead: ReadAhead, lsn: Lsn | null): Promise<boolean> {
    return this.inTurn(async () => {
      this.#ahead.delete(ahead)
      const { rows, stale } = ahead
      if (stale.size > 0) {
        for (const id of stale) ahead.stored.delete(id)
        await readStored(
          this.#reading,
          ahead,
          rows.filter(({ source, key }) => stale.has(rowId(source, key))),
        )
      }
      const owners = await this.#readOwners(ahead)
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
      await this.commit({ writes, stored: ahead.stored, touched, read: owners }, { lane: 0, lsn, pagesLsn })
      return true
    })
  }

  /**
   * The users rows of child rows that changed, where they are mapped as before: what an edit takes away may stand there by now.
   * @returns keys of those that are mapped by the mapping of today.
   */
  async #readOwners({ ids, stored, contents }: ReadAhead): Promise<ReadonlySet<string>> {
    const { state, steps, readUsers } = this.#options
    if (steps.left === 0 || steps.isOnlyGap || steps.movesRows || steps.areUsersRead) return new Set()
    const [users] = this.#sources
    const named = [...ids].flatMap((id) => [stored.get(id)?.userKey, contents.get(id)?.userKey])
    const keys = new Set(named.filter((key) => typeof key === 'string' && !ids.has(rowId(users, key))) as string[])
    if (keys.size === 0) return keys
    const known = await state.readRows(users, [...keys])
    const live = [...known.values()].filter((row) => row.live)
    const unread = live.filter((row) => !steps.isOfToday(users, row)).map(({ key }) => key)
    const page = unread.length === 0 ? null : await readUsers(unread)
    if (page !== null) await this.#storeRows(users, page, {})
    const read = new Set(page?.rows.map(({ key }) => key))
    return new Set(live.map(({ key }) => key).filter((key) => read.has(key) || !unread.includes(key)))
  }

  get #reading(): Reading {
    const { state, mapper } = this.#options
    return { state, mapper, isPaging: () => this.#paging }
  }

  get #paging(): boolean {
    return this.#owedBackfills > 0
  }

  storePage(source: string, page: PagedRows & { readonly backfill: BackfillProgress }): Promise<void> {
    return this.inTurn(async () => {
      const { steps, metrics } = this.#options
      const { backfill } = page
      steps.begun(backfill.id, parseSnapshot(backfill.firstSnapshot))
      await this.#storeRows(source, page, { backfill })
      if (backfill.finished) this.readingEnded()
      metrics.backfillRows(page.rows.length)
    })
  }

  /** Those that are newer than what is stored; within a turn. */
  async #storeRows(
    source: string,
    { rows, snapshot, lsn }: PagedRows,
    more: Pick<Partial<StateCommit>, 'backfill'>,
  ): Promise<void> {
    const { state } = this.#options
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
    await this.commit(
      { writes, stored: byId(source, stored), touched },
      { lane: 1, seen: seenRows, pagesLsn: lsn, ...more },
    )
  }

  /** A table is followed no more: its rows stop to count. */
  leaveOut(source: string): void {
    const [users, ...others] = this.#sources
    this.#sources = [users, ...others.filter((other) => other !== source)]
  }

  /** Moves the checkpoint although nothing more has to be stored; users of a transaction stored in slices become due. */
  advance(lsn: Lsn): Promise<void> {
    return this.inTurn(async () => {
      await this.#options.state.advance(lsn)
      this.#options.onPending()
    })
  }

  /** Within a turn. Live edits have lane 0. */
  async commit(
    { writes, stored, touched, read }: Writes,
    more: Pick<StateCommit, 'lane'> & Partial<StateCommit>,
  ): Promise<void> {
    const { state, mapper, metrics, failPoints, steps, onPending } = this.#options
    const sources = this.#sources
    const [users] = sources
    const { profiles, marks } = await assembleUsers({ state, mapper, sources }, { rows: writes, stored, touched })
    const changed = { rows: writes, stored, read: read ?? new Set<string>(), isEdit: more.lane === 0 }
    const parked = await parkUsers({ state, steps, users }, changed, profiles)
    const write = { ...NOTHING, ...more, rows: writes, marks, profiles: parked }
    const { seen } = write
    this.#outdate([
      ...writes.map(({ source, key }) => rowId(source, key)),
      ...(seen?.rows ?? []).map(({ key }) => rowId(seen?.source ?? '', key)),
      ...marks.map(({ key }) => rowId(users, key)),
    ])
    const startedAt = performance.now()
    await state.commit(users, write, () => failPoints.hit('in_state_transaction'))
    this.#writing = []
    metrics.stateCommit(performance.now() - startedAt)
    // Slices are due only with the end of their transaction, pages at once.
    if (write.lsn !== null || (profiles.length > 0 && write.lane === 1)) onPending()
  }

  #outdate(ids: readonly string[]): void {
    this.#writing = ids
    for (const { ids: theirs, stale } of this.#ahead) for (const id of ids) if (theirs.has(id)) stale.add(id)
  }

  /** After what is being written, and before whatever else is to be. */
  inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(task)
    this.#turn = result.catch(() => undefined) // the caller gets the error; the next turn is not its business
    return result
  }
}
