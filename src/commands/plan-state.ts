// What `plan` asks the state: whom the service has sent. A state that was never made knows nobody; one that cannot be read ends
// the command, for a plan without it would be another one. Read-only, bounded statements.
import type { Config } from '../config/config.ts'
import { SuprsyncError } from '../core/error.ts'
import type { KnownUser } from '../core/plan-report.ts'
import { connectionConfig } from '../postgres/connection.ts'
import { readBounded } from '../state/bounded-read.ts'
import { openStateDatabase, type StateDatabase } from '../state/database.ts'
import { pageSentUsers, readKnownUsers } from '../state/known-users.ts'
import { findState } from '../state/report.ts'

const TIMEOUT_MS = 15_000

export class PlanState implements AsyncDisposable {
  readonly #db: StateDatabase
  readonly #made: boolean

  private constructor(db: StateDatabase, made: boolean) {
    this.#db = db
    this.#made = made
  }

  /** @throws SuprsyncError `state_denied` */
  static async open({ state }: Config): Promise<PlanState> {
    const db = openStateDatabase({
      connection: connectionConfig(state.url.reveal()),
      schema: state.schema,
      maxConnections: 1,
      onIdleError: () => undefined, // The next statement tells.
    })
    try {
      const found = await findState(db, state.schema)
      if (found !== 'denied') return new PlanState(db, found === 'there')
      throw new SuprsyncError('state_denied', `The role may not read the schema ${state.schema}.`, {
        details: { next: "use the service's role, or GRANT USAGE on the schema and SELECT on its tables" },
      })
    } catch (error) {
      await db.destroy()
      throw error
    }
  }

  /** The service has run here: otherwise nobody is known. */
  get made(): boolean {
    return this.#made
  }

  async known(distinctIds: readonly string[]): Promise<ReadonlyMap<string, KnownUser>> {
    if (!this.#made || distinctIds.length === 0) return new Map()
    return read(await readBounded(this.#db, TIMEOUT_MS, (db) => readKnownUsers(db, distinctIds)))
  }

  /** Ids of whom SuprSend may hold something, in order. */
  async sentAfter(after: string, limit: number): Promise<readonly string[]> {
    if (!this.#made) return []
    return read(await readBounded(this.#db, TIMEOUT_MS, (db) => pageSentUsers(db, { after, limit })))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#db.destroy()
  }
}

function read<T>(answer: T | null): T {
  if (answer !== null) return answer
  throw new SuprsyncError(
    'state_unreadable',
    `The state's database did not answer within ${TIMEOUT_MS / 1000} s; look at the load and the locks there.`,
  )
}
