// The work of `reconcile`: users as the table makes them are compared with what SuprSend shows, in the light of the state, and with
// --repair made due again. Guarantees that nobody is called different because something about them was on its way meanwhile: who
// moved, or whose row the state has otherwise, is looked at again at the end. Holds a batch at a time, and the users in doubt.
import { sleep } from '../core/abort.ts'
import type { AssembledUser } from '../core/plan-assembly.ts'
import { profileHash } from '../core/profile.ts'
import {
  beforeLook,
  isDrift,
  isStale,
  isUnmoved,
  judge,
  type ReconcilePolicy,
  type StoredUser,
  type TableUser,
  type Verdict,
  verdict,
} from '../core/reconcile.ts'
import { repairOf } from '../core/reconcile-port.ts'
import { type ReconcileSummary, ReconcileTally } from '../core/reconcile-summary.ts'
import type { RemoteReader } from '../sync/remote-reader.ts'
import type { PlanSource } from './plan-source.ts'
import type { ReconcileState } from './reconcile-state.ts'
import { type ScannedBatch, type ScanScope, UserScan } from './user-scan.ts'

export interface ReconciledUser {
  readonly distinctId: string
  /** The key of the row that speaks for it; null: no row does. */
  readonly row: string | null
  readonly verdict: Verdict
  /** The state has another profile for the row than the table, and nothing is on its way. */
  readonly stale: boolean
  /** It was made due again. */
  readonly repaired: boolean
}

export interface ReconciledBatch {
  readonly rows: number
  readonly users: readonly ReconciledUser[]
}

export interface ReconcileRunOptions {
  readonly source: PlanSource
  readonly state: ReconcileState
  readonly remote: RemoteReader
  readonly policy: ReconcilePolicy
  readonly repair: boolean
  /** What was committed some seconds ago is in the state. */
  readonly isCaughtUp: () => Promise<boolean>
  readonly onBatch: (batch: ReconciledBatch) => void
}

/** A service that streams stores a change within tens of milliseconds, and a large one within seconds. */
const DOUBT_MS = 5_000
const DOUBT_POLL_MS = 250
const MOST_DOUBTFUL = 1_000
const BATCH_USERS = 50

export class ReconcileRun {
  readonly #options: ReconcileRunOptions
  readonly #tally = new ReconcileTally()
  readonly #scan: UserScan
  #signal = new AbortController().signal
  #doubtful: AssembledUser[] = []

  constructor(options: ReconcileRunOptions) {
    this.#options = options
    this.#scan = new UserScan({ ...options, onBatch: (batch) => this.#batch(batch) })
  }

  async run(scope: ScanScope, signal: AbortSignal): Promise<ReconcileSummary> {
    this.#signal = signal
    await this.#scan.run(scope)
    if (this.#doubtful.length > 0) await this.#resolve()
    return this.#tally.summary
  }

  async #batch({ rows, users }: ScannedBatch): Promise<void> {
    const looked = await this.#look(users, { caughtUp: false })
    const room = Math.max(0, MOST_DOUBTFUL - this.#doubtful.length)
    const doubtful = new Set(
      looked
        .filter(isDoubtful)
        .slice(0, room)
        .map(({ distinctId }) => distinctId),
    )
    this.#doubtful.push(...users.filter(({ distinctId }) => doubtful.has(distinctId)))
    this.#tell(
      rows,
      looked.filter(({ distinctId }) => !doubtful.has(distinctId)),
    )
  }

  /** Until nobody is in doubt, or what is left cannot be on its way. */
  async #resolve(): Promise<void> {
    const { state, isCaughtUp } = this.#options
    const patienceMs = (await state.isServiceRunning()) ? DOUBT_MS : 0
    const deadline = performance.now() + patienceMs
    while (this.#doubtful.length > 0 && performance.now() < deadline) {
      await sleep(DOUBT_POLL_MS, this.#signal)
      this.#signal.throwIfAborted()
      const again = this.#doubtful
      this.#doubtful = []
      await this.#lookAgain(again, (users) => this.#batch({ rows: 0, users, unsent: [] }))
    }
    const caughtUp = patienceMs > 0 && this.#doubtful.length > 0 && (await isCaughtUp())
    await this.#lookAgain(this.#doubtful, async (users) => this.#tell(0, await this.#look(users, { caughtUp })))
  }

