// What the service's own sampling needs of the state, and what a repair is. Implemented by state/reconcile-store.ts.
import type { DriftKind, StoredUser, TableUser } from './reconcile.ts'

export interface SampledUser extends TableUser {
  readonly distinctId: string
  readonly stored: StoredUser
}

export interface Repair {
  readonly distinctId: string
  /** `create`: as a user of whom nothing was sent. `whole`: everything is said again, what must go is removed. */
  readonly how: 'create' | 'whole'
  /** As it was read: a user whose profile is another one meanwhile is left alone. */
  readonly desiredHash: string | null
}

export interface ReconcileState {
  /** A random user who is settled; null: none was drawn. */
  sample(): Promise<SampledUser | null>
  /** @returns whether it was still as it had been read. */
  repair(repair: Repair): Promise<boolean>
}

export function repairOf(distinctId: string, kind: DriftKind, desiredHash: string | null): Repair {
  return { distinctId, how: kind === 'missing' ? 'create' : 'whole', desiredHash }
}
