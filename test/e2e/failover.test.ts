// P1, P2 on the worst day of the server itself: WAL that is thrown away, a standby that is promoted with or without the slot, or
// behind what was captured, a backup that is restored. Servers of the test's own; the state is on another one where it must
// outlive the source.
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { type Cluster, startCluster } from '../support/cluster.ts'
import { copyCluster } from '../support/cluster-copy.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { runCommand } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const USERS = 40

interface World {
  readonly cluster: Cluster
  readonly database: TestDatabase
  readonly emulator: Emulator
  /** @param url of the source; default: the first server. */
  readonly start: (url?: string, config?: JsonObject) => Promise<Service>
  /** The same database on another server. */
  readonly on: (other: Cluster) => TestDatabase
  readonly state: TestDatabase
}

async function world(
  run: (world: World) => Promise<void>,
  { settings = {}, ownState = false }: { settings?: Record<string, string>; ownState?: boolean } = {},
): Promise<void> {
  await using closing = new AsyncDisposableStack()
  const cluster = closing.use(await startCluster({ settings }))
  const database = await createTestDatabase(cluster.url()) // It goes with its server.
  closing.defer(() => database.pool.end())
  await createUsersTable(database)
  await insertUsers(database, USERS)
  const emulator = closing.use(await startEmulator())
  const state = ownState ? closing.use(await createTestDatabase()) : database
  const start = (url = database.url, config: JsonObject = {}) =>
    startService({
      databaseUrl: url,
      emulatorUrl: emulator.url,
      slot: database.slot,
      config: { ...(ownState && { state: { url: state.url } }), ...config },
    })
  const on = (other: Cluster): TestDatabase => connectedTo(database, other, closing)
  await run({ cluster, database, emulator, start, on, state })
}

/** As createTestDatabase gives it, of a database that came with the copy. */
function connectedTo(database: TestDatabase, other: Cluster, closing: AsyncDisposableStack): TestDatabase {
  const pool = new (database.pool.constructor as new (options: object) => TestDatabase['pool'])({
    connectionString: other.url(database.name),
    max: 3,
  })
  pool.on('error', () => undefined)
  closing.defer(() => pool.end())
  return {
    ...database,
    url: other.url(database.name),
    pool,
    query: async <Row extends Record<string, unknown>>(sql: string, params: readonly unknown[] = []) =>
      (await pool.query<Row>(sql, [...params])).rows,
  }
}

async function settled({ database, emulator, state }: World, service: Service): Promise<void> {
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config, state, timeoutMs: 30_000 })
}

async function firstLife(it: World): Promise<void> {
  await using service = await it.start()
  await settled(it, service)
  await service.stop()
}

async function recovered(it: World, service: Service): Promise<void> {
  await service.waitStreaming()
  await until(
    async () =>
      (await it.state.query('SELECT FROM suprsync.backfill WHERE finished_at IS NULL')).length === 0 &&
      (await it.state.query("SELECT FROM suprsync.backfill WHERE reason <> 'first_start'")).length > 0,
    { what: 'the readings to end', timeoutMs: 30_000 },
  )
  await settled(it, service)
}

const reasons = async ({ state }: World) =>
  (await state.query<{ reason: string }>('SELECT reason FROM suprsync.backfill WHERE id > 1 ORDER BY id')).map(
    ({ reason }) => reason,
  )

