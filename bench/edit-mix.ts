// A realistic mix of single-row updates, as a list in the order of time: of five one edits something mapped, alone, or as a form that is
// saved several times within a second, or as an edit that is taken back; the others note that a user was seen.

export interface Update {
  readonly atMs: number
  readonly user: number
  /** The new name; null: `last_seen_at` alone. */
  readonly name: string | null
}

const MAPPED_SHARE = 0.2
/** Of what is begun: the rest are single edits. Of the mapped updates a half are in bursts, and a quarter in edits taken back. */
const BURSTS = 0.27
const REVERTS = 0.27
const UPDATES_EACH = BURSTS * 4 + REVERTS * 2 + (1 - BURSTS - REVERTS)

export interface Mix {
  readonly users: number
  /** Of those who were edited before; brought up to date. */
  readonly names: Map<number, string>
  readonly perSecond: number
  readonly seconds: number
}

export function editMix({ users, names, perSecond, seconds }: Mix): readonly Update[] {
  const total = perSecond * seconds
  const someTime = () => Math.random() * seconds * 1000
  const mapped: Update[] = []
  const begun = Array.from({ length: Math.round((total * MAPPED_SHARE) / UPDATES_EACH) }, someTime)
  for (const fromMs of begun.sort((a, b) => a - b)) {
    const user = randomBelow(users) + 1
    const before = names.get(user) ?? `User ${user}`
    const edits = someEdits(before).map(({ pauseMs, name }) => ({ atMs: fromMs + pauseMs, user, name }))
    mapped.push(...edits)
    names.set(user, edits.at(-1)?.name ?? before)
  }
  const seen = Array.from({ length: total - mapped.length }, () => ({
    ...{ atMs: someTime(), user: randomBelow(users) + 1, name: null },
  }))
  return [...mapped, ...seen].sort((a, b) => a.atMs - b.atMs)
}

function someEdits(before: string): readonly { readonly pauseMs: number; readonly name: string }[] {
  const kind = Math.random()
  if (kind < BURSTS)
    return Array.from({ length: 3 + randomBelow(3) }, (_, nth) => ({ pauseMs: nth * 200, name: someName() }))
  const first = { pauseMs: 0, name: someName() }
  return kind < BURSTS + REVERTS ? [first, { pauseMs: 300, name: before }] : [first]
}

function someName(): string {
  return `Name ${randomBelow(1_000_000_000)}`
}

function randomBelow(limit: number): number {
  return Math.floor(Math.random() * limit)
}
