// What a sender reads and writes: claims of due profiles, and the record of how each attempt ended. The claim's own UPDATE
// appends the target to `sending` (write-ahead), so whatever happens next we know what SuprSend may hold; the record is a
// compare-and-set on the claim, and leaves a user pending whose desired state moved on meanwhile. A loss that must not be sent
// (losses.ts) is in no claim: who is due with nothing else is taken out of the queue by the claim that finds it.
import { randomUUID } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { AttemptRecord, Claim, Claimed, ClaimOptions, DeliveryState } from '../core/delivery-port.ts'
import type { Profile } from '../core/profile.ts'
import { frontOf, LONG_LOOK_MS, type Look, lookedFrom, NO_FRONTS, type QueueFronts } from '../core/queue-front.ts'
import { UNCLEAR_HOLD_MS } from '../core/retry.ts'
import type { Attempt } from '../core/unclear.ts'
import { jsonArray, textArray } from './array-literal.ts'
import type { StateDatabase } from './database.ts'
import { isDue, oldestOf, STILL_DUE } from './due.ts'
import { heldTarget, IS_KEPT, type KnownColumns, onlyLoses, STORED } from './losses.ts'

interface ClaimRecord {
  distinct_id: string
  bucket: number
  /** Somebody who is gone had it in flight: it waits, and is nobody's. */
  orphaned: boolean
  desired: Profile | null
  desired_hash: string | null
  synced: Profile | null
  synced_hash: string | null
  before: readonly Attempt[]
  held: boolean
  /** Nothing of it may be sent. */
  nothing: boolean
  loses: boolean
  erase: boolean
  attempts: number
  failing_ms: number | null
  pending_ms: number
  /** Of all that were seen due. */
  oldest: string
}

const DESIRED = sql.ref('p.desired')
const RECORDED: KnownColumns = { synced: sql.ref('i.synced'), sending: sql.ref('i.sending') }
/** The loss has been sent, if not everything else. */
const SETTLED = sql`(not i.held and i.retry_ms is null and (i.failure is null or i.failure ? 'keys') and p.desired_hash is not distinct from i.target_hash)`

/** Whoever loses nothing, or may. */
const WITHOUT_LOSS = sql`(lost_at is null or not exists (select from breaker))`

/** Of one statement, and how many of them a claim may take: a live edit waits for it, and so does who stops. */
const PUT_BACK = 5_000
const PUT_BACKS = 4

/** Of a sender, as state/sender-session.ts has listed it. */
export interface ClaimingSender {
  readonly id: string
  readonly fence: string
}

export class DeliveryStore implements DeliveryState {
  readonly #db: StateDatabase
  readonly #owner: string
  #fence: string
  /** Lanes in which those stand first of whom nothing may be sent. */
  readonly #keptInFront = new Set<number>()
  /** What is dead in front is not passed by every claim. */
  #fronts: QueueFronts = NO_FRONTS
  readonly #longLookMs: number

  constructor(db: StateDatabase, { id, fence }: ClaimingSender, longLookMs = LONG_LOOK_MS) {
    this.#db = db
    this.#owner = id
    this.#fence = fence
    this.#longLookMs = longLookMs
  }

  async claim(options: ClaimOptions): Promise<Claimed> {
    if (options.buckets.length === 0) return { claims: [], more: false }
    // Hundreds of thousands of losses that nobody has decided may stand before a live edit.
    const before = this.#keptInFront.has(options.lane) ? await this.#claim(options, WITHOUT_LOSS) : []
    const limit = options.limit - before.length
    const rows = limit <= 0 ? [] : await this.#claim({ ...options, limit }, sql`true`)
    if (rows.some(({ nothing }) => nothing)) {
      this.#keptInFront.add(options.lane)
      await this.#putBackKept(options)
    } else if (limit > 0) this.#keptInFront.delete(options.lane)
    const found = [...before, ...rows]
    const claims = found.filter(({ nothing, orphaned }) => !nothing && !orphaned).map(claimOf(options.token))
    return { claims, more: claims.length < options.limit && fullBucket(found, eachOf(options)) }
  }

