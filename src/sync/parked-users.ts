// What a commit may tell SuprSend of its users while steps of another mapping are left (core/parking.ts): reads what they were to
// be so far, and what the rows that are being changed gave.
import type { CaptureState, ProfileWrite } from '../core/capture-port.ts'
import { type ChangedUser, meanwhileOfEdit, meanwhileOfPage, takenBy } from '../core/parking.ts'
import type { Profile, ProfileDocument } from '../core/profile.ts'
import type { RemapSteps } from '../core/remap-steps.ts'
import { rowId } from '../core/source-row.ts'
import type { Changed } from './assembly.ts'

export interface Parking {
  readonly state: CaptureState
  readonly steps: RemapSteps
  /** The users table's name. */
  readonly users: string
}

export async function parkUsers(
  { state, steps, users }: Parking,
  changed: Pick<Changed, 'rows' | 'stored'> & { readonly isEdit: boolean },
  profiles: readonly ProfileWrite[],
): Promise<readonly ProfileWrite[]> {
  if (steps.left === 0 || profiles.length === 0) return profiles
  const before = await state.readDesired(profiles.map(({ distinctId }) => distinctId))
  const edits = changed.isEdit ? await readEdits({ state, steps, users }, changed) : null
  return profiles.map((profile) => {
    const user: ChangedUser = { desired: profile.desired, before: before.get(profile.distinctId) ?? null }
    const meanwhile = meanwhileOf(steps, user, edits?.(profile) ?? null)
    return meanwhile?.hash === profile.desired?.hash ? profile : { ...profile, meanwhile: { desired: meanwhile } }
  })
}

type Edit = Parameters<typeof meanwhileOfEdit>[1]

function meanwhileOf(steps: RemapSteps, user: ChangedUser, edit: Edit | null): ProfileDocument | null {
  if (steps.movesKeys) return user.before
  return edit === null ? meanwhileOfPage(user) : meanwhileOfEdit(user, edit)
}

async function readEdits(
  { state, steps, users }: Parking,
  { rows, stored }: Pick<Changed, 'rows' | 'stored'>,
): Promise<(profile: ProfileWrite) => Edit> {
  const written = new Set<string>()
  const moved = new Set<string>()
  const taking: { readonly source: string; readonly key: string; readonly now: Profile | null }[] = []
  for (const { source, key, content } of rows) {
    if (source === users) written.add(key)
    const known = stored.get(rowId(source, key))
    if (!known?.live) continue
    const hasSameOwner = known.distinctId === content.distinctId && known.userKey === content.userKey
    // A device that is somebody else's now would tell them what is not theirs, if both kept it.
    const isHandedOver = known.userKey !== null && !hasSameOwner
    const isSure = content.part === null || isHandedOver || steps.isOfToday(source, known)
    if (isSure) taking.push({ source, key, now: content.part && hasSameOwner ? profileOf(content.part) : null })
    else if (!hasSameOwner && known.distinctId !== null) moved.add(known.distinctId)
  }
  const parts = taking.length === 0 ? new Map<string, Profile>() : await state.readParts(taking)
  const taken = new Map<string, Profile[]>()
  for (const { source, key, now } of taking) {
    const id = rowId(source, key)
    const part = parts.get(id)
    const known = stored.get(id)
    if (part === undefined || !known) continue
    const owner = ownerOf(known)
    taken.set(owner, [...(taken.get(owner) ?? []), takenBy(part, now)])
  }
  return ({ distinctId, key }) => ({
    isMoved: moved.has(distinctId),
    isWhole: steps.areChildrenRead && (steps.areUsersRead || (key !== null && written.has(key))),
    taken: [
      ...(taken.get(ownerOf({ distinctId, userKey: null })) ?? []),
      ...(taken.get(ownerOf({ distinctId: null, userKey: key })) ?? []),
    ],
  })
}

function ownerOf({
  distinctId,
  userKey,
}: {
  readonly distinctId: string | null
  readonly userKey: string | null
}): string {
  return distinctId === null ? `row ${userKey}` : `user ${distinctId}`
}

function profileOf(document: ProfileDocument): Profile {
  return JSON.parse(document.text) as Profile
}
