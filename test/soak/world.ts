// What a chaos run stands on: a PostgreSQL server for the application and one for the state, the emulator, and the processes, each behind
// networks of its own. Guarantees that all of it is gone when it is disposed of, in whatever condition it is then.
import type { Config } from '../../src/config/config.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { CHILD_TABLES, CHILDREN } from '../support/child-load.ts'
import { type Cluster, startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'
import { type Plan, PROCESSES, type ProcessName, type Server } from './fault.ts'
import { Member } from './member.ts'
import { RateWatch } from './rate-watch.ts'

export const USERS = 150

export interface World extends AsyncDisposable {
  readonly servers: { readonly [server in Server]: Cluster }
  readonly databases: { readonly [server in Server]: TestDatabase }
  readonly emulator: Emulator
  readonly rate: RateWatch
  readonly members: readonly Member[]
  member(name: ProcessName): Member
  /** Of the first process; the oracle reads the mapping from it. */
  readonly config: Config
}

/** Resolves when somebody streams. */
export async function createWorld(plan: Plan, onProblem: (text: string) => void): Promise<World> {
  await using closing = new AsyncDisposableStack()
  const source = closing.use(await startCluster())
  const state = closing.use(await startCluster())
  const databases = { source: await databaseOn(source, closing), state: await databaseOn(state, closing) }
  await makeTables(databases.source)
  const rate = new RateWatch()
  const emulator = closing.use(
    await startEmulator({
      ...{ postReading: plan.postReading, patchMissing: plan.patchMissing },
      ...{ failureRate: plan.failureRate, failureSeed: plan.seed, latencyMs: plan.latencyMs },
      onArrival: ({ distinctId, atMs }) => {
        // The check at each start asks for a user that cannot exist, beside the limiter.
        if (!distinctId?.startsWith('suprsync-check-')) rate.arrived(atMs)
      },
    }),
  )
  const members: Member[] = []
  for (const name of PROCESSES) {
    const urls = { source: databases.source.url, state: databases.state.url, suprsend: emulator.url }
    const config = configOf(plan)
    members.push(closing.use(await Member.create({ name, urls, slot: databases.source.slot, config, onProblem })))
  }
  await Promise.all(members.map((member) => member.start()))
  await until(() => members.some((member) => member.isStreaming()), { what: 'a process to stream', timeoutMs: 60_000 })
  const config = members[0]?.config
  if (!config) throw new Error('no process was started')
  const kept = closing.move()
  return {
    ...{ servers: { source, state }, databases, emulator, rate, members, config },
    member: (name) => {
      const found = members.find((member) => member.name === name)
      if (!found) throw new Error(`there is no ${name}`)
      return found
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** Goes with its server. */
async function databaseOn(server: Cluster, closing: AsyncDisposableStack): Promise<TestDatabase> {
  const database = await createTestDatabase(server.url())
  closing.defer(() => database.pool.end())
  return database
}

async function makeTables(database: TestDatabase): Promise<void> {
  await createUsersTable(database)
  await database.query(CHILD_TABLES)
  await insertUsers(database, USERS / 2)
  await database.query(`
    INSERT INTO user_devices SELECT n, n % ${USERS}, 'android', 'token-' || n FROM generate_series(1, ${USERS}) n;
    INSERT INTO user_emails SELECT n, 'second' || n || '@example.com' FROM generate_series(1, ${USERS / 3}) n`)
}

/** Time-outs are short, so that what is lost is noticed within a run of a minute. */
function configOf({ ratePerSecond, firstContact }: Plan) {
  return {
    children: CHILDREN,
    suprsend: {
      ...{ first_contact: firstContact, max_in_flight: 16, max_requests_per_second: ratePerSecond },
      ...{ connect_timeout: '2s', headers_timeout: '4s', body_timeout: '4s' },
    },
  }
}
