// How many calls a realistic mix of updates costs: 80 % touch only `last_seen_at`, which is not mapped; the others are single edits, forms
// saved several times within a second, and edits that are taken back. With SuprSend fast, slow (half a second an answer), and away for half of
// the time; counted at the table, at capture, in the state and at SuprSend.
// npm run bench:savings [-- --seconds 30 --rate 200]
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSource } from './backlog.ts'
import { editMix, type Update } from './edit-mix.ts'
import { printTable } from './figures.ts'
import { ServiceProcess } from './service-process.ts'
import { EmulatorSink } from './sink.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '30' }, rate: { type: 'string', default: '200' } },
})
const seconds = Number(values.seconds)
const USERS = 2_000

const { cluster, client } = await startSource()
await using _cluster = cluster
await client.query('delete from users where id > $1', [USERS])
await client.query('vacuum analyze users')
await using sink = await EmulatorSink.start()
const databaseUrl = cluster.url('postgres')
await using service = await ServiceProcess.start({ databaseUrl, baseUrl: sink.url, metrics: true })

async function settled(): Promise<void> {
  for (const deadline = performance.now() + 90_000; performance.now() < deadline; await delay(100)) {
    const { rows } = await client.query<{ users: string; pending: string }>(`
      select count(*) as users, count(*) filter (where due_at is not null) as pending from suprsync.profile`)
    if (Number(rows[0]?.users) === USERS && Number(rows[0]?.pending) === 0) return
  }
  throw new Error('waited in vain for everybody to be sent')
}

interface Counts {
  readonly captured: number
  readonly noops: number
  /** Rows of state updated by capture: each has its user's profile beside it. */
  readonly written: number
  readonly commits: number
  readonly calls: number
  readonly failed: number
}

async function readCounts(): Promise<Counts> {
  // What a session of the server counts is told once a second.
  await delay(2_000)
  const { rows } = await client.query<{ written: string }>(`
    select n_tup_upd as written from pg_stat_user_tables where relid = 'suprsync.source_row'::regclass`)
  const { calls } = await sink.stats()
  const byStatus = Object.values(calls).flatMap((of) => Object.entries(of))
  const sum = (accepted: boolean) =>
    byStatus.filter(([status]) => status.startsWith('2') === accepted).reduce((all, [, count]) => all + count, 0)
  return {
    captured: await service.metric('suprsync_captured_changes_total'),
    noops: await service.metric('suprsync_skipped_changes_total', 'unmapped_noop'),
    written: Number(rows[0]?.written),
    commits: await service.metric('suprsync_state_commits_total'),
    calls: sum(true),
    failed: sum(false),
  }
}

async function play(updates: readonly Update[], at: (ms: number) => Promise<void>): Promise<void> {
  const startedAt = performance.now()
  for (const { atMs, user, name } of updates) {
    const waitMs = atMs - (performance.now() - startedAt)
    if (waitMs > 1) await delay(waitMs)
    await at(atMs)
    if (name === null) await client.query('update users set last_seen_at = clock_timestamp() where id = $1', [user])
    else await client.query('update users set name = $2 where id = $1', [user, name])
  }
}

interface Weather {
  readonly name: string
  readonly latencyMs: number
  /** From a quarter of the time to three quarters. */
  readonly away: boolean
}

const WEATHERS: readonly Weather[] = [
  { name: 'fast', latencyMs: 0, away: false },
  { name: '500 ms an answer', latencyMs: 500, away: false },
  { name: 'away half of the time', latencyMs: 0, away: true },
]

const names = new Map<number, string>()

async function measure({ name, latencyMs, away }: Weather): Promise<readonly string[]> {
  await sink.control('POST', 'settings', { latencyMs })
  const updates = editMix({ users: USERS, names, perSecond: Number(values.rate), seconds })
  const before = await readCounts()
  let isAway = false
  await play(updates, async (ms) => {
    const shouldBe = away && ms > seconds * 250 && ms < seconds * 750
    if (shouldBe === isAway) return
    isAway = shouldBe
    if (isAway) await sink.control('POST', 'faults', { user: '*', times: null, action: { kind: 'reset' } })
    else await sink.control('DELETE', 'faults')
  })
  await settled()
  const after = await readCounts()
  const since = (key: keyof Counts) => after[key] - before[key]
  const mapped = updates.filter((update) => update.name !== null).length
  return [
    ...[name, updates.length, mapped, since('captured'), since('noops'), since('written'), since('commits')].map(
      String,
    ),
    ...[String(since('calls')), String(since('failed')), (since('calls') / updates.length).toFixed(3)],
    (since('calls') / mapped).toFixed(2),
  ]
}

while (!(await isRead())) await delay(100)
await settled()
const table: (readonly string[])[] = []
for (const weather of WEATHERS) table.push(await measure(weather))
const header = [
  'SuprSend',
  'updates',
  'mapped',
  'captured',
  'no-ops',
  'rows written',
  'state commits',
  'calls',
  'failed',
]
printTable([...header, 'calls an update', 'calls a mapped one'], table)
await client.end()

async function isRead(): Promise<boolean> {
  const { rows } = await client.query<{ made: boolean }>(`select to_regclass('suprsync.profile') is not null as made`)
  return rows[0]?.made === true
}
