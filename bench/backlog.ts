// The data of the capture benchmark: an own PostgreSQL, a users table, and backlogs of changes made by the server itself,
// so that making them is quick and no client shares the processors while they are drained.
import pg from 'pg'
import { type Cluster, startCluster } from '../src/demo/embedded-postgres.ts'

export const USERS = 100_000

export async function startSource(): Promise<{ readonly cluster: Cluster; readonly client: pg.Client }> {
  const cluster = await startCluster({
    settings: {
      shared_buffers: '512MB',
      max_wal_size: '8GB',
      checkpoint_timeout: '30min',
      synchronous_commit: 'on',
      fsync: 'on',
    },
  })
  const client = new pg.Client(cluster.url('postgres'))
  await client.connect()
  await client.query(`
    create table users (id bigint primary key, email text, phone text, name text, timezone text, settings jsonb, last_seen_at timestamptz);
    create publication bench for table users;
    create procedure small_transactions(changes integer, mapped boolean) language plpgsql as $$
    begin
      for i in 1..changes loop
        if mapped then
          update users set email = 'user' || i || '.' || (random() * 1e9)::bigint || '@example.com' where id = 1 + (i * 7919::bigint) % ${USERS};
        else
          update users set last_seen_at = clock_timestamp() where id = 1 + (i * 7919::bigint) % ${USERS};
        end if;
        commit;
      end loop;
    end $$`)
  await client.query(`
    insert into users select i, 'user' || i || '@example.com', '+1415555' || lpad((i % 10000)::text, 4, '0'), 'User ' || i, 'Europe/Berlin',
      jsonb_build_object('plan', 'pro', 'seats', i % 50) from generate_series(1, ${USERS}) as i`)
  await client.query('vacuum analyze users')
  return { cluster, client }
}

export interface Backlog {
  readonly name: string
  readonly changes: number
  readonly make: (client: pg.Client) => Promise<unknown>
}

const off = 'set synchronous_commit = off'

export const BACKLOGS: readonly Backlog[] = [
  {
    name: 'small mapped',
    changes: 200_000,
    make: async (client) => {
      await client.query(off)
      return await client.query('call small_transactions(200000, true)')
    },
  },
  {
    name: 'small unmapped',
    changes: 200_000,
    make: async (client) => {
      await client.query(off)
      return await client.query('call small_transactions(200000, false)')
    },
  },
  {
    name: 'one big mapped',
    changes: 500_000,
    make: (client) => client.query(bigUpdate("email = 'big' || round || '.' || id || '@example.com'")),
  },
  {
    name: 'one big unmapped',
    changes: 500_000,
    make: (client) => client.query(bigUpdate('last_seen_at = clock_timestamp()')),
  },
]

/** Five times every user, in one transaction. */
function bigUpdate(assignment: string): string {
  return `do $$ begin for round in 1..5 loop update users set ${assignment}; end loop; end $$`
}
