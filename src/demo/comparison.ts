// Is SuprSend's user what the mapping says of the row? The demo's own judge, used for each change and, at the end, for every
// row against every user. Stricter than the service's comparison: it allows for no spelling and no value of anybody else.
import type { RemoteUser } from '../core/api.ts'
import { canonical, type Json, sameJson } from '../core/json.ts'
import type { Profile } from '../core/profile.ts'

export interface Difference {
  /** A row without its user, a user without a row, or both and unequal. */
  readonly kind: 'missing' | 'left_over' | 'unequal'
  readonly distinctId: string
  readonly row: Profile | null
  readonly user: RemoteUser | null
}

/** Empty: every row equals its user, and there is no other user. Both by distinct_id. */
export function findDifferences(
  rows: ReadonlyMap<string, Profile>,
  users: ReadonlyMap<string, RemoteUser>,
): readonly Difference[] {
  const found: Difference[] = []
  for (const [distinctId, row] of rows) {
    const user = users.get(distinctId) ?? null
    if (!isSame(row, user)) found.push({ kind: user === null ? 'missing' : 'unequal', distinctId, row, user })
  }
  for (const [distinctId, user] of users) {
    if (!rows.has(distinctId)) found.push({ kind: 'left_over', distinctId, row: null, user })
  }
  return found
}

/** null = there is no such user. The order of a channel's values is not compared: SuprSend keeps none. */
export function isSame(row: Profile | RemoteUser | null, user: RemoteUser | null): boolean {
  if (row === null || user === null) return row === user
  return sameJson(row.properties, user.properties) && sameJson(sorted(row.channels), sorted(user.channels))
}

function sorted(channels: { readonly [key: string]: readonly Json[] | undefined }): Json {
  const lists = Object.entries(channels).map(([key, values = []]) => [key, values.map(canonical).sort()] as const)
  return Object.fromEntries(lists.filter(([, values]) => values.length > 0))
}
