// One real sender (`run --role deliver`) with tens of thousands and with a million users pending, against the server that answers at once:
// how fast it drains them for 20 s, and what it needs of memory.
import { setTimeout as delay } from 'node:timers/promises'
import { printTable } from './figures.ts'
import { fill, startPending } from './pending-state.ts'
import { ServiceProcess } from './service-process.ts'
import { TrivialSink } from './sink.ts'

const SECONDS = 20
const FEW = 20_000

export async function measureProcess(users: number): Promise<void> {
  const table: (readonly string[])[] = []
  await using state = await startPending()
  await state.client.query(
    'create table users (id bigint primary key, email text, phone text, name text, timezone text, settings jsonb)',
  )
  await state.client.query('create publication bench for table users')
  for (const pending of [FEW, users]) {
    await fill(state.client, pending, 'all')
    await using sink = await TrivialSink.start(0)
    await using sender = await ServiceProcess.start({
      databaseUrl: state.cluster.url('postgres'),
      baseUrl: sink.url,
      role: 'deliver',
    })
    // The first request asks whether the key is good.
    while ((await sink.requests()) < 2) await delay(5)
    const startedAt = performance.now()
    const cpuBefore = await sender.cpuSeconds()
    let sent = 0
    while (sent < pending && performance.now() - startedAt < SECONDS * 1000) {
      await delay(20)
      sent = (await sink.requests()) - 1
    }
    const rate = (sent * 1000) / (performance.now() - startedAt)
    const cpuMs = (((await sender.cpuSeconds()) - cpuBefore) * 1000) / sent
    const memory = `${await sender.rssMb()} (${await sender.peakRssMb()})`
    table.push([pending.toLocaleString('en'), Math.round(rate).toLocaleString('en'), cpuMs.toFixed(2), memory])
  }
  printTable(['pending, one sender', 'users/s', 'CPU ms a user', 'MB (peak)'], table)
}
