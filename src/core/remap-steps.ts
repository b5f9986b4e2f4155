// What is to be done before every row is mapped by the mapping of today, and none is missed: readings of tables that are not at
// their end, and the forgetting of tables that are mapped no more. Meanwhile a user is put together of rows mapped by the new and rows mapped by the
// old, and whoever would lose something waits (parking.ts). No input or output.
import type { Lsn } from './lsn.ts'
import { movesRows, STEPS } from './remap-decision.ts'
import type { Snapshot } from './snapshot.ts'
import type { StoredRow } from './source-row.ts'

export interface StepReading {
  /** Of the run. */
  readonly id: string
  /** The table's name, as it stands in state. */
  readonly source: string
  readonly reason: string
  /** Changes were missed: rows that no page shows are gone. */
  readonly sweep: boolean
}

export interface RemapStart {
  /** The users table, then the child tables. */
  readonly sources: readonly [string, ...string[]]
  readonly readings: readonly StepReading[]
  /** Tables are mapped no more, and state holds rows of theirs. */
  readonly forgets: boolean
  readonly era: number
  /** Whatever was committed beyond it is mapped by the mapping of today. */
  readonly since: Lsn
}

export class RemapSteps {
  readonly #start: RemapStart
  readonly #readings: Map<string, StepReading>
  /** Of each reading's first page. */
  readonly #first = new Map<string, Snapshot>()
  #forgets: boolean

  constructor(start: RemapStart) {
    this.#start = start
    const steps = start.readings.filter(({ reason, sweep }) => sweep || STEPS.includes(reason))
    this.#readings = new Map(steps.map((run) => [run.id, run]))
    this.#forgets = start.forgets
  }

  get left(): number {
    return this.#readings.size + (this.#forgets ? 1 : 0)
  }

  isStep(run: string): boolean {
    return this.#readings.has(run)
  }

  /** A page of this run was read. */
  begun(run: string, first: Snapshot): void {
    if (this.#readings.has(run)) this.#first.set(run, first)
  }

  read(run: string): void {
    this.#readings.delete(run)
  }

  forgotten(): void {
    this.#forgets = false
  }

  /** All rows are mapped by the mapping of today, and what is left is to find what was missed. */
  get isOnlyGap(): boolean {
    return !this.#forgets && this.#left.every(({ reason }) => !STEPS.includes(reason))
  }

  /** A row may be taken for another user's until all is read. */
  get movesRows(): boolean {
    const [users] = this.#start.sources
    return this.#left.some((run) => movesRows(run, users))
  }

  get areUsersRead(): boolean {
    const [users] = this.#start.sources
    return this.#left.every(({ source }) => source !== users)
  }

  get areChildrenRead(): boolean {
    const [, ...children] = this.#start.sources
    return this.#left.every(({ source }) => !children.includes(source))
  }

  /** Whether a row was stored under the mapping of today; if in doubt it was not. */
  isOfToday(source: string, stored: StoredRow): boolean {
    const unread = this.#left.filter((run) => run.source === source)
    if (unread.length === 0) return true
    if (stored.era !== this.#start.era) return false
    if (stored.changeLsn !== null && stored.changeLsn > this.#start.since) return true
    return unread.every(({ id }) => {
      const first = this.#first.get(id)
      return first !== undefined && stored.readSnapshot !== null && stored.readSnapshot.xmax > first.xmax
    })
  }

  get #left(): readonly StepReading[] {
    return [...this.#readings.values()]
  }
}
