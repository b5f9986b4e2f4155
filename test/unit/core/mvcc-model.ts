// A PostgreSQL with one row, and the two roads that report it, as a machine of small steps for property tests: transactions
// commit in another order than their ids, become visible to others only after their commit was streamed, and pages are
// read at any moment and stored at any later one. Guarantees that whatever is reported could be reported by a real server.
import type { Lsn } from '../../../src/core/lsn.ts'
import { documentOf } from '../../../src/core/profile.ts'
import { pagedWrite, streamedWrite } from '../../../src/core/row-writes.ts'
import { parseSnapshot, type Snapshot, sees } from '../../../src/core/snapshot.ts'
import {
  ABSENT,
  judgePaged,
  judgeStreamed,
  partHash,
  type RowContent,
  rowHash,
  type StoredRow,
} from '../../../src/core/source-row.ts'

/** null: deleted, or not there yet. */
export type Value = string | null

export type Step =
  | { readonly kind: 'begin'; readonly value: Value; readonly fate: 'commit' | 'abort' | 'elsewhere' }
  /** One that nobody waits for: begun, committed and visible at once. */
  | { readonly kind: 'update'; readonly value: Value }
  | { readonly kind: 'commit' | 'appear' | 'readPage' | 'storePage'; readonly pick: number }
  | { readonly kind: 'stream'; readonly count: number; readonly reread: boolean }
  | { readonly kind: 'storeReread' | 'restart' }

interface Transaction {
  readonly xid: bigint
  readonly value: Value
  readonly fate: 'commit' | 'abort' | 'elsewhere'
}
interface Change {
  readonly xid: bigint
  readonly commitLsn: Lsn
  /** Place in the row's history. */
  readonly index: number
}
interface Reading {
  readonly snapshot: Snapshot
  readonly index: number
}

const ERA = 2

export class MvccModel {
  /** The row's states in the order of commits. */
  readonly #history: { readonly xid: bigint; readonly value: Value }[]
  #running: Transaction[] = []
  /** Committed in the WAL, not yet seen by snapshots. */
  #hidden: Transaction[] = []
  #nextXid = 100n
  #latestCompleted = 99n
  #lsn = 1_000n
  readonly #wal: Change[] = []
  #slot: { readonly walFrom: number; readonly startXid: bigint } | null = null
  #pages: Reading[] = []
  #taken = 0
  #checkpoint = 0
  #reread: { readonly reading: Reading; readonly changes: readonly Change[] } | null = null

  stored: StoredRow | undefined
  /** The place in the history of what is stored; must never fall. */
  storedIndex = -1
  backwards: string | null = null

  constructor(initial: Value, known: Value | undefined) {
    this.#history = [{ xid: 3n, value: initial }]
    if (known === undefined) return
    // As an earlier era left it: its versions mean nothing now, and may look newer than everything.
    const content = contentOf(known)
    this.stored = {
      ...{ key: '1', distinctId: 'u', live: content.part !== null, partHash: content.partHash, era: ERA - 1 },
      userKey: null,
      ...{ duplicate: false, changeXid: 10_000n, changeLsn: 1_000_000n as Lsn },
      readSnapshot: parseSnapshot('20000:20000:'),
    }
  }

  get value(): Value {
    return this.#history.at(-1)?.value ?? null
  }
  get storedHash(): string | null {
    return this.stored?.live ? this.stored.partHash : null
  }
  /** The row was gone before the slot: only a sweep can find that out. */
  get unreported(): boolean {
    return this.value === null && this.#wal.length === (this.#slot?.walFrom ?? 0)
  }

  createSlot(): void {
    // pg_current_xact_id() takes an id of its own.
    this.#slot = { walFrom: this.#wal.length, startXid: this.#nextXid }
    this.#complete(this.#nextXid)
    this.#nextXid += 1n
    this.#taken = this.#wal.length
    this.#checkpoint = this.#taken
  }

