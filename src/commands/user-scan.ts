// Walks the users that the table makes, for `plan` and `reconcile`: one, the first rows, a random sample, or all with those whom
// the state knows and no row holds. Holds a batch at a time; with all, where a distinct_id is not the key, the ids seen as well.
// What is to be said of a user is the listener's.
import { SuprsyncError } from '../core/error.ts'
import type { AssembledUser } from '../core/plan-assembly.ts'
import type { Reason } from '../core/profile.ts'
import type { TextRow } from '../core/row.ts'
import type { PlanSource } from './plan-source.ts'

export type ScanScope =
  | { readonly kind: 'user'; readonly distinctId: string }
  | { readonly kind: 'first'; readonly limit: number }
  | { readonly kind: 'sample'; readonly limit: number }
  | { readonly kind: 'all' }

/** A row that makes no user. */
export interface UnsentRow {
  readonly row: string
  /** Null: it has none that is usable. */
  readonly distinctId: string | null
  readonly reasons: readonly Reason[]
}

export interface ScannedBatch {
  readonly rows: number
  readonly users: readonly AssembledUser[]
  readonly unsent: readonly UnsentRow[]
}

/** What the state knows of who was sent. */
export interface SentUsers {
  /** Those among `distinctIds`. */
  sent(distinctIds: readonly string[]): Promise<ReadonlySet<string>>
  /** In order. */
  sentAfter(after: string, limit: number): Promise<readonly string[]>
  /** Keys of the users rows that hold these ids. */
  rowKeys(distinctIds: readonly string[]): Promise<readonly string[]>
}

export interface UserScanOptions {
  readonly source: PlanSource
  readonly state: SentUsers
  readonly onBatch: (batch: ScannedBatch) => Promise<void>
}

/** Small: a row may weigh a megabyte, and results should show while a slow SuprSend is asked. */
const BATCH_ROWS = 50
const STATE_BATCH = 500

export class UserScan {
  readonly #options: UserScanOptions
  /** By distinct_id; stays empty where that is the key. */
  readonly #seen = new Map<string, string | null>()

  constructor(options: UserScanOptions) {
    this.#options = options
  }

  /** @returns whether rows were left. @throws SuprsyncError `user_unknown` */
  async run(scope: ScanScope): Promise<boolean> {
    switch (scope.kind) {
      case 'user':
        await this.#user(scope.distinctId)
        return false
      case 'first':
        return await this.#rows(scope.limit)
      case 'sample':
        return await this.#sample(scope.limit)
      case 'all':
        await this.#rows(Number.POSITIVE_INFINITY)
        await this.#withoutRow()
        return false
    }
  }

  /** Users who were told, as the table makes them now; those without a row too. */
  async again(users: readonly AssembledUser[]): Promise<readonly AssembledUser[]> {
    const ids = users.map(({ distinctId }) => distinctId)
    const keys = users.flatMap(({ row }) => row ?? [])
    const held = new Map((await this.#assembleAll(ids, keys)).users.map((user) => [user.distinctId, user]))
    return ids.map((id) => held.get(id) ?? gone(id))
  }

  async #user(distinctId: string): Promise<void> {
    const { source, state } = this.#options
    const rows = await source.rowsOfUsers([distinctId])
    if (rows.length > 0) return await this.#assemble(rows)
    if (!(await state.sent([distinctId])).has(distinctId)) {
      const { schema, name } = source.table
      throw new SuprsyncError(
        'user_unknown',
        `No row of ${schema}.${name} has this distinct_id, and nothing was sent for it.`,
      )
    }
    await this.#tell([gone(distinctId)])
  }

  async #rows(limit: number): Promise<boolean> {
    const { source } = this.#options
    let cursor: TextRow | null = null
    for (let left = limit; left > 0; ) {
      const asked = Math.min(left, BATCH_ROWS)
      const rows = await source.page(cursor, asked)
      if (rows.length > 0) await this.#assemble(rows)
      const last = rows.at(-1)
      if (last === undefined || rows.length < asked) return false
      cursor = source.cursorAfter(last)
      left -= rows.length
    }
    return (await source.page(cursor, 1)).length > 0
  }

