// The figures of `suprsync plan`: what would be sent, what was left out and why, whom SuprSend could not be asked about. Grows with
// the number of keys and codes, not with that of users (P7).
import type { AssembledUser } from './plan-assembly.ts'
import type { PlannedAction, PlannedUser } from './plan-report.ts'

export interface PlanSummary {
  /** Rows of the users table that were read. */
  readonly rows: number
  /** Users by what would be done; `unchanged` with those who need not exist and do not. */
  readonly actions: { readonly [action in PlannedAction]: number }
  /** Rows not sent: another one with the same distinct_id goes before. */
  readonly duplicates: number
  /** Nothing would be sent, though SuprSend does not hold what was sent. */
  readonly drifted: number
  readonly leftOut: readonly { readonly key: string; readonly code: string; readonly count: number }[]
  readonly failures: readonly { readonly code: string; readonly count: number }[]
}

export class PlanTally {
  #rows = 0
  #duplicates = 0
  #drifted = 0
  readonly #actions = { create: 0, update: 0, delete: 0, unchanged: 0, not_compared: 0 }
  readonly #leftOut = new Map<string, { readonly key: string; readonly code: string; count: number }>()
  readonly #failures = new Map<string, number>()

  addRows(rows: number): void {
    this.#rows += rows
  }

  addUser(user: PlannedUser): void {
    this.#actions[user.action] += 1
    if (user.drifted) this.#drifted += 1
    if (user.failure) this.#failures.set(user.failure.code, (this.#failures.get(user.failure.code) ?? 0) + 1)
    this.addLeftOut(user.reasons)
    this.addDuplicates(user.duplicates.length)
  }

  addDuplicates(rows: number): void {
    this.#duplicates += rows
  }

  addLeftOut(reasons: AssembledUser['reasons']): void {
    for (const { key, code } of reasons) {
      const id = `${key} ${code}`
      const entry = this.#leftOut.get(id)
      if (entry) entry.count += 1
      else this.#leftOut.set(id, { key, code, count: 1 })
    }
  }

  /** Most frequent first. */
  get summary(): PlanSummary {
    const byCount = (a: { count: number }, b: { count: number }) => b.count - a.count
    return {
      rows: this.#rows,
      actions: { ...this.#actions },
      duplicates: this.#duplicates,
      drifted: this.#drifted,
      leftOut: [...this.#leftOut.values()].map((entry) => ({ ...entry })).sort(byCount),
      failures: [...this.#failures].map(([code, count]) => ({ code, count })).sort(byCount),
    }
  }
}

/** Whether anything would be sent, for `--exit-code`. */
export function hasDifferences({ actions }: PlanSummary): boolean {
  return actions.create + actions.update + actions.delete > 0
}
