// The state alone, with a million users: an own PostgreSQL, one listed sender, and the steps of a delivery without the delivery:
// claim, record as accepted, and a commit of capture that makes some of the same users due again.
import pg from 'pg'
import { ALL_BUCKETS } from '../src/core/buckets.ts'
import type { CaptureState } from '../src/core/capture-port.ts'
import type { Claim } from '../src/core/delivery-port.ts'
import { type Lsn, NO_LSN, parseLsn } from '../src/core/lsn.ts'
import { documentOf, type Profile, profileHash } from '../src/core/profile.ts'
import { type Cluster, startCluster } from '../src/demo/embedded-postgres.ts'
import { connectionConfig } from '../src/postgres/connection.ts'
import { openStateDatabase, type StateDatabase } from '../src/state/database.ts'
import { DeliveryStore } from '../src/state/delivery-store.ts'
import { migrate } from '../src/state/migrations.ts'
import { createCheckpoint, takeOver } from '../src/state/ownership.ts'
import { listSender } from '../test/support/sender.ts'

const SYNCED: Profile = {
  channels: { $email: ['somebody@example.com'], $sms: ['+14155550100'] },
  properties: { name: 'Somebody', settings: { plan: 'pro', seats: 12 }, $timezone: 'Europe/Berlin' },
}
const EDITED: Profile = { ...SYNCED, properties: { ...SYNCED.properties, name: 'Edited' } }

export interface Pending extends AsyncDisposable {
  readonly cluster: Cluster
  readonly client: pg.Client
  readonly db: StateDatabase
  readonly capture: CaptureState
  readonly delivery: DeliveryStore
  /** The same sender, whose every look is from the very front (core/queue-front.ts). */
  readonly fromFront: DeliveryStore
  readonly senderId: string
}

/** @param vacuumEverySeconds how often the server looks for tables to vacuum */
export async function startPending(vacuumEverySeconds = 60): Promise<Pending> {
  const stack = new AsyncDisposableStack()
  const cluster = stack.use(
    await startCluster({
      settings: {
        ...{ shared_buffers: '1GB', max_wal_size: '8GB', checkpoint_timeout: '30min' },
        autovacuum_naptime: String(vacuumEverySeconds),
      },
    }),
  )
  const client = new pg.Client(cluster.url('postgres'))
  await client.connect()
  stack.defer(() => client.end())
  const connection = connectionConfig(cluster.url('postgres'))
  const db = openStateDatabase({ connection, schema: 'suprsync', onIdleError: () => undefined })
  stack.defer(() => db.destroy())
  await migrate(db, 'suprsync')
  const at = { systemIdentifier: '1', timeline: 1, slot: 's', tableOid: 1, startXid: 1n }
  await createCheckpoint(db, { ...at, lsn: parseLsn('0/100') })
  const { state: capture } = await takeOver(db)
  const sender = await listSender(db)
  const delivery = new DeliveryStore(db, sender)
  const fromFront = new DeliveryStore(db, sender, Number.POSITIVE_INFINITY)
  const dispose = () => stack.disposeAsync()
  return { cluster, client, db, capture, delivery, fromFront, senderId: sender.id, [Symbol.asyncDispose]: dispose }
}

/** Who of user n is due when, in SQL. */
export const DUE = {
  few: 'case when n % greatest(1, $5::int / 500) = 0 then now() end',
  all: `now() - ((n::bigint * 7919) % $5) * interval '1 ms'`,
  mostLater: `case when n % greatest(1, $5::int / 500) = 0 then now() else now() + interval '1 hour' + n * interval '1 ms' end`,
} as const

/** Known to SuprSend, and edited since where due. As compact as after a VACUUM FULL. */
export async function fill(client: pg.Client, users: number, due: keyof typeof DUE): Promise<void> {
  await client.query('truncate suprsync.profile')
  await client.query(
    `insert into suprsync.profile (distinct_id, bucket, desired, desired_hash, synced, synced_hash, changed_at, change_lsn, due_at, pending_since)
     select id, (hashtextextended(id, 0) & 63)::smallint, case when due is null then $1::jsonb else $2::jsonb end,
       case when due is null then $3 else $4 end, $1::jsonb, $3, now(), '0/1', due, due
     from (select 'user-' || n as id, ${DUE[due]} as due from generate_series(1, $5::int) n) as u`,
    [JSON.stringify(SYNCED), JSON.stringify(EDITED), profileHash(SYNCED), profileHash(EDITED), users],
  )
  await client.query('vacuum analyze suprsync.profile')
  await client.query('checkpoint')
}

export async function recordAccepted({ delivery }: Pending, claims: readonly Claim[]): Promise<void> {
  const lost = await delivery.record(
    claims.map((claim) => ({
      ...{ claim, synced: claim.desired, syncedHash: claim.desiredHash, unclear: [], attempts: 0 },
      ...{ failure: null, failingSince: null, retryInMs: null },
    })),
  )
  if (lost.length > 0) throw new Error(`${lost.length} records were lost`)
}

let edits = 0

/** As capture does it for an edit of each. */
export async function edit({ capture }: Pending, claims: readonly Claim[]): Promise<void> {
  const now = Date.now()
  const profiles = claims.map(({ distinctId }) => {
    edits += 1
    const desired = documentOf({ ...EDITED, properties: { ...EDITED.properties, name: `Edited ${edits}` } })
    return { distinctId, key: distinctId, desired, reasons: [], ...changedAt(NO_LSN, now) }
  })
  const nothing = { rows: [], seen: null, marks: [], lsn: null, truncate: null, forget: null, backfill: null }
  await capture.commit('public.users', { ...nothing, lane: 0, profiles, pagesLsn: null }, () => undefined)
}

function changedAt(changeLsn: Lsn, now: number) {
  return { changeLsn, firstChangedAt: now, lastChangedAt: now }
}

/** So many buckets, the most there are 64. */
export function buckets(count: number): readonly number[] {
  return ALL_BUCKETS.slice(0, count)
}