  step(step: Step): void {
    switch (step.kind) {
      case 'begin':
        if (this.#running.length < 4) this.#running.push({ xid: this.#nextXid++, value: step.value, fate: step.fate })
        return
      case 'update': {
        const transaction: Transaction = { xid: this.#nextXid++, value: step.value, fate: 'commit' }
        this.#running.push(transaction)
        this.#commit(transaction)
        return this.#appear(transaction)
      }
      case 'commit':
        return this.#commit(pick(this.#running, step.pick))
      case 'appear':
        return this.#appear(pick(this.#hidden, step.pick))
      case 'readPage': {
        const reading = this.#read()
        if (this.#slot && reading.snapshot.xmin > this.#slot.startXid) this.#pages.push(reading)
        return
      }
      case 'storePage':
        return this.#storePage(pick(this.#pages, step.pick))
      case 'stream':
        return this.#stream(step.count, step.reread)
      case 'storeReread':
        return this.#storeReread()
      case 'restart':
        this.#taken = this.#checkpoint
        this.#reread = null
    }
  }

  /** Everything ends, everything is delivered, and a last page is read. */
  settle(): void {
    if (!this.#slot) this.createSlot()
    for (const _ of [...this.#running]) this.#commitAndAppear()
    for (const _ of [...this.#hidden]) this.step({ kind: 'appear', pick: 0 })
    this.#storeReread()
    while (this.#taken < this.#wal.length) this.#stream(1, false)
    for (const page of [...this.#pages]) this.#storePage(page)
    if (this.stored === undefined || this.stored.era !== ERA) {
      this.step({ kind: 'readPage', pick: 0 })
      this.#storePage(this.#pages[0])
    }
  }

  #commitAndAppear(): void {
    while (this.#hidden.length > 0) this.step({ kind: 'appear', pick: 0 })
    this.#commit(this.#running[0])
  }

  #commit(transaction: Transaction | undefined): void {
    if (!transaction) return
    const changes = transaction.fate === 'commit'
    // The row's lock is held until the one before can be seen by everybody.
    if (changes && this.#hidden.some((it) => it.fate === 'commit')) return
    this.#running = this.#running.filter((it) => it !== transaction)
    if (transaction.fate === 'abort') return this.#complete(transaction.xid)
    this.#hidden.push(transaction)
    this.#lsn += 8n
    if (!changes) return
    this.#history.push({ xid: transaction.xid, value: transaction.value })
    this.#wal.push({ xid: transaction.xid, commitLsn: this.#lsn as Lsn, index: this.#history.length - 1 })
  }

  #appear(transaction: Transaction | undefined): void {
    if (!transaction || !this.#hidden.includes(transaction)) return
    this.#hidden = this.#hidden.filter((it) => it !== transaction)
    this.#complete(transaction.xid)
  }

  #complete(xid: bigint): void {
    if (xid > this.#latestCompleted) this.#latestCompleted = xid
  }

  #read(): Reading {
    const xmax = this.#latestCompleted + 1n
    const open = [...this.#running, ...this.#hidden].map((it) => it.xid).filter((xid) => xid < xmax)
    open.sort((a, b) => (a < b ? -1 : 1))
    const snapshot = parseSnapshot(`${open[0] ?? xmax}:${xmax}:${open.join(',')}`)
    const index = this.#history.findLastIndex((it) => sees(snapshot, it.xid))
    return { snapshot, index }
  }

  #storePage(page: Reading | undefined): void {
    if (!page) return
    this.#pages = this.#pages.filter((it) => it !== page)
    const content = contentOf(this.#valueAt(page.index))
    if (content.part === null) return // a row that is gone is in no page
    const row = { key: '1', content }
    const options = { source: 'users', snapshot: page.snapshot, truncateXid: null, era: ERA }
    const verdict = judgePaged(this.stored, row, options)
    if (verdict === 'seen' && this.stored) this.stored = { ...this.stored, readSnapshot: page.snapshot }
    if (verdict === 'write') this.#write(pagedWrite(row, this.stored, options), page.index)
  }

  #stream(count: number, reread: boolean): void {
    if (!this.#slot || this.#reread) return
    const changes = this.#wal.slice(this.#taken, this.#taken + count)
    const last = changes.at(-1)
    if (!last) return
    if (!reread) return this.#storeStreamed(changes, null)
    const reading = this.#read()
    if (sees(reading.snapshot, last.xid)) this.#reread = { reading, changes }
  }

  #storeReread(): void {
    if (!this.#reread) return
    const { reading, changes } = this.#reread
    this.#reread = null
    this.#storeStreamed(changes, reading)
  }

  #storeStreamed(changes: readonly Change[], reread: Reading | null): void {
    const last = changes.at(-1)
    if (!last) return
    const index = reread?.index ?? last.index
    const values = changes.map((it) => this.#valueAt(it.index))
    const content = contentOf(this.#valueAt(index))
    const row = {
      source: 'users',
      ...{ key: '1', row: null, rowHash: content.rowHash, content, xid: last.xid, commitLsn: last.commitLsn },
      ...{ firstCommittedAt: 0, lastCommittedAt: 0, readSnapshot: reread?.snapshot ?? null, readLsn: null },
      // Values that the stream did not carry cannot be told from one another.
      varied: reread === null && values.some((value) => value !== values[0]),
    }
    this.#taken += changes.length
    if (judgeStreamed(this.stored, row, { era: ERA, paging: true }) !== 'write') return
    this.#write(streamedWrite(row, this.stored, ERA), index)
    this.#checkpoint = this.#taken
  }

  #write({ content, version }: ReturnType<typeof pagedWrite>, index: number): void {
    if (index < this.storedIndex) this.backwards = `state ${index} was written over state ${this.storedIndex}`
    this.storedIndex = index
    this.stored = {
      ...{ key: '1', distinctId: content.distinctId, live: content.part !== null, partHash: content.partHash },
      ...{ userKey: content.userKey, era: ERA, duplicate: false, ...version },
    }
  }

  #valueAt(index: number): Value {
    return this.#history[index]?.value ?? null
  }
}

export function contentOf(value: Value): RowContent {
  if (value === null) return ABSENT
  const part = documentOf({ channels: {}, properties: { value } })
  const hash = rowHash('', [value])
  return { distinctId: 'u', userKey: null, part, partHash: partHash(part, []), rowHash: hash, reasons: [] }
}

function pick<T>(list: readonly T[], index: number): T | undefined {
  return list[index % Math.max(1, list.length)]
}
