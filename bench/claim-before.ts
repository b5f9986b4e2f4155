// How a claim was made before any number of senders could be there: one index of who is due, read from its front. For bench/pending.ts,
// which runs both on the same rows; without what the circuit breaker adds to both, of which there is nothing in that bench.
import { sql } from 'kysely'
import type { Claim } from '../src/core/delivery-port.ts'
import type { Profile } from '../src/core/profile.ts'
import { heldTarget, IS_KEPT, onlyLoses, STORED } from '../src/state/losses.ts'
import type { Pending } from './pending-state.ts'

const DESIRED = sql.ref('p.desired')

export async function indexBefore({ client }: Pending): Promise<void> {
  await client.query(
    'create index if not exists profile_due on suprsync.profile (lane, due_at) where due_at is not null',
  )
}

interface Row {
  readonly distinct_id: string
  readonly bucket: number
  readonly desired: Profile | null
  readonly desired_hash: string | null
  readonly synced: Profile | null
  readonly synced_hash: string | null
}

export async function claimBefore({ db, senderId }: Pending, limit: number, token: string): Promise<readonly Claim[]> {
  const { rows } = await sql<Row>`
      with due as materialized (
        select distinct_id, sending, ${IS_KEPT} as kept, ${IS_KEPT} and ${onlyLoses(DESIRED, STORED)} as nothing from profile p
        where due_at is not null and lane = 0 and due_at <= clock_timestamp() and claimed_by is distinct from ${senderId}::uuid
          and change_lsn < (select lsn from checkpoint) and true
        order by due_at limit ${limit} for update skip locked)
      update profile p set held = due.kept and not p.rejected, due_at = case when due.nothing then null else p.due_at end,
        claimed_by = case when due.nothing then null else ${senderId}::uuid end,
        sending = case when due.nothing then p.sending else due.sending || jsonb_build_array(jsonb_build_object('token', ${token}::text,
          'target', case when due.kept then ${heldTarget(DESIRED, STORED)} else p.desired end)) end
      from due where p.distinct_id = due.distinct_id
      returning p.distinct_id, p.bucket, case when due.kept then p.sending -> -1 -> 'target' else p.desired end as desired, p.desired_hash,
        due.kept as held, due.nothing, p.lost_at is not null and not due.kept as loses, p.erase, p.synced, p.synced_hash,
        due.sending as before, p.attempts, extract(epoch from coalesce(p.pending_since, p.changed_at))::float8 * 1000 as pending_ms`.execute(
    db,
  )
  const rest = {
    held: false,
    loses: false,
    erase: false,
    unclear: [],
    attempts: 0,
    failingSince: null,
    pendingSince: 0,
  }
  return rows.map((row) => ({
    ...{ distinctId: row.distinct_id, bucket: row.bucket, token, desired: row.desired, desiredHash: row.desired_hash },
    ...{ synced: row.synced, syncedHash: row.synced_hash, ...rest },
  }))
}
