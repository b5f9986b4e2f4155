// The figures of `suprsync reconcile`: users by what was found, keys by how often, whom SuprSend could not be asked about, and how
// many are due again. Grows with the number of keys and codes, not with that of users (P7).
import type { ReconciledKind, Verdict } from './reconcile.ts'

export interface KeyCount {
  readonly key: string
  readonly kind: 'different' | 'extra'
  readonly count: number
}

export interface ReconcileSummary {
  readonly users: { readonly [kind in ReconciledKind]: number }
  /** Most frequent first. */
  readonly keys: readonly KeyCount[]
  readonly failures: readonly { readonly code: string; readonly count: number }[]
  readonly repaired: number
}

export interface Counted {
  readonly verdict: Verdict
  readonly repaired: boolean
}

export class ReconcileTally {
  readonly #users = {
    same: 0,
    missing: 0,
    extra: 0,
    different: 0,
    pending: 0,
    not_captured: 0,
    set_aside: 0,
    kept: 0,
    unknown: 0,
    not_compared: 0,
  }
  readonly #keys = new Map<string, { key: string; kind: KeyCount['kind']; count: number }>()
  readonly #failures = new Map<string, number>()
  #repaired = 0

  add({ verdict, repaired }: Counted): void {
    this.#users[verdict.kind] += 1
    if (repaired) this.#repaired += 1
    for (const key of verdict.different) this.#addKey(key, 'different')
    for (const key of verdict.extra) this.#addKey(key, 'extra')
    const code = verdict.failure?.code
    if (code !== undefined) this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1)
  }

  get summary(): ReconcileSummary {
    const byCount = (a: { count: number }, b: { count: number }) => b.count - a.count
    return {
      users: { ...this.#users },
      keys: [...this.#keys.values()].map((entry) => ({ ...entry })).sort(byCount),
      failures: [...this.#failures].map(([code, count]) => ({ code, count })).sort(byCount),
      repaired: this.#repaired,
    }
  }

  #addKey(key: string, kind: KeyCount['kind']): void {
    const id = `${kind} ${key}`
    const entry = this.#keys.get(id)
    if (entry) entry.count += 1
    else this.#keys.set(id, { key, kind, count: 1 })
  }
}

/** Users of whom SuprSend does not hold what their rows say. */
export function driftedUsers({ users }: ReconcileSummary): number {
  return users.missing + users.extra + users.different
}
