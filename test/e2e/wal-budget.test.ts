// P5: what the slot costs the application's disk is said in time, and with `max_retained_wal` the slot goes before the disk does. Here the
// state's server is down: nothing can be stored, so nothing may be confirmed, and WAL gathers.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

test('said in /readyz, status and metrics; dropped when it is too much; recovered when the state is back', async () => {
  await using source = await startCluster({ settings: { max_slot_wal_keep_size: '256MB' } })
  await using stateServer = await startCluster()
  const database = await createTestDatabase(source.url())
  const state = await createTestDatabase(stateServer.url())
  try {
    await createUsersTable(database)
    await insertUsers(database, 20)
    await using emulator = await startEmulator()
    await using service = await startService({
      databaseUrl: database.url,
      emulatorUrl: emulator.url,
      slot: database.slot,
      config: { state: { url: state.url }, safety: { breaker: 'off', max_retained_wal: '215MB' } },
    })
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config, state })
    expect((await service.metrics()).get('suprsync_slot_wal_budget')).toBe(0)
    expect((await service.metrics()).get('suprsync_slot_safe_wal_bytes')).toBeGreaterThan(0)

    await stateServer.stop()
    await database.query('DELETE FROM users WHERE id = 1')
    const segments = async (count: number) => {
      for (let segment = 0; segment < count; segment += 1)
        await database.query("SELECT pg_logical_emit_message(true, 'fill', repeat('x', 1000)); SELECT pg_switch_wal()")
    }
    await segments(13)
    const url = String((await service.waitFor('the address', (line) => typeof line.url === 'string')).url)
    await until(async () => JSON.stringify(await (await fetch(`${url}/readyz`)).json()).includes('wal_budget_low'), {
      what: '/readyz to warn',
      timeoutMs: 20_000,
    })
    await service.waitFor('the warning', ({ code, level }) => code === 'wal_budget_low' && level === 'warn')
    expect((await service.metrics()).get('suprsync_slot_wal_budget')).toBe(1)
    await segments(2)
    await until(
      async () =>
        (await database.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [database.slot])).length === 0,
      { what: 'the slot to be dropped', timeoutMs: 20_000 },
    )
    await service.waitFor('the alarm', ({ code, level }) => code === 'max_retained_wal' && level === 'error')
    await database.query("UPDATE users SET email = 'gap@example.com' WHERE id = 2")

    await stateServer.start()
    await until(async () => (await state.query('SELECT FROM suprsync.checkpoint WHERE era = 2')).length === 1, {
      what: 'the recovery',
      timeoutMs: 40_000,
    })
    await expectConverged({ database, emulator, config: service.config, state, timeoutMs: 30_000 })
    expect(emulator.users().has('1')).toBe(false)
  } finally {
    await state.pool.end()
    await database.pool.end()
  }
})
