// `suprsync erase` while the stream lags, the row comes back, or the command itself is killed: nobody who is there is erased, and who was
// erased is not made again by what the stream still brings from before.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { BIN, type Run, runCommand } from '../support/installation.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly service: Service
  readonly start: () => Promise<Service>
  readonly erase: (id: string) => Promise<Run>
  readonly traces: (id: string) => Promise<number>
}

/** `on_delete: keep`: whoever is made again would stay. */
async function world(run: (world: World) => Promise<void>): Promise<void> {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 6)
  await using emulator = await startEmulator()
  const start = () =>
    startService({
      ...{ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot },
      config: { user: { distinct_id: 'id', on_delete: 'keep' } },
    })
  await using service = await start()
  await service.waitStreaming()
  await until(() => emulator.users().size === 6, { what: 'everybody' })
  await run({
    database,
    emulator,
    service,
    start,
    erase: (id) => runCommand(['erase', id, '--yes', '--json', '--config', service.config.file]),
    traces: async (id) => {
      const rows = await database.query(
        `SELECT distinct_id FROM suprsync.profile WHERE distinct_id = $1
         UNION ALL SELECT key FROM suprsync.source_row WHERE distinct_id = $1 OR key = $1`,
        [id],
      )
      return rows.length
    },
  })
}

test('what the stream still has of the user from before makes nobody', () =>
  world(async ({ database, emulator, service, start, erase, traces }) => {
    await service.stop()
    await database.query("INSERT INTO users (id, email) VALUES (42, 'late@example.com')")
    // So much that what was inserted is stored, and could be sent, long before its deletion comes.
    await database.query(
      'DO $$ BEGIN FOR i IN 1..20000 LOOP UPDATE users SET note = i WHERE id = 1; COMMIT; END LOOP; END $$',
    )
    await database.query('DELETE FROM users WHERE id = 42')
    expect(await erase('42')).toMatchObject({ code: 0 })
    expect(await traces('42')).toBe(0)
    await using second = await start()
    await second.waitStreaming()
    await database.query("INSERT INTO users (id, email) VALUES (43, 'next@example.com')")
    await until(() => emulator.users().has('43'), { what: 'the stream to have passed it' })
    await until(
      async () => (await database.query('SELECT FROM suprsync.profile WHERE due_at IS NOT NULL')).length === 0,
      { what: 'nothing to be due' },
    )
    expect(emulator.history('42').filter(({ state }) => state !== null)).toEqual([])
    // One who is made after the erasure is told as if there had been none.
    await database.query("INSERT INTO users (id, email) VALUES (42, 'again@example.com')")
    await until(() => emulator.users().get('42')?.channels.$email?.[0] === 'again@example.com', { what: 'user 42' })
  }))

test('a deletion that is not stored yet is no row that is there; a row that is not stored yet is', () =>
  world(async ({ database, emulator, service, start, erase }) => {
    await service.stop()
    await database.query('DELETE FROM users WHERE id = 3')
    await database.query("INSERT INTO users (id, email) VALUES (44, 'new@example.com')")
    expect(await erase('3')).toMatchObject({ code: 1, stderr: expect.stringContaining('user_not_captured') })
    expect(await erase('44')).toMatchObject({ code: 1, stderr: expect.stringContaining('user_still_live') })
    expect(emulator.users().has('3')).toBe(true)
    await using second = await start()
    await second.waitStreaming()
    // It waits for the stream.
    expect(await erase('3')).toMatchObject({ code: 0 })
    expect(emulator.users().has('3')).toBe(false)
    await until(() => emulator.users().has('44'), { what: 'the new user' })
  }))

test('killed while SuprSend is asked, and run again', () =>
  world(async ({ database, emulator, service, erase, traces }) => {
    await database.query('DELETE FROM users WHERE id = 5')
    emulator.addFault({ user: '5', method: 'DELETE', times: 1, action: { kind: 'hold' } })
    const command = spawn(process.execPath, [BIN, 'erase', '5', '--yes', '--config', service.config.file], {
      stdio: 'ignore',
    })
    const ended = once(command, 'close')
    await until(() => emulator.held > 0, { what: 'the request to be held' })
    command.kill('SIGKILL')
    await ended
    emulator.releaseHolds()
    expect(await erase('5')).toMatchObject({ code: 0 })
    expect(emulator.users().has('5')).toBe(false)
    expect(await traces('5')).toBe(0)
  }))