const SMALL_WAL = { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB' }

/** Segments of WAL, and the checkpoint that looks at who is behind. */
async function burst(database: TestDatabase): Promise<void> {
  for (let segment = 0; segment < 4; segment += 1) {
    await database.query("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000)); SELECT pg_switch_wal()")
  }
  await database.query('CHECKPOINT')
}

async function change(database: TestDatabase, first: number): Promise<void> {
  await database.query('DELETE FROM users WHERE id = $1', [first])
  await database.query("UPDATE users SET email = $2, phone = NULL, version = nextval('user_version') WHERE id = $1", [
    first + 1,
    `moved${first}@example.com`,
  ])
  await database.query('INSERT INTO users (id, email) VALUES ($1, $2)', [first + 1_000, `new${first}@example.com`])
}

describe('WAL that is thrown away', () => {
  test('while we were stopped', () =>
    world(
      async (it) => {
        await firstLife(it)
        await change(it.database, 1)
        await burst(it.database)
        const [slot] = await it.database.query<{ wal_status: string }>('SELECT wal_status FROM pg_replication_slots')
        expect(slot?.wal_status).toBe('lost')
        await using service = await it.start()
        await recovered(it, service)
        expect(await reasons(it)).toEqual(['slot_lost'])
        expect(it.emulator.users().has('1')).toBe(false)
        await service.waitFor('the reason', ({ code, level }) => code === 'slot_lost' && level === 'warn')
      },
      { settings: SMALL_WAL },
    ))

  test('while we streamed, and stood still', () =>
    world(
      async (it) => {
        await using service = await it.start()
        await settled(it, service)
        service.signal('SIGSTOP')
        await change(it.database, 1)
        await until(
          async () => {
            await burst(it.database)
            const [slot] = await it.database.query<{ wal_status: string }>(
              'SELECT wal_status FROM pg_replication_slots',
            )
            return slot?.wal_status === 'lost'
          },
          { what: 'the slot to be lost', timeoutMs: 20_000 },
        )
        service.signal('SIGCONT')
        await until(async () => (await reasons(it)).includes('slot_lost'), { what: 'the recovery', timeoutMs: 30_000 })
        await recovered(it, service)
      },
      { settings: SMALL_WAL },
    ))
})

test('a slot that PostgreSQL 18 gave up because nobody used it', () =>
  world(async (it) => {
    if (it.cluster.major < 18) return
    await firstLife(it)
    await it.cluster.restart({ idle_replication_slot_timeout: '1s' })
    await change(it.database, 1)
    await until(
      async () => {
        await it.database.query('CHECKPOINT')
        const [slot] = await it.database.query<{ reason: string | null }>(
          'SELECT invalidation_reason AS reason FROM pg_replication_slots',
        )
        return slot?.reason === 'idle_timeout'
      },
      { what: 'the slot to be given up', timeoutMs: 20_000, pollMs: 200 },
    )
    await using service = await it.start()
    await recovered(it, service)
    expect(await reasons(it)).toEqual(['slot_lost'])
  }))

describe('a standby is promoted', () => {
  const standbyOf = (cluster: Cluster, database: TestDatabase, more: Record<string, string> = {}) => ({
    hot_standby: 'on',
    hot_standby_feedback: 'on',
    primary_conninfo: `host=127.0.0.1 port=${cluster.port} user=postgres dbname=${database.name} application_name=standby`,
    ...more,
  })

  async function caughtUp(primary: TestDatabase, standby: TestDatabase): Promise<void> {
    const [row] = await primary.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn')
    await until(
      async () =>
        (await standby.query<{ ok: boolean }>('SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS ok', [row?.lsn]))[0]
          ?.ok,
      { what: 'the standby to catch up', timeoutMs: 20_000 },
    )
  }

  test('without the slot: every row is read again, and deletions in the gap are found', () =>
    world(async (it) => {
      const { cluster, database } = it
      await firstLife(it)
      await using copy = await copyCluster(cluster, { standby: true, withoutSlots: true })
      const standby = await copy.start(standbyOf(cluster, database))
      await change(database, 1)
      await caughtUp(database, it.on(standby))
      await cluster.kill9()
      const promoted = it.on(standby)
      await promoted.query('SELECT pg_promote()')
      await change(promoted, 3)
      const there = { ...it, database: promoted, state: promoted }
      await using service = await it.start(promoted.url)
      await recovered(there, service)
      expect(await reasons(there)).toEqual(['slot_missing'])
      await change(promoted, 5)
      await settled(there, service)
    }))

  test('with a failover slot: it goes on where it was, and reads nothing again', () =>
    world(async (it) => {
      const { cluster, database } = it
      if (cluster.major < 17) return
      await firstLife(it)
      await database.query("SELECT pg_create_physical_replication_slot('standby')")
      await using copy = await copyCluster(cluster, { standby: true, withoutSlots: true })
      const standby = await copy.start(
        standbyOf(cluster, database, { primary_slot_name: 'standby', sync_replication_slots: 'on' }),
      )
      const there = it.on(standby)
      await change(database, 1)
      {
        // A slot is kept only once it stands where the standby's own WAL begins: it has to move.
        await using service = await it.start()
        await service.waitStreaming()
        await until(
          async () => {
            await database.query("UPDATE users SET version = nextval('user_version') WHERE id = 9")
            await database.query('SELECT pg_switch_wal(), pg_log_standby_snapshot()')
            const [slot] = await there.query<{ ready: boolean }>(
              'SELECT synced AND NOT temporary AS ready FROM pg_replication_slots WHERE slot_name = $1',
              [database.slot],
            )
            return slot?.ready
          },
          { what: 'the slot to be on the standby', timeoutMs: 45_000, pollMs: 200 },
        )
        await settled(it, service)
        await service.stop()
      }
      await change(database, 3)
      await caughtUp(database, there)
      await cluster.kill9()
      await there.query('SELECT pg_promote()')
      await change(there, 5)
      const now = { ...it, database: there, state: there }
      await using service = await it.start(there.url)
      await settled(now, service)
      expect(await reasons(now)).toEqual([])
      const [checkpoint] = await there.query<{ era: number; timeline: number }>(
        'SELECT era, timeline FROM suprsync.checkpoint',
      )
      expect(checkpoint).toEqual({ era: 1, timeline: 2 })
    }))

  test('behind what was captured: what it never had is taken back', () =>
    world(
      async (it) => {
        const { cluster, database } = it
        await firstLife(it)
        await using copy = await copyCluster(cluster, { standby: true })
        {
          await using service = await it.start()
          await change(database, 1)
          await settled(it, service)
          await service.stop()
        }
        expect(it.emulator.users().has('1001')).toBe(true)
        await cluster.kill9()
        const standby = await copy.start({ hot_standby: 'on' })
        const promoted = it.on(standby)
        await promoted.query('SELECT pg_promote()')
        const there = { ...it, database: promoted }
        await using service = await it.start(promoted.url)
        await recovered(there, service)
        // Deleted on the former primary alone, and new there alone.
        expect(it.emulator.users().has('1')).toBe(true)
        expect(it.emulator.users().has('1001')).toBe(false)
      },
      { ownState: true },
    ))

  test('behind what was captured, and the state with it: it is said, and comparing everybody mends it', () =>
    world(async (it) => {
      const { cluster, database, emulator } = it
      await firstLife(it)
      await using copy = await copyCluster(cluster, { standby: true })
      {
        await using service = await it.start()
        await database.query(
          "DELETE FROM users WHERE id = 1; UPDATE users SET email = 'moved@example.com' WHERE id = 2",
        )
        await settled(it, service)
        await service.stop()
      }
      await cluster.kill9()
      const standby = await copy.start({ hot_standby: 'on' })
      const promoted = it.on(standby)
      await promoted.query('SELECT pg_promote()')
      await using service = await it.start(promoted.url)
      await service.waitStreaming()
      expect(service.log().map(({ code }) => code)).toContain('state_went_back')
      const command = (...args: readonly string[]) => runCommand([...args, '--config', service.config.file])
      const codes = async () => (await command('status', '--json')).stdout.match(/state_went_back/g)?.length ?? 0
      expect(await codes()).toBe(1)
      expect(emulator.users().has('1')).toBe(false)
      expect(await command('reconcile', '--all', '--repair')).toMatchObject({ code: 0 })
      await until(() => emulator.users().has('1'), { what: 'who was deleted in what is lost' })
      expect(await codes()).toBe(0)
    }))
})

describe.each([
  ['with its slots, as a snapshot of the disk', false, 'server_behind'],
  ['without slots, as a base backup', true, 'slot_missing'],
] as const)('a backup is restored, %s', (_, withoutSlots, reason) => {
  test('the state is newer: what the database no longer knows is taken back', () =>
    world(
      async (it) => {
        const { cluster, database } = it
        await firstLife(it)
        await using backup = await copyCluster(cluster, { withoutSlots })
        {
          await using service = await it.start()
          await change(database, 1)
          await change(database, 11)
          await settled(it, service)
          await service.stop()
        }
        await cluster.kill9()
        const restored = it.on(await backup.start())
        const there = { ...it, database: restored }
        await using service = await it.start(restored.url)
        await recovered(there, service)
        expect(await reasons(it)).toEqual([reason])
        expect(it.emulator.users().has('1')).toBe(true)
        expect(it.emulator.users().has('1001')).toBe(false)
        await change(restored, 21)
        await settled(there, service)
      },
      { ownState: true },
    ))
})
