// The work of `plan`: users are looked up in the state and in SuprSend, and whoever listens is told of each batch. Who the users
// are is user-scan.ts. Sends GETs alone.
import type { Config } from '../config/config.ts'
import { exclusiveKeys } from '../core/mapping-spec.ts'
import { needsLook, type PlannedUser, planReported } from '../core/plan-report.ts'
import { type PlanSummary, PlanTally } from '../core/plan-summary.ts'
import type { RemoteReader } from '../sync/remote-reader.ts'
import type { PlanSource } from './plan-source.ts'
import type { PlanState } from './plan-state.ts'
import { type ScannedBatch, type ScanScope, type UnsentRow, UserScan } from './user-scan.ts'

export type PlanScope = Exclude<ScanScope, { kind: 'sample' }>

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

export class PlanRun {
  readonly #options: PlanRunOptions
  readonly #tally = new PlanTally()

  constructor(options: PlanRunOptions) {
    this.#options = options
  }

  async run(scope: PlanScope, signal: AbortSignal): Promise<PlanEnd> {
    const { source, state } = this.#options
    const scan = new UserScan({ source, state, onBatch: (batch) => this.#report(batch, signal) })
    const more = await scan.run(scope)
    return { summary: this.#tally.summary, more }
  }

  async #report({ rows, users, unsent }: ScannedBatch, signal: AbortSignal): Promise<void> {
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
    this.#tally.addRows(rows)
    for (const user of planned) this.#tally.addUser(user)
    for (const { distinctId, reasons } of unsent) {
      if (distinctId === null) this.#tally.addLeftOut(reasons)
      else this.#tally.addDuplicates(1)
    }
    onBatch({ rows, users: planned, unsent })
  }
}
