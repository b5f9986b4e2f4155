// P5: a slot is dropped only where this state knows it for its own. Slots are the whole cluster's and have nothing but a name: one of
// the same name may be another installation's, another database's, or made by somebody since ours was dropped.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type Service, type ServiceOptions, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const slotsOf = (database: TestDatabase) =>
  database.query<{ slot: string; plugin: string; database: string }>(
    `SELECT slot_name AS slot, plugin, database FROM pg_replication_slots WHERE slot_name = '${database.slot}'`,
  )

async function users(database: TestDatabase): Promise<void> {
  await createUsersTable(database)
  await insertUsers(database, 5)
}

/** The slot of an installation that is stopped, with WAL that is kept for it. */
async function followed(options: ServiceOptions, database: TestDatabase): Promise<void> {
  await using service = await startService(options)
  await service.waitStreaming()
  await service.stop()
  await fill(database)
}

async function fill(database: TestDatabase): Promise<void> {
  for (let segment = 0; segment < 4; segment += 1)
    await database.query("SELECT pg_logical_emit_message(true, 'fill', repeat('x', 1000)); SELECT pg_switch_wal()")
}

/** What the guard does about it, either way. */
async function untilGuarded(service: Service, database: TestDatabase): Promise<void> {
  await until(
    async () => service.log().some(({ code }) => code === 'max_retained_wal') || (await slotsOf(database)).length === 0,
    { what: 'the guard to look at the slot', timeoutMs: 20_000 },
  )
}

const refused = async (service: Service, code: string) => {
  await service.waitFor('the refusal', ({ err }) => codeOf(err) === code, 30_000)
  await until(async () => (await service.readiness()).codes.includes(code), { what: '/readyz to say so' })
}
const LIMIT = { safety: { breaker: 'off', max_retained_wal: '33MB' } } as const

test('max_retained_wal leaves the slot of another installation', async () => {
  await using cluster = await startCluster()
  const database = await createTestDatabase(cluster.url())
  try {
    await users(database)
    await using emulator = await startEmulator()
    const base = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
    await followed(base, database)
    const before = await slotsOf(database)
    await using service = await startService({ ...base, config: { state: { schema: 'second' }, ...LIMIT } })
    await refused(service, 'slot_foreign')
    await untilGuarded(service, database)
    expect(await slotsOf(database)).toEqual(before)
    expect(await slotsOf(database)).toHaveLength(1)
  } finally {
    await database.pool.end()
  }
})

test('max_retained_wal leaves what somebody made of that name since: in another database, and here', async () => {
  await using cluster = await startCluster()
  const database = await createTestDatabase(cluster.url())
  const other = await createTestDatabase(cluster.url())
  try {
    await users(database)
    await using emulator = await startEmulator()
    const base = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
    await using service = await startService({ ...base, config: { recovery: 'manual', ...LIMIT } })
    await service.waitStreaming()
    await until(
      async () => {
        await database.query(
          `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${database.slot}' AND active`,
        )
        return database.query(`SELECT pg_drop_replication_slot('${database.slot}')`)
      },
      { what: 'the slot to be dropped' },
    )
    await refused(service, 'slot_missing')
    for (const [where, code] of [
      [other, 'slot_foreign'],
      [database, 'slot_ahead'],
    ] as const) {
      await where.query(`SELECT pg_create_logical_replication_slot('${database.slot}', 'pgoutput')`)
      await fill(database)
      await refused(service, code)
      await until(
        async () =>
          service.log().filter((line) => line.code === 'max_retained_wal').length >= (where === other ? 1 : 2) ||
          (await slotsOf(database)).length === 0,
        { what: 'the guard to look at the slot', timeoutMs: 20_000 },
      )
      expect(await slotsOf(database)).toMatchObject([{ database: where.name }])
      expect(service.log().filter(({ level }) => level === 'error')).toEqual([])
      await where.query(`SELECT pg_drop_replication_slot('${database.slot}')`)
    }
  } finally {
    await other.pool.end()
    await database.pool.end()
  }
})

function codeOf(err: unknown): unknown {
  return typeof err === 'object' && err !== null && 'code' in err ? err.code : null
}
