// What `plan` asks the state: whom the service has sent. A state that was never made knows nobody; one that cannot be read ends
// the command, for a plan without it would be another one. Read-only, bounded statements.
import type { Config } from '../config/config.ts'
import { isKnown, type KnownUser } from '../core/plan-report.ts'
import { pageSentUsers, readKnownUsers, readRowKeys } from '../state/known-users.ts'
import { openReadableState, type ReadableState, readState } from './readable-state.ts'
import type { SentUsers } from './user-scan.ts'

export class PlanState implements SentUsers, AsyncDisposable {
  readonly #state: ReadableState

  private constructor(state: ReadableState) {
    this.#state = state
  }

  /** @throws SuprsyncError `state_denied` */
  static async open(config: Config): Promise<PlanState> {
    return new PlanState(await openReadableState(config))
  }

  async known(distinctIds: readonly string[]): Promise<ReadonlyMap<string, KnownUser>> {
    const { db, made } = this.#state
    if (!made || distinctIds.length === 0) return new Map()
    return await readState(db, (reader) => readKnownUsers(reader, distinctIds))
  }

  /** Of whom SuprSend may hold something. */
  async sent(distinctIds: readonly string[]): Promise<ReadonlySet<string>> {
    const known = await this.known(distinctIds)
    return new Set(distinctIds.filter((id) => isKnown(known.get(id) ?? null)))
  }

  async sentAfter(after: string, limit: number): Promise<readonly string[]> {
    const { db, made } = this.#state
    return made ? await readState(db, (reader) => pageSentUsers(reader, { after, limit })) : []
  }

  async rowKeys(distinctIds: readonly string[]): Promise<readonly string[]> {
    const { db, made } = this.#state
    return made ? await readState(db, (reader) => readRowKeys(reader, distinctIds)) : []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#state.db.destroy()
  }
}
