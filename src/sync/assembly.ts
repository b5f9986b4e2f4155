// What the users touched by a commit should be: from the rows that it writes and all others that state holds of them. Reads
// only; the caller's turn sees to it that nothing changes before it is written. The parts of a profile are kept in state, a
// row each with its own version, so a change of one child reads nothing from the application's database (P5) and no order of
// changes can put an older row in (P3).
import type { CaptureState, ProfileWrite, RowWrite, StateCommit } from '../core/capture-port.ts'
import { type Lsn, later, NO_LSN } from '../core/lsn.ts'
import { MAX_CHILDREN, mergeUsers, withChildren } from '../core/profile-merge.ts'
import { liveChildren, liveRows, type TouchedUsers } from '../core/row-writes.ts'
import { rowId, type StoredRow } from '../core/source-row.ts'

export interface Surroundings {
  readonly state: CaptureState
  /** The users table, then the child tables in the order of the mapping. */
  readonly sources: readonly [string, ...string[]]
  readonly mapper: { readonly idIsKey: boolean }
}

export interface Changed {
  readonly rows: readonly RowWrite[]
  /** By rowId, as they were. */
  readonly stored: ReadonlyMap<string, StoredRow | null>
  readonly touched: TouchedUsers
}

/** With MAX_CHILDREN rows each, and those being written, 300,000 rows of some hundred bytes at the worst. */
const USERS_AT_A_TIME = 200

export async function assembleUsers(
  { state, sources, mapper }: Surroundings,
  { rows, stored, touched }: Changed,
): Promise<Pick<StateCommit, 'profiles' | 'marks'>> {
  const [users, ...children] = sources
  const userRows = rows.filter(({ source }) => source === users)
  const direct = new Set(touched.ids)
  if (touched.userKeys.length > 0) {
    const keys = touched.userKeys
    const owners = mapper.idIsKey
      ? new Map(keys.map((key) => [key, key]))
      : await readOwners(state, users, { keys, userRows })
    touched.resolve(owners)
  }
  const written = new Set(userRows.map(({ key }) => key))
  const shared = mapper.idIsKey ? touched.ids.filter((id) => !written.has(id)) : touched.ids
  const others = shared.length === 0 ? [] : await state.readLiveRows(users, shared, [...written])
  const live = [...liveRows(userRows, stored), ...others]
  const alive = new Set(live.map(({ distinctId }) => distinctId))
  // A child of nobody makes nobody.
  const ids = touched.ids.filter((id) => direct.has(id) || alive.has(id))
  const { profiles, marks } = mergeUsers(ids, live)
  const keys = profiles.flatMap(({ key }) => key ?? [])
  if (children.length === 0 || keys.length === 0) {
    return { profiles: profiles.map((profile) => ({ ...profile, ...touched.of(profile.distinctId) })), marks }
  }

  const childRows = rows.filter(({ source }) => source !== users)
  const being = new Set(childRows.map(({ source, key }) => rowId(source, key)))
  const limit = MAX_CHILDREN + 1 + childRows.length
  const beingWritten = Map.groupBy(liveChildren(childRows), (child) => child.userKey)
  const whole: ProfileWrite[] = []
  // Some users at a time: what their children hold is in memory only until it is one profile (P7).
  for (let from = 0; from < profiles.length; from += USERS_AT_A_TIME) {
    const some = profiles.slice(from, from + USERS_AT_A_TIME)
    const owners = some.flatMap(({ key }) => key ?? [])
    const kept = owners.length === 0 ? [] : await state.readLiveChildren(children, owners, limit)
    const theirs = [
      ...owners.flatMap((key) => beingWritten.get(key) ?? []),
      ...kept.filter(({ source, key }) => !being.has(rowId(source, key))),
    ]
    const newest = new Map<string, Lsn>()
    for (const { userKey, changeLsn } of theirs) {
      newest.set(userKey, later(changeLsn ?? NO_LSN, newest.get(userKey) ?? NO_LSN))
    }
    for (const profile of withChildren(some, children, theirs)) {
      const touch = touched.of(profile.distinctId)
      // A child that came before its user, in a transaction whose end is not stored yet, holds the user back as well.
      whole.push({ ...profile, ...touch, changeLsn: later(touch.changeLsn, newest.get(profile.key ?? '') ?? NO_LSN) })
    }
  }
  return { profiles: whole, marks }
}

/** Whose live rows these users rows are, once this commit is made. */
async function readOwners(
  state: CaptureState,
  users: string,
  { keys, userRows }: { readonly keys: readonly string[]; readonly userRows: readonly RowWrite[] },
): Promise<ReadonlyMap<string, string>> {
  const written = new Map(userRows.map(({ key, content }) => [key, content]))
  const stored = keys.filter((key) => !written.has(key))
  const owners = new Map(stored.length === 0 ? [] : await state.readUserIds(users, stored))
  for (const key of keys) {
    const content = written.get(key)
    if (content && content.part !== null && content.distinctId !== null) owners.set(key, content.distinctId)
  }
  return owners
}
