// P5: what the slot costs the application's disk is said in time, and with `max_retained_wal` the slot goes before the disk does. Here the
// state's server is down: nothing can be stored, so nothing may be confirmed, and WAL gathers.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

test('said in /readyz, status and metrics; dropped when it is too much; recovered when the state is back; said by a start without state', async () => {
  await using source = await startCluster({ settings: { max_slot_wal_keep_size: '256MB' } })
  await using stateServer = await startCluster()
  const database = await createTestDatabase(source.url())
  const state = await createTestDatabase(stateServer.url())
  try {
    await createUsersTable(database)
    await insertUsers(database, 20)
    await using emulator = await startEmulator()
    const options = {
      databaseUrl: database.url,
      emulatorUrl: emulator.url,
      slot: database.slot,
      config: { state: { url: state.url }, safety: { breaker: 'off', max_retained_wal: '215MB' } },
    }
    await using service = await startService(options)
    const warns = (of: Service, code: string) =>
      until(async () => (await of.readiness()).warnings.includes(code), {
        what: `/readyz to warn of ${code}`,
        timeoutMs: 20_000,
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
    await warns(service, 'wal_budget_low')
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

    // A new process cannot ask anybody whether the slot is its own.
    await stateServer.stop()
    await service.kill9()
    await segments(15)
    await using later = await startService(options)
    await warns(later, 'max_retained_wal')
    expect((await later.readiness()).codes).toEqual(['server_unreachable'])
    await later.waitFor('the warning', ({ code, level }) => code === 'max_retained_wal' && level === 'warn')
    expect(await database.query('SELECT slot_name AS name FROM pg_replication_slots')).toEqual([
      { name: database.slot },
    ])
  } finally {
    await state.pool.end()
    await database.pool.end()
  }
})
