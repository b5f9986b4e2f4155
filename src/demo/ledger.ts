// Which change did which call answer for? Keeps every committed change of a user until SuprSend shows it (or a later one),
// whichever of the two is heard of first. Counts what stands in the summary. A change is accepted by the call after which
// the user equals the mapping of the row, and by nothing else. Pure: instants come in.
import type { RemoteUser } from '../core/api.ts'
import type { Json } from '../core/json.ts'
import type { Profile } from '../core/profile.ts'
import type { RowChange } from './application.ts'
import { isSame } from './comparison.ts'

export interface Change extends Omit<RowChange, 'row'> {
  /** What SuprSend should hold from now on; null = no such user. */
  readonly expected: Profile | null
  /** Whether its latency counts: not so where the service was down on purpose. */
  readonly measured: boolean
}

/** One request of the service that the emulator has answered. */
export interface Call {
  readonly distinctId: string
  readonly method: string
  readonly status: number | 'dropped'
  /** Of an applied request; else null. */
  readonly body: Json
  /** The user after it; null = there is none. */
  readonly state: RemoteUser | null
  readonly atMs: number
}

/** A call together with the changes, oldest first, that it brought to SuprSend. */
export interface Settled {
  readonly call: Call
  readonly changes: readonly [Change, ...Change[]]
  /** Of the newest change. */
  readonly latencyMs: number
}

interface UserBook {
  /** Committed and not seen at SuprSend yet, oldest first. */
  open: Change[]
  /** What SuprSend showed before the current state; to see a user go back. */
  readonly past: (Profile | null)[]
  state: RemoteUser | null
  /** Answered for by no change so far: the news of the change may be on its way. */
  early: Call | null
}

export class Ledger {
  readonly #books = new Map<string, UserBook>()
  readonly #latenciesMs: number[] = []
  readonly #calls = new Map<string, number>()
  #unexplained = 0
  #backwards = 0

  /** Calls that brought no change: repeats after a kill, or a mistake. */
  get unexplained(): number {
    return this.#unexplained
  }

  /** Calls that put an older state of a row back (P3). */
  get backwards(): number {
    return this.#backwards
  }

  /** By method. */
  get calls(): { readonly [method: string]: number } {
    return Object.fromEntries(this.#calls)
  }

  /** Of every measured change. */
  get latenciesMs(): readonly number[] {
    return this.#latenciesMs
  }

  /** Users whose newest change SuprSend does not show yet. */
  get behind(): number {
    let count = 0
    for (const { open, state } of this.#books.values()) {
      const newest = open.at(-1)
      if (newest && !isSame(newest.expected, state)) count += 1
    }
    return count
  }

  /** Null: its call is still to come. */
  committed(change: Change): Settled | null {
    const book = this.#book(change.id)
    book.open.push(change)
    const { early } = book
    if (early === null || !isSame(change.expected, early.state)) return null
    this.#unexplained -= 1
    return this.#settle(book, early)
  }

  /** Null: no change that we know of yet asked for it. */
  called(call: Call): Settled | null {
    this.#calls.set(call.method, (this.#calls.get(call.method) ?? 0) + 1)
    const book = this.#book(call.distinctId)
    const before = book.state
    book.state = call.state
    const settled = this.#settle(book, call)
    if (settled) return settled
    book.early = call
    this.#unexplained += 1
    if (!isSame(call.state, before) && book.past.some((past) => isSame(past, call.state))) this.#backwards += 1
    return null
  }

  #settle(book: UserBook, call: Call): Settled | null {
    const at = book.open.findLastIndex(({ expected }) => isSame(expected, call.state))
    const [first, ...rest] = book.open.slice(0, at + 1)
    if (!first) return null
    book.open = book.open.slice(at + 1)
    book.early = null
    const changes = [first, ...rest] as const
    for (const { committedAtMs, measured, expected } of changes) {
      if (measured) this.#latenciesMs.push(Math.max(0, call.atMs - committedAtMs))
      book.past.push(expected)
    }
    return { call, changes, latencyMs: Math.max(0, call.atMs - (rest.at(-1) ?? first).committedAtMs) }
  }

  #book(id: string): UserBook {
    let book = this.#books.get(id)
    if (!book) {
      book = { open: [], past: [], state: null, early: null }
      this.#books.set(id, book)
    }
    return book
  }
}

/** Nearest rank; null without samples. */
export function percentile(samples: readonly number[], share: number): number | null {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null
}
