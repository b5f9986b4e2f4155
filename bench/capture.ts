// How fast a backlog of changes is drained: raw bytes thrown away (the ceiling), the library's decoder with an empty
// handler, and the real service committing to state (SuprSend unreachable, so that capture is measured alone).
// npm run bench:capture [-- --rounds 3]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type pg from 'pg'
import { BACKLOGS, type Backlog, startSource, USERS } from './backlog.ts'
import { median, printTable } from './figures.ts'
import { ServiceProcess } from './service-process.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' }, only: { type: 'string' } } })
const READER = fileURLToPath(new URL('./drain-reader.ts', import.meta.url))
const UNREACHABLE = 'http://127.0.0.1:9'

interface Drain {
  readonly seconds: number
  readonly rssMb: number
  readonly cpuSeconds?: number
}

async function drainReader(kind: 'raw' | 'decoder', url: string, slot: string, until: string): Promise<Drain> {
  const child = spawn(process.execPath, [READER, kind, url, slot, until], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await once(child, 'exit')
  return JSON.parse(output) as Drain
}

async function checkpointReached(client: pg.Client, lsn: string): Promise<boolean> {
  const { rows } = await client.query<{ reached: boolean }>(
    'select lsn >= $1::pg_lsn as reached from suprsync.checkpoint',
    [lsn],
  )
  return rows[0]?.reached ?? false
}

async function waitUntil(condition: () => Promise<boolean>, everyMs: number): Promise<void> {
  const deadline = performance.now() + 600_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('the benchmark waited ten minutes in vain')
    await delay(everyMs)
  }
}

async function drainService(client: pg.Client, url: string, until: string): Promise<Drain> {
  await using service = await ServiceProcess.start({ databaseUrl: url, baseUrl: UNREACHABLE })
  // From its first commit, so that starting a process is not measured.
  const { rows } = await client.query<{ lsn: string; epoch: string }>(
    'select lsn::text, epoch::text from suprsync.checkpoint',
  )
  const before = rows[0]
  await waitUntil(async () => {
    const now = await client.query<{ epoch: string }>('select epoch::text from suprsync.checkpoint')
    return now.rows[0]?.epoch !== before?.epoch
  }, 5)
  const startedAt = performance.now()
  const cpuBefore = await service.cpuSeconds()
  await waitUntil(() => checkpointReached(client, until), 10)
  const seconds = (performance.now() - startedAt) / 1000
  return { seconds, rssMb: await service.peakRssMb(), cpuSeconds: (await service.cpuSeconds()) - cpuBefore }
}

async function measure(backlog: Backlog, client: pg.Client, url: string): Promise<readonly [string, Drain][]> {
  await client.query(
    "select pg_create_logical_replication_slot('bench_raw', 'pgoutput'), pg_create_logical_replication_slot('bench_decoder', 'pgoutput')",
  )
  await backlog.make(client)
  // A last mapped change, so that the service's checkpoint passes the end of the backlog.
  await client.query("update users set email = 'end.' || clock_timestamp()::text || '@example.com' where id = 1")
  const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
  const until = rows[0]?.lsn ?? ''
  await client.query(
    "insert into users values (0, 'x', null, 'x', 'x', null, null) on conflict (id) do update set name = 'x' || clock_timestamp()::text, email = clock_timestamp()::text",
  )
  await client.query('checkpoint')
  const raw = await drainReader('raw', url, 'bench_raw', until)
  const decoder = await drainReader('decoder', url, 'bench_decoder', until)
  const service = await drainService(client, url, until)
  await client.query(
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name in ('bench_raw', 'bench_decoder')",
  )
  return [
    ['raw', raw],
    ['decoder', decoder],
    ['service', service],
  ]
}

const { cluster, client } = await startSource()
await using _cluster = cluster
const url = cluster.url('postgres')
const rounds = Number(values.rounds)
{
  await using _first = await ServiceProcess.start({ databaseUrl: url, baseUrl: UNREACHABLE })
  await waitUntil(async () => {
    const { rows } = await client
      .query<{ done: boolean }>(
        "select to_regclass('suprsync.backfill') is not null and (xpath('/row/n/text()', query_to_xml('select count(*) n from suprsync.backfill where finished_at is not null', false, true, '')))[1]::text = '1' as done",
      )
      .catch(() => ({ rows: [{ done: false }] }))
    return rows[0]?.done ?? false
  }, 100)
}
const table: (readonly string[])[] = []
for (const backlog of BACKLOGS.filter(({ name }) => !values.only || name.includes(values.only))) {
  const results = new Map<string, Drain[]>()
  for (let round = 0; round < rounds; round += 1) {
    for (const [kind, drain] of await measure(backlog, client, url))
      results.set(kind, [...(results.get(kind) ?? []), drain])
  }
  const ceiling = median((results.get('raw') ?? []).map(({ seconds }) => seconds))
  for (const [kind, drains] of results) {
    const seconds = median(drains.map((drain) => drain.seconds))
    table.push([
      backlog.name,
      kind,
      Math.round(backlog.changes / seconds).toLocaleString('en'),
      (ceiling / seconds).toFixed(2),
      String(Math.max(...drains.map(({ rssMb }) => rssMb))),
      drains[0]?.cpuSeconds === undefined ? '' : median(drains.map(({ cpuSeconds }) => cpuSeconds ?? 0)).toFixed(1),
    ])
  }
}
printTable(['backlog', 'reader', 'changes/s', 'of raw', 'peak MB', 'cpu s'], table)
process.stdout.write(`${USERS} users, medians of ${rounds}\n`)
await client.end()
