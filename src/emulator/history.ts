// What was applied to each user, in order, so that a test can say that none was ever seen to go back. Bounded per user:
// the oldest entries go first. Survives the user's deletion.
import type { RemoteUser } from '../core/api.ts'
import type { Json } from '../core/json.ts'
import { comparable, type StoredUser } from './stored-user.ts'

export interface HistoryEntry {
  readonly atMs: number
  readonly method: string
  /** The request's body; null for DELETE. */
  readonly body: Json
  readonly status: number
  /** The user after it; null when there is none. */
  readonly state: RemoteUser | null
}

interface Kept {
  readonly atMs: number
  readonly method: string
  readonly body: Json
  readonly status: number
  readonly user: StoredUser | null
}

export class History {
  readonly #limit: number
  readonly #users = new Map<string, Kept[]>()

  /** `limit` entries for each user; 0 keeps none. */
  constructor(limit: number) {
    this.#limit = limit
  }

  get enabled(): boolean {
    return this.#limit > 0
  }

  record(distinctId: string, entry: Kept): void {
    if (this.#limit === 0) return
    const kept = this.#users.get(distinctId)
    if (kept === undefined) {
      this.#users.set(distinctId, [entry])
      return
    }
    kept.push(entry)
    if (kept.length > this.#limit) kept.shift()
  }

  of(distinctId: string): readonly HistoryEntry[] {
    return (this.#users.get(distinctId) ?? []).map(({ user, ...entry }) => ({
      ...entry,
      state: user === null ? null : comparable(user),
    }))
  }

  clear(): void {
    this.#users.clear()
  }
}
