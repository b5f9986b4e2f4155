// From the application's commit to the moment SuprSend has answered, at a steady rate of single-row edits.
// npm run bench:latency [-- --seconds 15]
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSource } from './backlog.ts'
import { measureEdits } from './edit-stream.ts'
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

for (const perSecond of [100, 500]) {
  const latencies = await measureEdits({ client, sink, users: USERS, perSecond, seconds, pace: 'even' })
  const of = (rank: number) => `${percentile(latencies, rank).toFixed(1)} ms`
  table.push([String(perSecond), String(latencies.length), of(50), of(99), of(100), String(await service.peakRssMb())])
}
printTable(['edits/s', 'arrived', 'p50', 'p99', 'max', 'peak MB'], table)
await client.end()
