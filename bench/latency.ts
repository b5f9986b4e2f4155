// From the application's commit to the moment SuprSend has answered, at a steady rate of single-row edits.
// npm run bench:latency [-- --seconds 15]
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSource } from './backlog.ts'
import { percentile, printTable } from './figures.ts'
import { ServiceProcess } from './service-process.ts'
import { TrivialSink } from './sink.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '15' } } })
const seconds = Number(values.seconds)
const USERS = 5_000

const { cluster, client } = await startSource()
await using _cluster = cluster
await client.query('delete from users where id > $1', [USERS])
await client.query('vacuum analyze users')
const table: (readonly string[])[] = []
await using sink = await TrivialSink.start(0)
await using service = await ServiceProcess.start({ databaseUrl: cluster.url('postgres'), baseUrl: sink.url })
while ((await sink.requests()) < USERS + 1) await delay(50)

for (const rate of [100, 500]) {
  await sink.reset()
  const commits = new Map<number, number>()
  const startedAt = performance.now()
  for (let edit = 1; edit <= rate * seconds; edit += 1) {
    const seq = rate * 1_000_000 + edit
    const dueMs = startedAt + (edit * 1000) / rate - performance.now()
    if (dueMs > 1) await delay(dueMs)
    // One connection: the next edit leaves when this one is committed, as a pool's would.
    await client.query(
      `update users set settings = jsonb_build_object('seq', $1::int) where id = 1 + ($1::bigint * 7919) % ${USERS}`,
      [seq],
    )
    commits.set(seq, performance.timeOrigin + performance.now())
  }
  let arrivals = await sink.arrivals()
  for (const deadline = performance.now() + 10_000; arrivals.size < commits.size && performance.now() < deadline; ) {
    await delay(50)
    arrivals = await sink.arrivals()
  }
  // An edit that a newer one of the same user overtook is not sent by itself: it counts with the newer one.
  const latencies = [...commits].flatMap(([seq, at]) => {
    const arrived = arrivals.get(seq)
    return arrived === undefined ? [] : [Math.max(0, arrived - at)]
  })
  const of = (rank: number) => `${percentile(latencies, rank).toFixed(1)} ms`
  table.push([String(rate), String(latencies.length), of(50), of(99), of(100), String(await service.peakRssMb())])
}
printTable(['edits/s', 'arrived', 'p50', 'p99', 'max', 'peak MB'], table)
await client.end()
