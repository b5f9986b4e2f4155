// The work of `plan`: rows become users, users are looked up in the state and in SuprSend, and whoever listens is told of each
// batch. Holds a batch at a time; with `--all`, where a distinct_id is not the key, the ids seen as well. Sends GETs alone.
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import { exclusiveKeys } from '../core/mapping-spec.ts'
import type { AssembledUser } from '../core/plan-assembly.ts'
import { isKnown, needsLook, type PlannedUser, planReported } from '../core/plan-report.ts'
import { type PlanSummary, PlanTally } from '../core/plan-summary.ts'
import type { Reason } from '../core/profile.ts'
import type { TextRow } from '../core/row.ts'
import type { RemoteReader } from '../sync/remote-reader.ts'
import type { PlanSource } from './plan-source.ts'
import type { PlanState } from './plan-state.ts'

export type PlanScope =
  | { readonly kind: 'user'; readonly distinctId: string }
  | { readonly kind: 'first'; readonly limit: number }
  | { readonly kind: 'all' }

/** A row that makes no user. */
export interface UnsentRow {
  readonly row: string
  /** Null: it has none that is usable. */
  readonly distinctId: string | null
  readonly reasons: readonly Reason[]
}

export interface PlanBatch {
  readonly rows: number
  readonly users: readonly PlannedUser[]
  readonly unsent: readonly UnsentRow[]
}

export interface PlanEnd {
  readonly summary: PlanSummary
  /** The table has rows that were not read. */
  readonly more: boolean
}

export interface PlanRunOptions {
  readonly config: Config
  readonly source: PlanSource
  readonly state: PlanState
  readonly remote: RemoteReader
  readonly onBatch: (batch: PlanBatch) => void
}

/** Small: a row may weigh a megabyte, and results should show while a slow SuprSend is asked. */
const BATCH_ROWS = 50
const STATE_BATCH = 500

export class PlanRun {
  readonly #options: PlanRunOptions
  readonly #tally = new PlanTally()
  /** By distinct_id; stays empty where that is the key. */
  readonly #seen = new Map<string, string | null>()

  constructor(options: PlanRunOptions) {
    this.#options = options
  }

  async run(scope: PlanScope, signal: AbortSignal): Promise<PlanEnd> {
    switch (scope.kind) {
      case 'user':
        await this.#user(scope.distinctId, signal)
        return { summary: this.#tally.summary, more: false }
      case 'first': {
        const more = await this.#rows(scope.limit, signal)
        return { summary: this.#tally.summary, more }
      }
      case 'all':
        await this.#rows(Number.POSITIVE_INFINITY, signal)
        await this.#withoutRow(signal)
        return { summary: this.#tally.summary, more: false }
    }
  }

  /** @throws SuprsyncError `user_unknown` */
  async #user(distinctId: string, signal: AbortSignal): Promise<void> {
    const { source, state } = this.#options
    const rows = await source.rowsOfUsers([distinctId])
    if (rows.length > 0) return await this.#plan(rows, signal)
    const known = (await state.known([distinctId])).get(distinctId) ?? null
    if (!isKnown(known)) {
      const { schema, name } = source.table
      throw new SuprsyncError(
        'user_unknown',
        `No row of ${schema}.${name} has this distinct_id, and nothing was sent for it.`,
      )
    }
    await this.#report([gone(distinctId)], { rows: 0, unsent: [] }, signal)
  }

  /** @returns whether rows were left. */
  async #rows(limit: number, signal: AbortSignal): Promise<boolean> {
    const { source } = this.#options
    let cursor: TextRow | null = null
    for (let left = limit; left > 0; ) {
      const asked = Math.min(left, BATCH_ROWS)
      const rows = await source.page(cursor, asked)
      if (rows.length > 0) await this.#plan(rows, signal)
      const last = rows.at(-1)
      if (last === undefined || rows.length < asked) return false
      cursor = source.cursorAfter(last)
      left -= rows.length
    }
    return (await source.page(cursor, 1)).length > 0
  }

  async #plan(rows: readonly TextRow[], signal: AbortSignal): Promise<void> {
    const { source } = this.#options
    const { users, unusable, late } = await source.assemble(rows, this.#seen)
    const unsent: UnsentRow[] = [
      ...unusable.map(({ row, reasons }) => ({ row, distinctId: null, reasons })),
      ...late.map(({ row, distinctId }) => ({ row, distinctId, reasons: [] })),
    ]
    for (const { reasons } of unusable) this.#tally.addLeftOut(reasons)
    this.#tally.addDuplicates(late.length)
    await this.#report(source.idIsKey ? users : await this.#confirmed(users), { rows: rows.length, unsent }, signal)
  }

  /** A user is gone only if no other row, of a later page, say, holds its id: asked for those alone who would be deleted. */
  async #confirmed(users: readonly AssembledUser[]): Promise<readonly AssembledUser[]> {
    const { state } = this.#options
    const absent = users.filter(({ desired }) => desired === null).map(({ distinctId }) => distinctId)
    const known = await state.known(absent)
    const doubtful = absent.filter((id) => isKnown(known.get(id) ?? null))
    const again = doubtful.length === 0 ? [] : (await this.#assembleAll(doubtful)).users
    // Their other rows are met, and told, in later pages.
    const byId = new Map(again.map((user) => [user.distinctId, { ...user, duplicates: [] }]))
    const result = users.map((user) => byId.get(user.distinctId) ?? user)
    for (const { distinctId, row } of result) this.#seen.set(distinctId, row)
    return result
  }

  async #assembleAll(distinctIds: readonly string[]) {
    const { source } = this.#options
    return await source.assemble(await source.rowsOfUsers(distinctIds), new Map())
  }

  /** Those whom the state knows and no row holds. */
  async #withoutRow(signal: AbortSignal): Promise<void> {
    const { state } = this.#options
    for (let after = ''; ; ) {
      const ids = await state.sentAfter(after, STATE_BATCH)
      const last = ids.at(-1)
      if (last === undefined) return
      after = last
      const unseen = ids.filter((id) => !this.#seen.has(id))
      const held = new Set((await this.#assembleAll(unseen)).users.map(({ distinctId }) => distinctId))
      const lost = unseen.filter((id) => !held.has(id))
      if (lost.length > 0) await this.#report(lost.map(gone), { rows: 0, unsent: [] }, signal)
    }
  }

  async #report(users: readonly AssembledUser[], batch: Omit<PlanBatch, 'users'>, signal: AbortSignal): Promise<void> {
    const { config, state, remote, onBatch } = this.#options
    const known = await state.known(users.map(({ distinctId }) => distinctId))
    const policy = {
      onDelete: config.mapping.onDelete,
      firstContact: config.suprsend.firstContact,
      exclusive: exclusiveKeys(config.mapping),
    }
    const planned = await Promise.all(
      users.map(async (user) => {
        const of = known.get(user.distinctId) ?? null
        const looked = needsLook(user, of) ? await remote.look(user.distinctId, signal) : null
        return planReported({ user, known: of, looked, policy })
      }),
    )
    this.#tally.addRows(batch.rows)
    for (const user of planned) this.#tally.addUser(user)
    onBatch({ ...batch, users: planned })
  }
}

function gone(distinctId: string): AssembledUser {
  return { distinctId, desired: null, row: null, reasons: [], duplicates: [] }
}
