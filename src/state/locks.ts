// The advisory locks by which processes share one state (DESIGN §7), all of one schema: number 0 is capture's, numbers 1 and on are the buckets',
// and every sender shares the last number for as long as it is there. Of another name are the signs of life: each sender holds the second
// in which it last made progress, for a row would be WAL and a transaction id every few seconds of an idle night. Session locks: when
// a session ends the server frees them.
import { type RawBuilder, sql } from 'kysely'
import { BUCKETS } from '../core/buckets.ts'

export const CAPTURE_LOCK = 0
export const SENDERS_LOCK = BUCKETS + 1

export function bucketLock(bucket: number): number {
  return bucket + 1
}

/** null: it is no bucket's. */
export function lockedBucket(number: number): number | null {
  return number >= bucketLock(0) && number <= bucketLock(BUCKETS - 1) ? number - bucketLock(0) : null
}

/** The first half of the locks' key, hashed by the server. */
export function lockName(schema: string): string {
  return `suprsync ${schema}`
}

/** Of the signs of life. */
export function beatName(schema: string): string {
  return `suprsync beats ${schema}`
}

/** Of the server's clock, counted from 2020 so that it fits into the second half of a key until 2088. */
export const BEAT_SECOND = '(extract(epoch from clock_timestamp()) - 1577836800)::int'

/** In `pg_locks l`: held, and one of a name that stands between the two. */
const HELD = "(l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = hashtext("
const OF_THIS_DATABASE = ')::oid and l.database = (select oid from pg_database where datname = current_database()))'

/** In `pg_locks l`: held, and one of this name, which is a parameter such as `$1`. */
export function isHeld(name: `$${number}`): string {
  return `${HELD}${name}${OF_THIS_DATABASE}`
}

/** In `pg_locks l`: held, and one of this schema's. */
export function isOurLock(schema: string): RawBuilder<unknown> {
  return isLockOf(lockName(schema))
}

/** In `pg_locks l`: held, and a sign of life. */
export function isOurBeat(schema: string): RawBuilder<unknown> {
  return isLockOf(beatName(schema))
}

function isLockOf(name: string): RawBuilder<unknown> {
  return sql`${sql.raw(HELD)}${name}${sql.raw(OF_THIS_DATABASE)}`
}
