// While tables are read again because the mapping is another one, a user is put together of rows mapped by the new and rows
// mapped by the old (remap-steps.ts): a value that moves from one table or row to another is missing for a while, and so is a user
// whose id moves. Here is what SuprSend is to hold of a user in the meantime. Who waits for something is *parked*: until everything
// is read, then all at once become what their rows say. Pure.
import { likeness } from './channel-value.ts'
import { CHANNEL_KEYS, documentOf, type Profile, type ProfileDocument, profileOf } from './profile.ts'
import { fitProfile } from './profile-limit.ts'
import { unite } from './profile-merge.ts'

export interface ChangedUser {
  /** What the rows say as they are stored; null: there is no such user. */
  readonly desired: ProfileDocument | null
  /** What SuprSend was to hold before this change; null: nothing. */
  readonly before: ProfileDocument | null
}

/** A user whom a page changed: what it does not show may come with the next one. */
export function meanwhileOfPage({ desired, before }: ChangedUser): ProfileDocument | null {
  if (before === null) return desired
  if (desired === null) return before
  return isEmpty(without(profileOf(before), profileOf(desired))) ? desired : before
}

/**
 * A user whom a live edit changed and of whom some rows may be mapped as before: what it adds is sent, and what it took away itself
 * is removed.
 * @param taken what the changed rows gave and give no more.
 */
export function meanwhileOfEdit({ desired, before }: ChangedUser, taken: readonly Profile[]): typeof before {
  if (desired === null || before === null) return desired
  const missing = without(profileOf(before), profileOf(desired))
  const kept = taken.reduce(without, missing)
  if (isEmpty(kept)) return desired
  return documentOf(fitProfile(unite([profileOf(desired), kept])).profile)
}

/** What `profile` holds and `other` does not; a property with another value is held. */
function without(profile: Profile, other: Profile): Profile {
  const channels = CHANNEL_KEYS.flatMap((key) => {
    const taken = new Set((other.channels[key] ?? []).map((value) => likeness(key, value)))
    const left = (profile.channels[key] ?? []).filter((value) => !taken.has(likeness(key, value)))
    return left.length === 0 ? [] : [[key, left] as const]
  })
  const properties = Object.entries(profile.properties).filter(([name]) => !(name in other.properties))
  return { channels: Object.fromEntries(channels), properties: Object.fromEntries(properties) }
}

/** What a row gave and gives no more. */
export function takenBy(former: Profile, now: Profile | null): Profile {
  return now === null ? former : without(former, now)
}

function isEmpty({ channels, properties }: Profile): boolean {
  return Object.keys(channels).length === 0 && Object.keys(properties).length === 0
}
