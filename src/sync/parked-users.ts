// What a commit may tell SuprSend of its users while steps of another mapping are left (core/parking.ts): reads what they were to
// be so far, and what the rows that are being changed gave.
import type { CaptureState, ProfileWrite } from '../core/capture-port.ts'
import { type ChangedUser, meanwhileOfEdit, meanwhileOfPage, takenBy } from '../core/parking.ts'
import { type Profile, type ProfileDocument, profileOf } from '../core/profile.ts'
import type { RemapSteps } from '../core/remap-steps.ts'
import { rowId } from '../core/source-row.ts'
import type { Changed } from './assembly.ts'

export interface Parking {
  readonly state: CaptureState
  readonly steps: RemapSteps
  /** The users table's name. */
  readonly users: string
}

type Rows = Pick<Changed, 'rows' | 'stored'>
type OfUser<T> = (profile: ProfileWrite) => T

export async function parkUsers(
  { state, steps, users }: Parking,
  changed: Rows & { readonly isEdit: boolean; readonly read: ReadonlySet<string> },
  profiles: readonly ProfileWrite[],
): Promise<readonly ProfileWrite[]> {
  if (steps.left === 0 || profiles.length === 0) return profiles
  // Past a gap a page may show that a row has another id now, before another page shows who has the former.
  if (steps.isOnlyGap && (changed.isEdit || profiles.every(({ desired }) => desired !== null))) return profiles
  const before = await state.readDesired(profiles.map(({ distinctId }) => distinctId))
  const isAnother = otherSpeakers(users, changed)
  const isWhole = wholeUsers({ steps, users }, changed)
  const taken = changed.isEdit && !steps.movesRows ? await readTaken({ state, steps }, changed) : null
  const meanwhileOf = (profile: ProfileWrite): ProfileDocument | null => {
    const user: ChangedUser = { desired: profile.desired, before: before.get(profile.distinctId) ?? null }
    if (steps.movesRows) return user.before
    if (steps.isOnlyGap) return user.desired ?? user.before
    // What was another's is not theirs.
    if (isAnother(profile)) return user.desired
    if (taken === null) return meanwhileOfPage(user)
    return isWhole(profile) ? user.desired : meanwhileOfEdit(user, taken(profile))
  }
  return profiles.map((profile) => {
    const desired = meanwhileOf(profile)
    return desired?.hash === profile.desired?.hash ? profile : { ...profile, meanwhile: { desired } }
  })
}

/** Whether a users row speaks for a user that did not before. */
function otherSpeakers(users: string, { rows, stored }: Rows): OfUser<boolean> {
  const left = new Set<string>()
  const came = new Set<string>()
  for (const { source, key, content } of rows) {
    if (source !== users) continue
    const known = stored.get(rowId(source, key))
    const was = known?.live ? known.distinctId : null
    if (was === content.distinctId && content.part !== null) continue
    if (was !== null) left.add(was)
    came.add(key)
  }
  return ({ distinctId, key }) => key !== null && (left.has(distinctId) || came.has(key))
}

/** Whether all rows of a user are mapped by the mapping of today. */
function wholeUsers(
  { steps, users }: Pick<Parking, 'steps' | 'users'>,
  { rows, read }: Pick<Rows, 'rows'> & { readonly read: ReadonlySet<string> },
): OfUser<boolean> {
  const isNew = new Set([...read, ...rows.filter(({ source }) => source === users).map(({ key }) => key)])
  return ({ key }) => steps.areChildrenRead && (steps.areUsersRead || (key !== null && isNew.has(key)))
}

/** What the rows gave a user and give no more, as far as the change of the row is the reason and not that it is mapped otherwise. */
async function readTaken(
  { state, steps }: Pick<Parking, 'state' | 'steps'>,
  { rows, stored }: Rows,
): Promise<OfUser<readonly Profile[]>> {
  const changes = rows.flatMap(({ source, key, content }) => {
    const known = stored.get(rowId(source, key))
    if (!known?.live) return []
    const isTheirs =
      content.part !== null && known.distinctId === content.distinctId && known.userKey === content.userKey
    if (isTheirs && !steps.isOfToday(source, known)) return []
    return [{ source, key, known, now: isTheirs && content.part ? profileOf(content.part) : null }]
  })
  const parts = changes.length === 0 ? new Map<string, Profile>() : await state.readParts(changes)
  const taken = new Map<string, Profile[]>()
  for (const { source, key, known, now } of changes) {
    const part = parts.get(rowId(source, key))
    const owner = known.distinctId === null ? ofRow(known.userKey) : ofUser(known.distinctId)
    if (part !== undefined) taken.set(owner, [...(taken.get(owner) ?? []), takenBy(part, now)])
  }
  return ({ distinctId, key }) => [...(taken.get(ofUser(distinctId)) ?? []), ...(taken.get(ofRow(key)) ?? [])]
}

function ofUser(distinctId: string): string {
  return `user ${distinctId}`
}

function ofRow(key: string | null): string {
  return `row ${key}`
}
