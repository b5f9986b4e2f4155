// What more senders bring: one, two and four processes (`run --role deliver`) drain the same users, whom one that captures has read
// before and then left, against answers that take 50 ms. The deployment's requests in flight are the bound, whatever the number of
// processes: 64 / 50 ms = 1,280 users/s. The clock starts when all are due, with the users shared out already.
// npm run bench:senders [-- --users 12800 --rounds 3 --in-flight 64]
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BUCKETS } from '../src/core/buckets.ts'
import { startSource } from './backlog.ts'
import { median, printTable } from './figures.ts'
import { ServiceProcess } from './service-process.ts'
import { EmulatorSink, type Sink, TrivialSink } from './sink.ts'

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '12800' },
    rounds: { type: 'string', default: '3' },
    'in-flight': { type: 'string' },
  },
})
const users = Number(values.users)
const LATENCY_MS = 50
const PROCESSES = [1, 2, 4]

interface Target {
  readonly name: string
  readonly inFlight: number
  readonly start: () => Promise<Sink>
}

const TARGETS: readonly Target[] = [
  { name: 'emulator', inFlight: 64, start: () => EmulatorSink.start(LATENCY_MS) },
  // At this rate the emulator itself would take half a processor.
  { name: 'trivial', inFlight: 256, start: () => TrivialSink.start(LATENCY_MS) },
]

interface Run {
  readonly seconds: number
  /** From a tenth of the users to nine tenths: without the first claims and the last answers. */
  readonly steadyPerSecond: number
  /** Of all senders together. */
  readonly cpuSeconds: number
  readonly rssMb: number
  /** What the limiter let of the senders' parts at the end: less than one where it took SuprSend for slow. */
  readonly share: number
}

const { cluster, client } = await startSource()
await using _cluster = cluster
const databaseUrl = cluster.url('postgres')
await client.query('delete from users where id > $1', [users])
await client.query('vacuum analyze users')

async function waitUntil(what: string, condition: () => Promise<boolean>, everyMs = 20): Promise<void> {
  const deadline = performance.now() + 120_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited two minutes in vain until ${what}`)
    await delay(everyMs)
  }
}

async function count(query: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(query)
  return Number(rows[0]?.count ?? 0)
}

/** Everything that captures is done, and its process gone: nothing but sending is measured. */
async function captureAll(): Promise<void> {
  await using _capture = await ServiceProcess.start({ databaseUrl, baseUrl: 'http://127.0.0.1:9', role: 'capture' })
  await waitUntil('all users are read', async () => {
    const made = await count(`select count(*) from pg_class where oid = to_regclass('suprsync.profile')`)
    return made === 1 && (await count('select count(*) from suprsync.profile where due_at is not null')) === users
  })
}

/** Nobody is due, and SuprSend knows nobody. */
async function forgetAll(): Promise<void> {
  await client.query(`
    update suprsync.profile set synced = null, synced_hash = null, sending = '[]', claimed_by = null, due_at = null, pending_since = null`)
  await client.query('vacuum analyze suprsync.profile')
}

async function sharedBy(processes: number): Promise<boolean> {
  const { rows } = await client.query<{ buckets: number }>(`
    select count(*)::int as buckets from pg_locks
    where locktype = 'advisory' and granted and objsubid = 2 and objid between 1 and ${BUCKETS} group by pid`)
  const least = Math.min(...rows.map(({ buckets }) => buckets))
  return rows.length === processes && least === Math.floor(BUCKETS / processes)
}

async function drain({ inFlight, start }: Target, processes: number): Promise<Run> {
  await forgetAll()
  await using stack = new AsyncDisposableStack()
  const sink = stack.use(await start())
  const senders: ServiceProcess[] = []
  for (let started = 0; started < processes; started += 1) {
    const config = { databaseUrl, baseUrl: sink.url, role: 'deliver', maxInFlight: inFlight, metrics: true } as const
    senders.push(stack.use(await ServiceProcess.start(config)))
  }
  await waitUntil('the users are shared out', () => sharedBy(processes))
  // The first request of each asks whether the key is good.
  await waitUntil('the senders are quiet', async () => {
    const before = await sink.requests()
    await delay(500)
    return (await sink.requests()) === before
  })
  const before = await sink.requests()
  const cpuOf = async () => (await Promise.all(senders.map((sender) => sender.cpuSeconds()))).reduce((a, b) => a + b, 0)
  const cpuBefore = await cpuOf()
  const startedAt = performance.now()
  await client.query('update suprsync.profile set due_at = clock_timestamp(), pending_since = clock_timestamp()')
  await client.query(`select pg_notify('suprsync', 'suprsync')`)
  const seen: { readonly at: number; readonly sent: number }[] = []
  await waitUntil('all are sent', async () => {
    seen.push({ at: performance.now(), sent: (await sink.requests()) - before })
    return (seen.at(-1)?.sent ?? 0) >= users
  })
  const first = seen.findLast(({ sent }) => sent === 0)?.at ?? startedAt
  const from = seen.find(({ sent }) => sent >= users * 0.1)
  const to = seen.find(({ sent }) => sent >= users * 0.9)
  if (!from || !to) throw new Error('unreachable: all were sent')
  const shares = await Promise.all(senders.map((sender) => sender.metric('suprsync_limiter_share')))
  return {
    share: Math.min(...shares),
    seconds: ((seen.at(-1)?.at ?? first) - first) / 1000,
    steadyPerSecond: ((to.sent - from.sent) * 1000) / (to.at - from.at),
    cpuSeconds: (await cpuOf()) - cpuBefore,
    rssMb: Math.max(...(await Promise.all(senders.map((sender) => sender.peakRssMb())))),
  }
}

await captureAll()
const table: (readonly string[])[] = []
for (const target of TARGETS.filter(({ inFlight }) => [undefined, String(inFlight)].includes(values['in-flight']))) {
  const runs = new Map<number, Run[]>(PROCESSES.map((processes) => [processes, []]))
  for (let round = 0; round < Number(values.rounds); round += 1)
    for (const processes of PROCESSES) runs.get(processes)?.push(await drain(target, processes))
  const bound = (target.inFlight * 1000) / LATENCY_MS
  for (const [processes, of] of runs) {
    const rate = users / median(of.map(({ seconds }) => seconds))
    const steady = median(of.map(({ steadyPerSecond }) => steadyPerSecond))
    const cpuMs = (median(of.map(({ cpuSeconds }) => cpuSeconds)) * 1000) / users
    table.push([
      ...[`${target.name}, ${LATENCY_MS} ms`, String(target.inFlight), String(processes)],
      ...[Math.round(rate).toLocaleString('en'), Math.round(steady).toLocaleString('en')],
      ...[(rate / bound).toFixed(2), (steady / bound).toFixed(2), cpuMs.toFixed(2)],
      String(Math.max(...of.map(({ rssMb }) => rssMb))),
      Math.min(...of.map(({ share }) => share)).toFixed(2),
    ])
  }
}
const header = ['sink', 'in flight', 'processes', 'users/s', 'steady', 'of bound', 'steady of bound']
printTable([...header, 'CPU ms a user', 'peak MB', 'least share'], table)
process.stdout.write(`${users} users, medians of ${values.rounds}\n`)
await client.end()
