// The advisory locks by which processes share one state (DESIGN §7), all of one schema: number 0 is capture's, numbers 1 and on are the buckets',
// and every sender shares the last number for as long as it is there. Session locks: when a session ends the server frees them.
import { type RawBuilder, sql } from 'kysely'
import { BUCKETS } from '../core/buckets.ts'

export const CAPTURE_LOCK = 0
export const SENDERS_LOCK = BUCKETS + 1

export function bucketLock(bucket: number): number {
  return bucket + 1
}

/** The first half of the locks' key, hashed by the server. */
export function lockName(schema: string): string {
  return `suprsync ${schema}`
}

/** In `pg_locks l`: held, and one of this schema's. */
export function isOurLock(schema: string): RawBuilder<unknown> {
  return sql`(l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = hashtext(${lockName(schema)})::oid
    and l.database = (select oid from pg_database where datname = current_database()))`
}
