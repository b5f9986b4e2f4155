// Who is due, in SQL over `profile p` and what is found of it: the words on which the plans of claims depend.
import { type RawBuilder, sql } from 'kysely'

/**
 * Asked of those who were found by the index, in words that it does not fit. A table that was analyzed while nobody was due has the
 * planner believe that the index holds next to nothing, and read all of it once more instead of the few by their keys.
 */
export const STILL_DUE = sql`coalesce(p.due_at, 'infinity') <= statement_timestamp()`

/** @param front of core/queue-front.ts; null: the very front */
export function isDue(front: string | null): RawBuilder<unknown> {
  const from = front === null ? sql`true` : sql`p.due_at >= ${front}::timestamptz`
  return sql`p.due_at is not null and p.due_at <= statement_timestamp() and ${from}`
}

/**
 * The oldest of a lane among those found (`f`, `l`), or a little before now where nobody is due: who comes to be so has the time of the
 * statement that says so, and is seen when it is committed.
 */
export function oldestOf(lane: 0 | 1): RawBuilder<unknown> {
  return sql`least(min(f.due_at) filter (where l.lane = ${lane}), statement_timestamp() - interval '1 second')::text`
}
