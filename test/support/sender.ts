// A sender as the state knows it, without a session: for tests of claims and records, which need its row and nothing else.
import { sql } from 'kysely'
import { ALL_BUCKETS } from '../../src/core/buckets.ts'
import type { StateDatabase } from '../../src/state/database.ts'
import { type ClaimingSender, DeliveryStore } from '../../src/state/delivery-store.ts'
import { HeldBuckets } from '../../src/sync/held-buckets.ts'

export async function listSender(db: StateDatabase): Promise<ClaimingSender> {
  const sender = { id: crypto.randomUUID(), fence: crypto.randomUUID() }
  await sql`
    insert into sender (id, fence, pid, host, process, most) values (${sender.id}::uuid, ${sender.fence}::uuid, 0, 'test', 0, 64)`.execute(
    db,
  )
  return sender
}

/** As of the only one. */
export function allBuckets(): HeldBuckets {
  const buckets = new HeldBuckets()
  buckets.take(ALL_BUCKETS)
  return buckets
}

/** @param longLookMs see core/queue-front.ts */
export async function makeSender(db: StateDatabase, longLookMs?: number): Promise<DeliveryStore> {
  return new DeliveryStore(db, await listSender(db), longLookMs)
}
