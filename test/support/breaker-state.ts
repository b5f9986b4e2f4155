// The state with a circuit breaker and nothing around it: a test writes what capture would, claims and records as a sender,
// and looks at what may be sent.
import { ALL_BUCKETS } from '../../src/core/buckets.ts'
import type { CaptureState } from '../../src/core/capture-port.ts'
import type { AttemptRecord, Claim } from '../../src/core/delivery-port.ts'
import { NO_LSN } from '../../src/core/lsn.ts'
import { documentOf, type Profile, profileHash } from '../../src/core/profile.ts'
import type { StateDatabase } from '../../src/state/database.ts'
import type { DeliveryStore } from '../../src/state/delivery-store.ts'
import { takeOver } from '../../src/state/ownership.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { makeStateAtCheckpoint } from './seeded-state.ts'
import { makeSender } from './sender.ts'

export const FULL: Profile = { channels: { $email: ['a@x'], $sms: ['+1'] }, properties: { name: 'A' } }
export const NO_SMS: Profile = { channels: { $email: ['a@x'] }, properties: { name: 'A' } }

export interface BreakerState extends AsyncDisposable {
  readonly database: TestDatabase
  readonly db: StateDatabase
  readonly delivery: DeliveryStore
  readonly trips: number
  /** One transaction of capture. */
  write(ids: readonly string[], desired: Profile | null): Promise<void>
  /** Live edits, then the rest. */
  claim(limit?: number): Promise<readonly Claim[]>
  record(claims: readonly Claim[], how?: Partial<AttemptRecord>): Promise<void>
  /** As if SuprSend had accepted what is due, until nothing is. */
  deliver(): Promise<readonly Claim[]>
  user(id: string): Promise<{
    readonly held: boolean
    readonly due: boolean
    readonly synced: Profile | null
    readonly desired: Profile | null
  }>
}

export interface BreakerStateOptions {
  readonly minUsers?: number
  readonly share?: number
  readonly countsDeletions?: boolean
}

export async function breakerState(options: BreakerStateOptions = {}): Promise<BreakerState> {
  const { minUsers = 5, share = 0.1, countsDeletions = true } = options
  const database = await createTestDatabase()
  const db = await makeStateAtCheckpoint(database)
  let trips = 0
  const { state } = await takeOver(db, {
    settings: { share, minUsers, windowMs: 600_000 },
    countsDeletions,
    onTrip: () => {
      trips += 1
    },
  })
  const delivery = await makeSender(db)
  let tokens = 0
  const claimLane = async (lane: 0 | 1, limit: number) => {
    tokens += 1
    return (await delivery.claim({ buckets: ALL_BUCKETS, limit, lane, token: `t${tokens}` })).claims
  }
  const it: BreakerState = {
    database,
    db,
    delivery,
    get trips() {
      return trips
    },
    write: (ids, desired) => state.commit('public.users', commitOf(ids, desired), () => undefined),
    claim: async (limit = 1_000) => [...(await claimLane(0, limit)), ...(await claimLane(1, limit))],
    record: async (claims, how = {}) => {
      if (claims.length > 0) await delivery.record(claims.map((claim) => ({ ...acceptedRecord(claim), ...how })))
    },
    deliver: async () => {
      const all: Claim[] = []
      for (;;) {
        const claims = await it.claim()
        if (claims.length === 0) return all
        all.push(...claims)
        await it.record(claims)
      }
    },
    user: async (id) => {
      const [row] = await database.query<Awaited<ReturnType<BreakerState['user']>>>(
        'SELECT held, due_at IS NOT NULL AS due, synced, desired FROM suprsync.profile WHERE distinct_id = $1',
        [id],
      )
      if (row === undefined) throw new Error(`there is no user ${id}`)
      return row
    },
    [Symbol.asyncDispose]: async () => {
      await db.destroy()
      await database[Symbol.asyncDispose]()
    },
  }
  return it
}

export function ids(from: number, to: number): readonly string[] {
  return Array.from({ length: to - from + 1 }, (_, at) => `u${String(from + at).padStart(3, '0')}`)
}

function commitOf(distinctIds: readonly string[], desired: Profile | null): Parameters<CaptureState['commit']>[1] {
  const now = Date.now()
  const profiles = distinctIds.map((distinctId) => ({
    ...{ distinctId, key: distinctId, desired: desired && documentOf(desired), reasons: [] },
    ...{ changeLsn: NO_LSN, firstChangedAt: now, lastChangedAt: now },
  }))
  const nothing = { rows: [], seen: null, marks: [], lsn: null, truncate: null, forget: null, backfill: null }
  return { ...nothing, lane: 0, profiles, pagesLsn: null }
}

function acceptedRecord(claim: Claim): AttemptRecord {
  const { desired } = claim
  const syncedHash = desired === null ? null : profileHash(desired)
  return {
    claim,
    synced: desired,
    syncedHash,
    unclear: [],
    attempts: 0,
    failure: null,
    failingSince: null,
    retryInMs: null,
  }
}
