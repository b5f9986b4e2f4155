// Judges one user for `suprsync reconcile` and for the service's own sampling: what SuprSend shows against what the row says,
// in the light of what the state knows. Pure. Guarantees that nothing counts as a difference that is still on its way, was set
// aside or is kept on purpose, and that the result names keys of the mapping file and never a value (P8).
import type { Failure, RemoteUser } from './api.ts'
import { differenceOf } from './compare.ts'
import type { MappingSpec, OnDelete } from './mapping-spec.ts'
import type { Looked } from './plan-report.ts'
import { type ChannelKey, EMPTY_PROFILE, isChannelKey, type Profile } from './profile.ts'
import { referencesIn, sealProfile, sealUser } from './secret-reference.ts'

/** What the state has of a user. */
export interface StoredUser {
  readonly desiredHash: string | null
  readonly synced: Profile | null
  readonly syncedHash: string | null
  /** Waits to be sent, is being sent, or is held by the circuit breaker. */
  readonly isPending: boolean
  /** The code with which it was set aside. */
  readonly setAside: string | null
}

export type DriftKind =
  /** SuprSend does not have the user. */
  | 'missing'
  /** It has what should be gone: the user, or values. */
  | 'extra'
  /** It lacks or has otherwise what is wanted. */
  | 'different'

/** Why a user was not compared. */
export type PassedOver =
  | 'pending'
  /** The state has not got the row as the table has it: the change is on its way. */
  | 'not_captured'
  | 'set_aside'
  /** Nobody is to remove what was sent: `on_delete: keep`, or `suprsync reject`. */
  | 'kept'
  /** The state does not know the user yet: the backfill sends it. */
  | 'unknown'
  | 'not_compared'

export type ReconciledKind = 'same' | DriftKind | PassedOver

export interface Verdict {
  readonly kind: ReconciledKind
  /** Keys whose wanted values are absent or other ones. */
  readonly different: readonly string[]
  /** Keys that hold what should be gone. */
  readonly extra: readonly string[]
  /** Why SuprSend could not be asked. */
  readonly failure: Failure | null
}

export interface ReconcilePolicy {
  readonly onDelete: OnDelete
  readonly exclusive: ReadonlySet<ChannelKey>
  /** Keys that the mapping file itself names; others may come of rows. */
  readonly named: ReadonlySet<string>
}

export interface TableUser {
  /** By the table; null: no row holds the id. */
  readonly desired: Profile | null
  readonly desiredHash: string | null
}

/** Nothing about the user has moved between two readings of the state. */
export function isUnmoved(before: StoredUser | null, after: StoredUser | null): boolean {
  return (
    before?.desiredHash === after?.desiredHash &&
    before?.syncedHash === after?.syncedHash &&
    before?.isPending === after?.isPending &&
    before?.setAside === after?.setAside
  )
}

export function isDrift(kind: ReconciledKind): kind is DriftKind {
  return kind === 'missing' || kind === 'extra' || kind === 'different'
}

/** What can be said without asking SuprSend; null: ask. `caughtUp`: a row that the state has otherwise is not on its way. */
export function beforeLook(
  user: TableUser,
  stored: StoredUser | null,
  { onDelete, caughtUp }: { readonly onDelete: OnDelete; readonly caughtUp: boolean },
): Verdict | null {
  if (stored === null) return verdict(user.desired === null ? 'same' : 'unknown')
  if (stored.setAside !== null) return verdict('set_aside')
  if (stored.isPending) return verdict('pending')
  if (isStale(user, stored)) return caughtUp ? null : verdict('not_captured')
  if (stored.desiredHash !== stored.syncedHash) return verdict('kept')
  return user.desired === null && onDelete !== 'delete' ? verdict('same') : null
}

/** The state has another profile for the row than the table. */
export function isStale(user: TableUser, stored: StoredUser | null): boolean {
  return user.desiredHash !== (stored?.desiredHash ?? null)
}

export function judge(
  { desired }: TableUser,
  {
    stored,
    looked,
    policy,
  }: { readonly stored: StoredUser; readonly looked: Looked; readonly policy: ReconcilePolicy },
): Verdict {
  switch (looked.kind) {
    case 'failed':
      return { ...verdict('not_compared'), failure: looked.failure }
    case 'missing':
      return verdict(desired === null ? 'same' : 'missing')
    case 'found':
      if (desired === null && policy.onDelete !== 'clear') {
        return verdict(policy.onDelete === 'delete' ? 'extra' : 'same')
      }
      return compared(looked.user, desired ?? EMPTY_PROFILE, { stored, policy })
  }
}

function compared(
  user: RemoteUser,
  desired: Profile,
  { stored, policy }: { readonly stored: StoredUser; readonly policy: ReconcilePolicy },
): Verdict {
  const owned = stored.synced === null ? [] : [stored.synced]
  // SuprSend answers with the texts of secrets; what is compared are references.
  const references = referencesIn([desired, ...owned])
  const sealed = (profile: Profile) => (references.size === 0 ? profile : sealProfile(profile, references))
  const { remove, unset, append, set } = differenceOf(
    references.size === 0 ? user : sealUser(user, references, () => undefined),
    sealed(desired),
    { owned: owned.map(sealed), exclusive: policy.exclusive },
  )
  const different = keysOf([...append.map(({ key }) => key), ...Object.keys(set)], policy)
  const extra = keysOf([...remove.map(({ key }) => key), ...unset], policy)
  const kind = different.length > 0 ? 'different' : extra.length > 0 ? 'extra' : 'same'
  return { kind, different, extra, failure: null }
}

export function verdict(kind: ReconciledKind): Verdict {
  return { kind, different: [], extra: [], failure: null }
}

/** Each once. Names of properties may come of rows (P8): what the file does not name is `properties`. */
function keysOf(keys: readonly string[], { named }: ReconcilePolicy): readonly string[] {
  return [...new Set(keys.map((key) => (isChannelKey(key) || named.has(key) ? key : 'properties')))]
}

/** The keys of a profile that the mapping file itself names. */
export function namedKeys(spec: MappingSpec): ReadonlySet<string> {
  return new Set(
    [spec, ...spec.children].flatMap(({ profile, properties }) => [
      ...profile.keys(),
      ...properties.flatMap(({ pick }) => pick ?? []),
    ]),
  )
}
