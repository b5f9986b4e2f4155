// From commit to SuprSend's answer where the limit of requests a second is what edits wait for: at half and at nine tenths of it, with edits
// at random times, by one process and by two that share the limit; beside it what a queue of one server would make them wait (M/D/1).
// npm run bench:limited [-- --seconds 25 --limit 100]
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSource } from './backlog.ts'
import { measureEdits } from './edit-stream.ts'
import { median, percentile, printTable } from './figures.ts'
import { ServiceProcess } from './service-process.ts'
import { TrivialSink } from './sink.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '25' }, limit: { type: 'string', default: '100' } },
})
const seconds = Number(values.seconds)
const limit = Number(values.limit)
/** Few, as their first sending is held to the limit too. */
const USERS = 600

const { cluster, client } = await startSource()
await using _cluster = cluster
const databaseUrl = cluster.url('postgres')
await client.query('delete from users where id > $1', [USERS])
await client.query('vacuum analyze users')
await using sink = await TrivialSink.start(0)
const config = { databaseUrl, baseUrl: sink.url, maxRequestsPerSecond: limit }

/** The same edits in a queue that lets one through every 1/limit seconds. @returns what each waits, ms */
function queueWaits(load: number, count: number): readonly number[] {
  const serviceMs = 1000 / limit
  let waitMs = 0
  return Array.from({ length: count }, () => {
    const pauseMs = -Math.log(1 - Math.random()) * (serviceMs / load)
    waitMs = Math.max(0, waitMs + serviceMs - pauseMs)
    return waitMs
  })
}

/** All users edited at once. @returns requests a second, from the first to the last */
async function drainRate(): Promise<number> {
  await sink.reset()
  await client.query(`update users set name = name || '.'`)
  while ((await sink.requests()) === 0) await delay(2)
  const startedAt = performance.now()
  while ((await sink.requests()) < USERS) await delay(2)
  return ((USERS - 1) * 1000) / (performance.now() - startedAt)
}

const table: (readonly string[])[] = []
await using stack = new AsyncDisposableStack()
for (const processes of [1, 2]) {
  const role = processes === 1 ? 'all' : 'deliver'
  stack.use(await ServiceProcess.start({ ...config, role }))
  if (processes === 1) while ((await sink.requests()) < USERS + 1) await delay(50)
  // Until the users are shared out, and what one has given up counts for the other.
  await delay(5_000)
  const drained = await drainRate()
  for (const load of [0.5, 0.9]) {
    const perSecond = Math.round(limit * load)
    const latencies = await measureEdits({ client, sink, users: USERS, perSecond, seconds, pace: 'random' })
    const queue = queueWaits(load, 200_000)
    const of = (rank: number) => `${percentile(latencies, rank).toFixed(0)} ms`
    table.push([
      ...[String(processes), `${load * 100} %`, String(latencies.length), of(50), of(99), of(100)],
      ...[`${median(queue).toFixed(0)} ms`, `${percentile(queue, 99).toFixed(0)} ms`, `${drained.toFixed(1)}/s`],
    ])
  }
}
const header = [
  'processes',
  `of ${limit}/s`,
  'arrived',
  'p50',
  'p99',
  'max',
  'a queue waits, p50',
  'p99',
  'a backlog drains at',
]
printTable(header, table)
await client.end()
