// What the circuit breaker costs where half of a million users are lost before it opens: the transaction of capture that opens it,
// the claims that follow (a live edit waits for them), the counts, `approve` and `reject`; of each the time and its longest statement.
// npm run bench:breaker [-- PROFILES]

import pg from 'pg'
import { ALL_BUCKETS } from '../src/core/buckets.ts'
import type { CaptureState } from '../src/core/capture-port.ts'
import { NO_LSN } from '../src/core/lsn.ts'
import { documentOf, type Profile, profileHash } from '../src/core/profile.ts'
import { startCluster } from '../src/demo/embedded-postgres.ts'
import { connectionConfig } from '../src/postgres/connection.ts'
import { approveLosses, lookAtLosses, rejectLosses } from '../src/state/breaker-decision.ts'
import { countHeld } from '../src/state/breaker-store.ts'
import { openStateDatabase, type StateDatabase } from '../src/state/database.ts'
import type { DeliveryStore } from '../src/state/delivery-store.ts'
import { migrate } from '../src/state/migrations.ts'
import { createCheckpoint, takeOver } from '../src/state/ownership.ts'
import { makeSender } from '../test/support/sender.ts'
import { printTable } from './figures.ts'

const PROFILES = Number(process.argv[2] ?? 1_000_000)
const PROFILE: Profile = {
  channels: { $email: ['somebody@example.com'], $sms: ['+14155550100'] },
  properties: { name: 'Somebody', plan: 'pro', seats: 12, $timezone: 'Europe/Berlin' },
}

/** Of each statement that the pool sends. */
const statementMs: number[] = []

function clockStatements(): void {
  const send = pg.Client.prototype.query as (...args: readonly unknown[]) => unknown
  Reflect.set(pg.Client.prototype, 'query', function (this: pg.Client, ...args: readonly unknown[]) {
    const startedAt = performance.now()
    const answer = send.apply(this, [...args])
    if (answer instanceof Promise)
      answer.finally(() => statementMs.push(performance.now() - startedAt)).catch(() => undefined)
    return answer
  })
}

const figures: string[][] = []

async function measure<T>(what: string, work: () => Promise<T>): Promise<T> {
  statementMs.length = 0
  const startedAt = performance.now()
  const result = await work()
  const totalMs = performance.now() - startedAt
  const longest = statementMs.reduce((a, b) => Math.max(a, b), 0)
  figures.push([what, totalMs.toFixed(0), longest.toFixed(0), String(statementMs.length)])
  return result
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

/** Half of them are gone, unsent, from before the breaker would open. */
async function fill(client: pg.Client): Promise<void> {
  await client.query('truncate suprsync.profile, suprsync.breaker, suprsync.breaker_loss')
  await client.query(
    `insert into suprsync.profile (distinct_id, bucket, desired, desired_hash, synced, synced_hash, changed_at, change_lsn, due_at, pending_since, lost_at, lost_in)
     select 'user-' || n, 0, case when n % 2 = 0 then $1::jsonb end, case when n % 2 = 0 then $2 end, $1::jsonb, $2, now(), '0/1',
       case when n % 2 = 1 then now() end, case when n % 2 = 1 then now() end, case when n % 2 = 1 then now() end,
       (select next from suprsync.breaker_look)
     from generate_series(1, $3::int) n`,
    [JSON.stringify(PROFILE), profileHash(PROFILE), PROFILES],
  )
  await client.query('vacuum analyze suprsync.profile')
}

/** Of live edits, as a sender does it. @returns how often it was asked. */
async function claimSome(delivery: DeliveryStore): Promise<number> {
  for (let asked = 1; ; asked += 1) {
    if (asked > 10_000) throw new Error('nobody is claimed')
    const { claims } = await delivery.claim({ buckets: ALL_BUCKETS, limit: 50, lane: 0, token: `t${asked}` })
    if (claims.some(({ desired }) => desired !== null)) return asked
  }
}

async function round(db: StateDatabase, client: pg.Client, decide: 'approve' | 'reject'): Promise<void> {
  await fill(client)
  const settings = { share: 0.1, minUsers: 100, windowMs: 600_000 }
  await client.query('insert into suprsync.breaker_loss values (now(), $1)', [PROFILES / 2])
  const { state } = await takeOver(db, { settings, countsDeletions: true, onTrip: () => undefined })
  const last = Array.from({ length: 1_000 }, (_, at) => `user-${(at + 1) * 2}`)
  await measure('a commit of 1,000 losses opens it', () =>
    state.commit('public.users', commitOf(last, null), () => undefined),
  )
  const edited = { ...PROFILE, properties: { name: 'Edited' } }
  await state.commit('public.users', commitOf([`user-${PROFILES}`], edited), () => undefined)
  const delivery = await makeSender(db)
  const asked = await measure('claims until a live edit is in hand', () => claimSome(delivery))
  figures.push([`  asked ${asked} times`, '', '', ''])
  await measure('count for the metrics', () => countHeld(db, 100_000))
  await measure('count for status', () => countHeld(db, 1_000_000))
  await measure('capture takes over', () => takeOver(db))
  const shown = await measure('the look', () => lookAtLosses(db))
  const act = decide === 'approve' ? approveLosses : rejectLosses
  const end = await measure(decide, () => act(db, shown))
  figures.push([`  ${JSON.stringify(end)}`, '', '', ''])
}

const cluster = await startCluster({
  settings: { shared_buffers: '512MB', max_wal_size: '8GB', checkpoint_timeout: '30min' },
})
await using _cluster = cluster
const url = cluster.url('postgres')
const client = new pg.Client(url)
await client.connect()
const db = openStateDatabase({ connection: connectionConfig(url), schema: 'suprsync', onIdleError: () => undefined })
try {
  await migrate(db, 'suprsync')
  const at = { systemIdentifier: '1', timeline: 1, slot: 's', tableOid: 1, startXid: 1n }
  await createCheckpoint(db, { ...at, lsn: 0x100n as typeof NO_LSN })
  clockStatements()
  for (const decide of ['approve', 'reject'] as const) await round(db, client, decide)
  printTable(
    [`${PROFILES.toLocaleString('en-US')} profiles, half of them lost`, 'ms', 'longest statement, ms', 'statements'],
    figures,
  )
} finally {
  await db.destroy()
  await client.end()
}