  /**
   * As many as are wanted, from each bucket little more than its share; of those the oldest. The sender's row is locked before any user is,
   * and only when there is one: a lock of a row is a transaction id, which an idle sender must not use up.
   */
  async #claim(
    { buckets, limit, lane, token }: ClaimOptions,
    fits: RawBuilder<unknown>,
  ): Promise<readonly ClaimRecord[]> {
    const owner = sql`${this.#owner}::uuid`
    const startedAtMs = performance.now()
    const from = frontOf(this.#fronts, { lane, buckets }, startedAtMs)
    const claimable = sql`p.lane = ${lane} and p.claimed_by is distinct from ${owner} and p.change_lsn < (select lsn from checkpoint) and ${fits}`
    const { rows } = await sql<ClaimRecord>`
      with oldest as materialized (
        select f.distinct_id, f.due_at from unnest(${buckets}::smallint[]) as b (bucket) cross join lateral (
          select p.distinct_id, p.due_at from profile p where p.bucket = b.bucket and ${isDue(from)} and ${claimable}
          order by p.due_at limit ${eachOf({ buckets, limit })}) f
        order by f.due_at limit ${limit}),
      me as materialized (
        select from sender where id = ${owner} and fence = ${this.#fence}::uuid and exists (select from oldest) for share),
      due as materialized (
        select distinct_id, sending, claimed_by is not null as orphaned, ${IS_KEPT} as kept,
          claimed_by is null and ${IS_KEPT} and ${onlyLoses(DESIRED, STORED)} as nothing
        from profile p where distinct_id in (select distinct_id from oldest) and ${STILL_DUE} and ${claimable} and exists (select from me)
        for update skip locked)
      update profile p set held = case when due.orphaned then p.held else due.kept and not p.rejected end,
        due_at = case when due.orphaned then clock_timestamp() + ${UNCLEAR_HOLD_MS} * interval '1 ms' when due.nothing then null else p.due_at end,
        claimed_by = case when not due.nothing and not due.orphaned then ${owner} end,
        sending = case when due.nothing or due.orphaned then p.sending else due.sending || jsonb_build_array(jsonb_build_object('token', ${token}::text,
          'target', case when due.kept then ${heldTarget(DESIRED, STORED)} else p.desired end)) end
      from due where p.distinct_id = due.distinct_id
      returning p.distinct_id, p.bucket, due.orphaned, case when due.kept then p.sending -> -1 -> 'target' else p.desired end as desired, p.desired_hash,
        due.kept as held, due.nothing, p.lost_at is not null and not due.kept as loses, p.erase, p.synced, p.synced_hash,
        due.sending as before, p.attempts, extract(epoch from p.failing_since)::float8 * 1000 as failing_ms,
        extract(epoch from coalesce(p.pending_since, p.changed_at))::float8 * 1000 as pending_ms,
        (select min(due_at)::text from oldest) as oldest`.execute(this.#db)
    const oldest = rows[0]?.oldest
    if (from === null && oldest !== undefined) this.#looked({ lane, buckets, oldest }, startedAtMs)
    return rows
  }

  /** Of the first who are due, those of whom nothing may be sent are so no more. Those of the claim's own order, lane and buckets. */
  async #putBackKept({ buckets, lane }: ClaimOptions): Promise<void> {
    const each = Math.ceil(PUT_BACK / buckets.length)
    for (let times = 0; times < PUT_BACKS; times += 1) {
      const { numAffectedRows = 0n } = await sql`
        with front as materialized (
          select f.distinct_id from unnest(${buckets}::smallint[]) as b (bucket) cross join lateral (
            select p.distinct_id from profile p
            where p.bucket = b.bucket and p.lane = ${lane} and p.due_at is not null and p.due_at <= statement_timestamp()
            order by p.due_at limit ${each}) f),
        kept as materialized (
          select distinct_id from profile p
          where distinct_id in (select distinct_id from front) and ${STILL_DUE} and claimed_by is null
            and change_lsn < (select lsn from checkpoint) and ${IS_KEPT} and ${onlyLoses(DESIRED, STORED)}
          order by distinct_id for update skip locked)
        update profile p set held = not p.rejected, due_at = null from kept where p.distinct_id = kept.distinct_id`.execute(
        this.#db,
      )
      if (numAffectedRows < PUT_BACK / 2) return
    }
  }

  async mayLose({ distinctId }: Claim): Promise<boolean> {
    const { rows } = await sql`
      select from profile p where distinct_id = ${distinctId} and claimed_by = ${this.#owner}::uuid and not ${IS_KEPT}`.execute(
      this.#db,
    )
    return rows.length > 0
  }

  async record(records: readonly AttemptRecord[]): Promise<readonly string[]> {
    const { rows } = await sql<{ distinct_id: string }>`
      with input as (
        select * from unnest(
          ${textArray(records.map(({ claim }) => claim.distinctId))}::text[],
          ${textArray(records.map(({ claim }) => claim.token))}::text[],
          ${textArray(records.map(({ claim }) => claim.desiredHash))}::text[],
          ${jsonArray(records.map(({ synced }) => (synced === null ? null : JSON.stringify(synced))))}::jsonb[],
          ${textArray(records.map(({ syncedHash }) => syncedHash))}::text[],
          ${jsonArray(records.map(({ unclear }) => JSON.stringify(unclear)))}::jsonb[],
          ${textArray(records.map(({ attempts }) => String(attempts)))}::int[],
          ${jsonArray(records.map(({ failure }) => (failure === null ? null : JSON.stringify(failure))))}::jsonb[],
          ${textArray(records.map(({ retryInMs }) => (retryInMs === null ? null : String(retryInMs))))}::float8[],
          ${records.map(({ claim }) => claim.held)}::boolean[],
          ${textArray(records.map(({ failingSince }) => (failingSince === null ? null : String(failingSince))))}::float8[]
        ) as i (distinct_id, token, target_hash, synced, synced_hash, sending, attempts, failure, retry_ms, held, failing_ms)),
      locked as materialized (
        select k.distinct_id from profile k where k.distinct_id in (select distinct_id from input)
        order by k.distinct_id for update)
      update profile p set
        synced = i.synced, synced_hash = i.synced_hash, sending = i.sending, claimed_by = null,
        attempts = case when p.desired_hash is not distinct from i.target_hash then i.attempts else least(i.attempts, 1) end,
        failure = case when p.desired_hash is not distinct from i.target_hash or i.retry_ms is not null then i.failure end,
        failing_since = to_timestamp(i.failing_ms / 1000), dropped = null,
        lost_at = case when ${SETTLED} then null else p.lost_at end,
        held = p.held and not ${SETTLED}, rejected = p.rejected and not ${SETTLED},
        due_at = case
          when i.held and not p.held and not p.rejected then clock_timestamp()
          when (p.held or p.rejected) and ${onlyLoses(DESIRED, RECORDED)} then null
          when i.retry_ms is not null then clock_timestamp() + i.retry_ms * interval '1 millisecond'
          when p.desired_hash is not distinct from i.target_hash then null
          when p.desired_hash is not distinct from i.synced_hash and i.sending = '[]' then null
          else clock_timestamp() end,
        pending_since = case
          when i.retry_ms is not null or i.failure is not null then p.pending_since
          when p.desired_hash is not distinct from i.target_hash then null
          when p.desired_hash is not distinct from i.synced_hash and i.sending = '[]' then null
          else p.changed_at end
      from locked join input i using (distinct_id)
      where p.distinct_id = locked.distinct_id and p.claimed_by = ${this.#owner}::uuid
        and p.sending @> jsonb_build_array(jsonb_build_object('token', i.token))
      returning p.distinct_id`.execute(this.#db)
    if (rows.length === records.length) return []
    const recorded = new Set(rows.map((row) => row.distinct_id))
    return records.filter(({ claim }) => !recorded.has(claim.distinctId)).map(({ claim }) => claim.distinctId)
  }

  async release(claims: readonly Claim[]): Promise<void> {
    if (claims.length === 0) return
    await this.record(
      claims.map((claim) => ({
        claim,
        synced: claim.synced,
        syncedHash: claim.syncedHash,
        unclear: claim.unclear,
        attempts: claim.attempts,
        failure: null,
        failingSince: claim.failingSince,
        retryInMs: 0,
      })),
    )
  }

  async abandon(tokens: readonly string[]): Promise<void> {
    // One that is still under way holds the sender's row: this waits for it. One that the server has not begun finds another fence.
    const fence = randomUUID()
    this.#fronts = NO_FRONTS // They are due where they were.
    await sql`update sender set fence = ${fence}::uuid where id = ${this.#owner}::uuid`.execute(this.#db)
    this.#fence = fence
    // The newest entry alone is the claim that holds; an older one with this token was given back before.
    await sql`
      update profile set claimed_by = null
      where claimed_by = ${this.#owner}::uuid and sending -> -1 ->> 'token' = any(${tokens}::text[])`.execute(this.#db)
  }

  async nextDueInMs(buckets: readonly number[]): Promise<number | null> {
    const startedAtMs = performance.now()
    const live = frontOf(this.#fronts, { lane: 0, buckets }, startedAtMs)
    const backfilled = frontOf(this.#fronts, { lane: 1, buckets }, startedAtMs)
    const { rows } = await sql<{ wait_ms: number | null; live: string; backfilled: string }>`
      select extract(epoch from (min(f.due_at) - clock_timestamp()))::float8 * 1000 as wait_ms,
        ${oldestOf(0)} as live, ${oldestOf(1)} as backfilled
      from unnest(${buckets}::smallint[]) as b (bucket)
      cross join (values (0, ${live}::timestamptz), (1, ${backfilled}::timestamptz)) as l (lane, front) cross join lateral (
        select p.due_at from profile p
        where p.bucket = b.bucket and p.lane = l.lane and p.due_at >= coalesce(l.front, '-infinity')
          and p.claimed_by is distinct from ${this.#owner}::uuid
        order by p.due_at limit 1) f`.execute(this.#db)
    const [row] = rows
    if (row !== undefined && live === null && backfilled === null) {
      this.#looked({ lane: 0, buckets, oldest: row.live }, startedAtMs)
      this.#looked({ lane: 1, buckets, oldest: row.backfilled }, startedAtMs)
    }
    const wait = row?.wait_ms ?? null
    return wait === null ? null : Math.max(0, wait)
  }

  #looked(seen: Pick<Look, 'lane' | 'buckets' | 'oldest'>, startedAtMs: number): void {
    const nowMs = performance.now()
    const look = { ...seen, tookMs: nowMs - startedAtMs, longMs: this.#longLookMs }
    this.#fronts = lookedFrom(this.#fronts, look, nowMs)
  }
}

/** @throws where nothing could be claimed: no connection is to be had, or the role may not read. */
export async function expectReadable(db: StateDatabase): Promise<void> {
  await sql`select from profile limit 0`.execute(db)
}

/** What each bucket is asked for at the most: twice its share, so that the oldest are taken though they are not spread evenly. */
function eachOf({ buckets, limit }: Pick<ClaimOptions, 'buckets' | 'limit'>): number {
  return Math.min(limit, Math.ceil((2 * limit) / buckets.length) + 1)
}

function fullBucket(rows: readonly ClaimRecord[], each: number): boolean {
  const counts = new Map<number, number>()
  for (const { bucket } of rows) counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  return Math.max(0, ...counts.values()) >= each
}

function claimOf(token: string): (row: ClaimRecord) => Claim {
  return (row) => ({
    distinctId: row.distinct_id,
    bucket: row.bucket,
    token,
    desired: row.desired,
    desiredHash: row.desired_hash,
    held: row.held,
    loses: row.loses,
    erase: row.erase,
    synced: row.synced,
    syncedHash: row.synced_hash,
    unclear: row.before,
    attempts: row.attempts,
    failingSince: row.failing_ms,
    pendingSince: row.pending_ms,
  })
}
