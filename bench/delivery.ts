// End to end: a table of users that SuprSend does not know yet, from the service's first request to its last, against the
// emulator and a trivial server at 0 and 50 ms; and a bare undici loop that POSTs the same bodies with the same connections.
// npm run bench:delivery [-- --users 40000 --rounds 3]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startSource } from './backlog.ts'
import { median, printTable } from './figures.ts'
import { ServiceProcess } from './service-process.ts'
import { EmulatorSink, type Sink, TrivialSink } from './sink.ts'

const { values } = parseArgs({
  options: { users: { type: 'string', default: '40000' }, rounds: { type: 'string', default: '3' } },
})
const users = Number(values.users)
const BARE = fileURLToPath(new URL('./bare-loop.ts', import.meta.url))

interface Run {
  readonly seconds: number
  readonly rssMb: number
}

async function bare(sink: Sink, connections: number): Promise<Run> {
  const child = spawn(process.execPath, [BARE, sink.url, String(users), String(connections)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await once(child, 'exit')
  return JSON.parse(output) as Run
}

const { cluster, client } = await startSource()
await using _cluster = cluster
const databaseUrl = cluster.url('postgres')
await client.query('delete from users where id > $1', [users])
await client.query('vacuum analyze users')

async function service(sink: Sink, maxInFlight: number): Promise<Run> {
  const before = await sink.requests()
  await using process = await ServiceProcess.start({ databaseUrl, baseUrl: sink.url, maxInFlight })
  // The first request asks whether the key is good; the clock starts with the first profile.
  while ((await sink.requests()) - before < 2) await delay(2)
  const startedAt = performance.now()
  let sent = 0
  while (sent < users) {
    await delay(10)
    sent = (await sink.requests()) - before - 1
  }
  const run = { seconds: (performance.now() - startedAt) / 1000, rssMb: await process.peakRssMb() }
  await process[Symbol.asyncDispose]()
  await client.query(`select pg_drop_replication_slot('bench_service')`)
  await client.query('drop schema suprsync cascade')
  return run
}

const targets: readonly { name: string; inFlight: number; start: () => Promise<Sink> }[] = [
  { name: 'emulator', inFlight: 64, start: () => EmulatorSink.start() },
  { name: 'trivial, 0 ms', inFlight: 64, start: () => TrivialSink.start(0) },
  { name: 'trivial, 50 ms', inFlight: 64, start: () => TrivialSink.start(50) },
  { name: 'trivial, 50 ms', inFlight: 256, start: () => TrivialSink.start(50) },
]
const table: (readonly string[])[] = []
for (const { name, inFlight, start } of targets) {
  const bares: Run[] = []
  const services: Run[] = []
  for (let round = 0; round < Number(values.rounds); round += 1) {
    {
      await using sink = await start()
      bares.push(await bare(sink, inFlight))
    }
    await using sink = await start()
    services.push(await service(sink, inFlight))
  }
  const ceiling = median(bares.map(({ seconds }) => seconds))
  for (const [kind, runs] of [
    ['bare loop', bares],
    ['service', services],
  ] as const) {
    const seconds = median(runs.map((run) => run.seconds))
    const rate = Math.round(users / seconds).toLocaleString('en')
    table.push([
      name,
      String(inFlight),
      kind,
      rate,
      (ceiling / seconds).toFixed(2),
      String(Math.max(...runs.map(({ rssMb }) => rssMb))),
    ])
  }
}
printTable(['sink', 'in flight', 'sender', 'users/s', 'of bare', 'peak MB'], table)
process.stdout.write(`${users} users, medians of ${values.rounds}\n`)
await client.end()
