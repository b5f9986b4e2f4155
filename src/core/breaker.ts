// The circuit breaker (DESIGN §8): more deletions and emptied channels within a window than a set share of the users are not
// believed. They are held until a person has looked; everything else goes on. Pure.

export interface BreakerSettings {
  /** Of all users, 0 to 1. */
  readonly share: number
  /** Fewer losses than this never trip it: in a small table a few are a large share. */
  readonly minUsers: number
  readonly windowMs: number
}

export interface Losses {
  /** Users who lost everything, or all values of a channel, within the window. */
  readonly recent: number
  /** All users that state knows. */
  readonly users: number
}

export function trips({ recent, users }: Losses, { share, minUsers }: BreakerSettings): boolean {
  return recent >= minUsers && recent > share * users
}

/** How many users have to be counted to decide: with more the share is certainly not reached. */
export function usersToCount(recent: number, { share }: BreakerSettings): number {
  return Math.ceil(recent / share) + 1
}

export interface OpenBreaker {
  /** Milliseconds since 1970. */
  readonly openedAt: number
  readonly recent: number
  readonly users: number
}
