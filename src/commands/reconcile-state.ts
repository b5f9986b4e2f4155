// What `reconcile` asks of the state and, with --repair, writes into it. Needs one that was made: without it nobody could be told
// from a user of somebody else.
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import type { StoredUser } from '../core/reconcile.ts'
import type { Repair } from '../core/reconcile-port.ts'
import { readRowKeys } from '../state/known-users.ts'
import { notifyService } from '../state/notice.ts'
import { endDoubt } from '../state/ownership.ts'
import { pageStoredIds, readStoredUsers, repairUsers } from '../state/reconcile-store.ts'
import { readLockHolder } from '../state/report.ts'
import { openReadableState, type ReadableState, readState } from './readable-state.ts'
import type { SentUsers } from './user-scan.ts'

export class ReconcileState implements SentUsers, AsyncDisposable {
  readonly #state: ReadableState
  readonly #schema: string

  private constructor(state: ReadableState, schema: string) {
    this.#state = state
    this.#schema = schema
  }

  /** @throws SuprsyncError `state_denied`, `state_missing` */
  static async open(config: Config): Promise<ReconcileState> {
    const { schema } = config.state
    const state = await openReadableState(config)
    if (state.made) return new ReconcileState(state, schema)
    await state.db.destroy()
    throw new SuprsyncError(
      'state_missing',
      `There is no state in the schema ${schema}: suprsync has never run here.`,
      {
        details: { next: '`suprsync plan` compares without a state' },
      },
    )
  }

  async stored(distinctIds: readonly string[]): Promise<ReadonlyMap<string, StoredUser>> {
    if (distinctIds.length === 0) return new Map()
    return await readState(this.#state.db, (reader) => readStoredUsers(reader, distinctIds))
  }

  /** @returns the ids of those who were still as they had been read. */
  async repair(repairs: readonly Repair[]): Promise<ReadonlySet<string>> {
    const { db } = this.#state
    const repaired = await repairUsers(db, repairs)
    await notifyService(db, this.#schema)
    return repaired
  }

  /** Everybody was compared, and repaired: the state knows again what SuprSend holds. */
  async endDoubt(): Promise<void> {
    await endDoubt(this.#state.db)
  }

  async isServiceRunning(): Promise<boolean> {
    return await readState(this.#state.db, async (reader) => (await readLockHolder(reader, this.#schema)) !== null)
  }

  /** Everybody the state knows: one who was deleted a moment ago may have come back. */
  async sent(distinctIds: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set((await this.stored(distinctIds)).keys())
  }

  async sentAfter(after: string, limit: number): Promise<readonly string[]> {
    return await readState(this.#state.db, (reader) => pageStoredIds(reader, { after, limit }))
  }

  async rowKeys(distinctIds: readonly string[]): Promise<readonly string[]> {
    return await readState(this.#state.db, (reader) => readRowKeys(reader, distinctIds))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#state.db.destroy()
  }
}