  async #lookAgain(
    users: readonly AssembledUser[],
    work: (users: readonly AssembledUser[]) => Promise<void>,
  ): Promise<void> {
    for (let at = 0; at < users.length; at += BATCH_USERS) {
      await work(await this.#scan.again(users.slice(at, at + BATCH_USERS)))
    }
  }

  async #look(
    users: readonly AssembledUser[],
    { caughtUp }: { readonly caughtUp: boolean },
  ): Promise<readonly Looked[]> {
    const { state, policy } = this.#options
    const ids = users.map(({ distinctId }) => distinctId)
    const before = await state.stored(ids)
    const looked = await Promise.all(
      users.map(async ({ distinctId, row, desired }): Promise<Looked> => {
        const stored = before.get(distinctId) ?? null
        const user: TableUser = { desired, desiredHash: desired === null ? null : profileHash(desired) }
        const early = beforeLook(user, stored, { onDelete: policy.onDelete, caughtUp })
        const found = early ?? (await this.#ask(distinctId, user, stored))
        const stale = isDrift(found.kind) && isStale(user, stored)
        return { distinctId, row, verdict: found, stale, repaired: false, moved: false, desiredHash: user.desiredHash }
      }),
    )
    return await this.#confirm(looked, before)
  }

  async #ask(distinctId: string, user: TableUser, stored: StoredUser | null): Promise<Verdict> {
    if (stored === null) return verdict('unknown')
    const { remote, policy } = this.#options
    return judge(user, { stored, looked: await remote.look(distinctId, this.#signal), policy })
  }

  /** A difference counts only of who has not moved since; who is repaired has not. */
  async #confirm(looked: readonly Looked[], before: ReadonlyMap<string, StoredUser>): Promise<readonly Looked[]> {
    const drifted = looked.filter((user) => isDrift(user.verdict.kind))
    if (drifted.length === 0) return looked
    const after = await this.#options.state.stored(drifted.map(({ distinctId }) => distinctId))
    const still = drifted.filter(({ distinctId: id }) => isUnmoved(before.get(id) ?? null, after.get(id) ?? null))
    const repaired = await this.#repair(still.filter(({ stale }) => !stale))
    const unmoved = new Set(still.map(({ distinctId }) => distinctId))
    return looked.map((user) => {
      if (!isDrift(user.verdict.kind)) return user
      if (repaired?.has(user.distinctId)) return { ...user, repaired: true }
      const moved = !unmoved.has(user.distinctId) || (repaired !== null && !user.stale)
      return moved ? { ...user, verdict: verdict('pending'), stale: false, moved } : user
    })
  }

  /** null: nothing is to be repaired. */
  async #repair(drifted: readonly Looked[]): Promise<ReadonlySet<string> | null> {
    const { state, repair } = this.#options
    if (!repair) return null
    return await state.repair(
      drifted.flatMap(({ distinctId, verdict: { kind }, desiredHash }) =>
        isDrift(kind) ? [repairOf(distinctId, kind, desiredHash)] : [],
      ),
    )
  }

  #tell(rows: number, users: readonly ReconciledUser[]): void {
    for (const user of users) this.#tally.add(user)
    this.#options.onBatch({ rows, users })
  }
}

interface Looked extends ReconciledUser {
  /** Something about it changed while it was compared. */
  readonly moved: boolean
  readonly desiredHash: string | null
}

function isDoubtful({ verdict: { kind }, moved }: Looked): boolean {
  return moved || kind === 'not_captured'
}
