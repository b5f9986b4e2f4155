// What `suprsync plan` says of one user and of all: which requests would be sent, from the state where it knows the user, else
// from what SuprSend itself shows. Pure; says nothing of how it is printed. Guarantees that a DELETE is planned only for
// users whom the state knows to have been sent, as the service does it (plan.ts).
import type { ApiRequest, Failure, RemoteUser } from './api.ts'
import { repairPlan } from './compare.ts'
import type { OnDelete } from './mapping-spec.ts'
import { type PlanInput, planUser, type Step } from './plan.ts'
import type { AssembledUser } from './plan-assembly.ts'
import type { ChannelKey, Profile } from './profile.ts'
import { referencesIn, sealUser } from './secret-reference.ts'

/** What the state knows SuprSend to hold, or to hold perhaps. */
export interface KnownUser {
  readonly synced: Profile | null
  readonly unclear: readonly (Profile | null)[]
  /** The code with which it was set aside: nothing is sent until the row changes or somebody retries. */
  readonly setAside: string | null
}

/** What SuprSend answered to a GET. */
export type Looked =
  | { readonly kind: 'found'; readonly user: RemoteUser }
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly failure: Failure }

export type PlannedAction = 'create' | 'update' | 'delete' | 'unchanged' | 'not_compared'

export interface PlannedUser extends AssembledUser {
  readonly action: PlannedAction
  readonly requests: readonly ApiRequest[]
  /** Nothing would be sent, and yet SuprSend does not hold what was sent: somebody else changed it. */
  readonly drifted: boolean
  readonly setAside: string | null
  /** Why SuprSend could not be asked. */
  readonly failure: Failure | null
}

export interface PlanPolicy {
  readonly onDelete: OnDelete
  readonly firstContact: 'upsert' | 'edit'
  readonly exclusive: ReadonlySet<ChannelKey>
}

/** Whether the state says that something of the user may be at SuprSend. */
export function isKnown(known: KnownUser | null): known is KnownUser {
  return known !== null && (known.synced !== null || known.unclear.length > 0)
}

/** Of a user who shall not exist and of whom nothing was sent there is nothing to ask. */
export function needsLook(user: AssembledUser, known: KnownUser | null): boolean {
  return user.desired !== null || isKnown(known)
}

export interface Decision {
  readonly user: AssembledUser
  readonly known: KnownUser | null
  /** null: not asked. */
  readonly looked: Looked | null
  readonly policy: PlanPolicy
}

export function planReported({ user, known, looked, policy }: Decision): PlannedUser {
  const { desired } = user
  const failure = looked?.kind === 'failed' ? looked.failure : null
  const base = { ...user, failure, setAside: known?.setAside ?? null, drifted: false }
  if (!isKnown(known)) {
    const requests = looked === null ? [] : firstRequests(desired, looked, policy)
    if (requests === null) return { ...base, action: 'not_compared', requests: [] }
    return { ...base, action: actionOf(requests, looked), requests }
  }
  const input: PlanInput = { desired, synced: known.synced, unclear: known.unclear, ...policy }
  const plan = planUser(input)
  if (plan.kind === 'settled') {
    const drifted = looked !== null && drifts(plan.synced, known, { looked, exclusive: policy.exclusive })
    return { ...base, action: 'unchanged', requests: [], drifted }
  }
  const steps = looked?.kind === 'missing' ? stepsForMissing(plan.steps, input) : plan.steps
  const requests = steps.map(({ request }) => request).filter(({ kind }) => kind !== 'get')
  return { ...base, action: actionOf(requests, looked), requests }
}

/** For a user unknown to the state. null: it cannot be told. */
function firstRequests(desired: Profile | null, looked: Looked, policy: PlanPolicy): readonly ApiRequest[] | null {
  if (desired === null) return []
  switch (looked.kind) {
    case 'failed':
      return null
    case 'missing': {
      const input: PlanInput = { desired, synced: null, unclear: [], ...policy }
      const plan = planUser(input)
      return plan.kind === 'settled' ? [] : stepsForMissing(plan.steps, input).map(({ request }) => request)
    }
    case 'found': {
      const user = sealed(looked.user, [desired])
      const operations = repairPlan(user, desired, { owned: [], exclusive: policy.exclusive })
      return operations.length === 0 ? [] : [{ kind: 'edit', operations }]
    }
  }
}

/** The steps as they go on once SuprSend has answered 404 to the first: what sync/attempt.ts would do. */
function stepsForMissing(steps: readonly Step[], input: PlanInput): readonly Step[] {
  const [first] = steps
  if (first === undefined || first.request.kind === 'upsert') return steps
  switch (first.onMissing.kind) {
    case 'done':
      return []
    case 'instead':
      return first.onMissing.steps
    case 'vanished': {
      const again = { ...input, synced: null, unclear: [] }
      const plan = planUser(again)
      return plan.kind === 'settled' ? [] : stepsForMissing(plan.steps, again)
    }
  }
}

function actionOf(requests: readonly ApiRequest[], looked: Looked | null): PlannedAction {
  if (requests.length === 0) return 'unchanged'
  if (requests.some(({ kind }) => kind === 'delete')) return 'delete'
  const created = looked?.kind === 'missing' || (looked?.kind !== 'found' && requests[0]?.kind === 'upsert')
  return created ? 'create' : 'update'
}

function drifts(
  synced: Profile | null,
  known: KnownUser,
  { looked, exclusive }: { readonly looked: Looked; readonly exclusive: ReadonlySet<ChannelKey> },
): boolean {
  switch (looked.kind) {
    case 'failed':
      return false
    case 'missing':
      return synced !== null
    case 'found': {
      const owned = [known.synced, ...known.unclear]
      return repairPlan(sealed(looked.user, [synced, ...owned]), synced, { owned, exclusive }).length > 0
    }
  }
}

/** SuprSend answers with the texts of secrets; what is compared are references. */
function sealed(user: RemoteUser, profiles: readonly (Profile | null)[]): RemoteUser {
  const references = referencesIn(profiles.filter((profile) => profile !== null))
  return references.size === 0 ? user : sealUser(user, references, () => undefined)
}