  async #sample(limit: number): Promise<boolean> {
    const { source } = this.#options
    const keys = await source.sampleKeys(limit)
    for (let at = 0; at < keys.length; at += BATCH_ROWS) {
      const rows = await source.rowsOf(keys.slice(at, at + BATCH_ROWS))
      if (source.idIsKey) await this.#assemble(rows)
      else await this.#withSiblings(rows)
    }
    return keys.length === limit
  }

  /** A drawn row need not be the one that speaks for its id. */
  async #withSiblings(rows: readonly TextRow[]): Promise<void> {
    const { source, onBatch } = this.#options
    const drawn = source.idsOf(rows).filter((id) => !this.#seen.has(id))
    const { users } = await this.#assembleAll(
      drawn,
      rows.map((row) => source.keyOf(row)),
    )
    const told = users.filter(({ distinctId }) => drawn.includes(distinctId))
    for (const { distinctId, row } of told) this.#seen.set(distinctId, row)
    await onBatch({ rows: rows.length, users: told, unsent: [] })
  }

  async #assemble(rows: readonly TextRow[]): Promise<void> {
    const { source, onBatch } = this.#options
    const { users, unusable, late } = await source.assemble(rows, this.#seen)
    const unsent: UnsentRow[] = [
      ...unusable.map(({ row, reasons }) => ({ row, distinctId: null, reasons })),
      ...late.map(({ row, distinctId }) => ({ row, distinctId, reasons: [] })),
    ]
    await onBatch({ rows: rows.length, users: source.idIsKey ? users : await this.#confirmed(users), unsent })
  }

  /** A user is gone only if no other row, of a later page, say, holds its id: asked for those alone who were sent. */
  async #confirmed(users: readonly AssembledUser[]): Promise<readonly AssembledUser[]> {
    const { state } = this.#options
    const absent = users.filter(({ desired }) => desired === null).map(({ distinctId }) => distinctId)
    const doubtful = [...(await state.sent(absent))]
    const again = doubtful.length === 0 ? [] : (await this.#assembleAll(doubtful)).users
    // Their other rows are met, and told, in later pages.
    const byId = new Map(again.map((user) => [user.distinctId, { ...user, duplicates: [] }]))
    const result = users.map((user) => byId.get(user.distinctId) ?? user)
    for (const { distinctId, row } of result) this.#seen.set(distinctId, row)
    return result
  }

  /** @param keys of some of their rows: with those the state knows they do, where an id might have no index. */
  async #assembleAll(distinctIds: readonly string[], keys?: readonly string[]) {
    const { source, state } = this.#options
    const byKey =
      keys === undefined || source.idIsKey
        ? null
        : await source.rowsByKey([...new Set([...keys, ...(await state.rowKeys(distinctIds))])])
    const found = byKey ?? (await source.rowsOfUsers(distinctIds))
    return await source.assemble(found, new Map())
  }

  /** Those whom the state knows and no row holds. */
  async #withoutRow(): Promise<void> {
    const { state } = this.#options
    for (let after = ''; ; ) {
      const ids = await state.sentAfter(after, STATE_BATCH)
      const last = ids.at(-1)
      if (last === undefined) return
      after = last
      const unseen = ids.filter((id) => !this.#seen.has(id))
      const held = new Set((await this.#assembleAll(unseen)).users.map(({ distinctId }) => distinctId))
      const lost = unseen.filter((id) => !held.has(id))
      for (let at = 0; at < lost.length; at += BATCH_ROWS) await this.#tell(lost.slice(at, at + BATCH_ROWS).map(gone))
    }
  }

  async #tell(users: readonly AssembledUser[]): Promise<void> {
    await this.#options.onBatch({ rows: 0, users, unsent: [] })
  }
}

function gone(distinctId: string): AssembledUser {
  return { distinctId, desired: null, row: null, reasons: [], duplicates: [] }
}
