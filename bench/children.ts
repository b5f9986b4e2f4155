// What child tables cost: how fast their changes are drained into state, and what the two ways to assemble a user would ask
// of a database for the same users: the parts that state keeps, or the application's own tables read again (DESIGN §5.12).
// npm run bench:children
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { startSource, USERS } from './backlog.ts'
import { median, printTable } from './figures.ts'
import { ServiceProcess } from './service-process.ts'

const CHANGES = 100_000
const BATCH = 1_000
const UNREACHABLE = 'http://127.0.0.1:9'
const CHILDREN = [{ table: 'devices', user: 'user_id', profile: { $email: 'token' } }]

async function waitUntil(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 600_000
  while (!(await condition().catch(() => false))) {
    if (performance.now() > deadline) throw new Error('the benchmark waited ten minutes in vain')
    await delay(10)
  }
}

async function value(client: pg.Client, text: string, values: unknown[] = []): Promise<unknown> {
  const { rows } = await client.query({ text, values, rowMode: 'array' })
  return rows[0]?.[0]
}

const isBackfilled = (client: pg.Client) => () =>
  value(client, 'select count(*) = 2 from suprsync.backfill where finished_at is not null').then((it) => it === true)

async function drain(client: pg.Client, url: string): Promise<number> {
  await client.query('set synchronous_commit = off')
  await client.query(`do $$ begin for i in 1..${CHANGES} loop
    update devices set token = 'd' || i || '.' || (random() * 1e9)::bigint || '@example.com' where id = 1 + (i * 7919::bigint) % ${USERS * 2};
    commit; end loop; end $$`)
  const until = await value(client, 'select pg_current_wal_lsn()::text')
  await client.query('update users set name = clock_timestamp()::text where id = 1')
  const epoch = await value(client, 'select epoch from suprsync.checkpoint')
  await using _service = await ServiceProcess.start({ databaseUrl: url, baseUrl: UNREACHABLE, children: CHILDREN })
  await waitUntil(async () => (await value(client, 'select epoch from suprsync.checkpoint')) !== epoch)
  const startedAt = performance.now()
  await waitUntil(
    async () => (await value(client, 'select lsn >= $1::pg_lsn from suprsync.checkpoint', [until])) === true,
  )
  return (performance.now() - startedAt) / 1000
}

/** Milliseconds a thousand users, each batch other ones. */
async function asked(client: pg.Client, text: string): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < 21; round += 1) {
    const ids = Array.from({ length: BATCH }, (_, at) => String(1 + (((round * BATCH + at) * 7919) % USERS)))
    const startedAt = performance.now()
    await client.query(text, [ids])
    times.push(performance.now() - startedAt)
  }
  return median(times.slice(1))
}

const { cluster, client } = await startSource()
await using _cluster = cluster
const url = cluster.url('postgres')
await client.query(`
  create table devices (id bigint primary key, user_id bigint, token text);
  insert into devices select i, 1 + i % ${USERS}, 'd' || i || '@example.com' from generate_series(1, ${USERS * 2}) i;
  create index on devices (user_id);
  alter publication bench add table devices`)
await client.query('vacuum analyze devices')
{
  await using _first = await ServiceProcess.start({ databaseUrl: url, baseUrl: UNREACHABLE, children: CHILDREN })
  await waitUntil(isBackfilled(client))
}
const seconds: number[] = []
for (let round = 0; round < 3; round += 1) seconds.push(await drain(client, url))
const parts = await asked(
  client,
  `select u.key, u.part, c.part from suprsync.source_row u left join suprsync.source_row c on c.user_key = u.key and c.source = 'public.devices' and c.part is not null
   where u.source = 'public.users' and u.key = any($1::text[])`,
)
const again = await asked(
  client,
  `select pg_current_snapshot(), u.*, d.* from users u left join devices d on d.user_id = u.id where u.id = any($1::bigint[])`,
)
printTable(
  ['what', 'figure'],
  [
    ['child changes committed to state', `${Math.round(CHANGES / median(seconds)).toLocaleString('en')}/s`],
    ['assembling 1,000 users from parts in state', `${parts.toFixed(1)} ms`],
    ["reading 1,000 users again from the application's tables", `${again.toFixed(1)} ms`],
  ],
)
process.stdout.write(`${USERS} users with two devices each, medians of 3 and 20\n`)
await client.end()
