// P1, P5 where the server's limit is smaller than what a first start writes beside its state: the reading waits for the server to let
// go of WAL, and comes to its end. A server of the test's own, whose every segment of WAL ends in a checkpoint.
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { type Cluster, startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { type ServiceOptions, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly start: (more?: Partial<ServiceOptions>) => ReturnType<typeof startService>
}

async function world(cluster: Cluster, run: (world: World) => Promise<void>): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const database = await createTestDatabase(cluster.url()) // It goes with its server.
  closing.defer(() => database.pool.end())
  await createUsersTable(database)
  const emulator = closing.use(await startEmulator())
  const base = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  await run({ database, emulator, start: (more) => startService({ ...base, ...more }) })
}

test('a slot that a killed first start made and the server gave up; a table whose state is many segments of WAL', async () => {
  await using cluster = await startCluster({
    settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB' },
  })
  await world(cluster, async ({ database, emulator, start }) => {
    await insertUsers(database, 10)
    {
      await using killed = await start({ failPoint: 'after_slot:1' })
      await killed.exited
    }
    for (let segment = 0; segment < 4; segment += 1)
      await database.query("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000)); SELECT pg_switch_wal()")
    await database.query('CHECKPOINT')
    expect(await database.query('SELECT wal_status FROM pg_replication_slots')).toEqual([{ wal_status: 'lost' }])
    await using service = await start()
    await service.waitFor('the warning', ({ code, level }) => code === 'slot_lost' && level === 'warn')
    await service.waitFor('the other one', ({ code, level }) => code === 'wal_limit_small' && level === 'warn')
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
  })
  await world(cluster, async ({ database, start }) => {
    await database.query(`INSERT INTO users (id, email, phone, name)
      SELECT n, 'u' || n || '@example.com', '+9198' || lpad(n::text, 8, '7'), 'User ' || n FROM generate_series(1, 20000) n`)
    await using service = await start()
    const progress = () =>
      database
        .query<{ era: number; rows: number; done: boolean }>(
          'SELECT era, rows_read::int AS rows, finished_at IS NOT NULL AS done FROM suprsync.backfill ORDER BY id DESC LIMIT 1',
        )
        .catch(() => [])
    await until(async () => (await progress())[0]?.done, { what: 'the reading to end', timeoutMs: 60_000 })
    // One loss is a machine that was slow for a moment; each of them begins from the first row.
    expect(await progress()).toMatchObject([{ rows: 20_000 }])
    expect((await progress())[0]?.era).toBeLessThanOrEqual(2)
    await service.waitFor('it waited', ({ msg }) => msg.startsWith('the reading waits'))
  })
}, 120_000)
