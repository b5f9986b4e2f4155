// `suprsync erase`: the user is gone from SuprSend and from every table of the state, with a service and without, whatever the policy
// and whether anything was ever sent; and a receipt that names nobody (P8).
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { type Run, runCommand } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly service: Service
  readonly erase: (...args: readonly string[]) => Promise<Run>
  readonly traces: (id: string) => Promise<number>
}

async function world(run: (world: World) => Promise<void>, on_delete: string): Promise<void> {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 6)
  await database.query(`
    CREATE TABLE devices (id bigint PRIMARY KEY, user_id bigint, token text);
    INSERT INTO devices SELECT n, n, 'token-' || n FROM generate_series(1, 6) n`)
  await using emulator = await startEmulator()
  const config: JsonObject = {
    user: { distinct_id: 'id', on_delete },
    children: [{ table: 'devices', user: 'user_id', profile: { $androidpush: 'token' } }],
  }
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
    config,
  })
  await service.waitStreaming()
  await until(() => emulator.users().size === 6, { what: 'everybody' })
  await run({
    database,
    emulator,
    service,
    erase: (...args) => runCommand(['erase', ...args, '--config', service.config.file]),
    traces: async (id) => {
      const rows = await database.query(
        `SELECT distinct_id FROM suprsync.profile WHERE distinct_id = $1
         UNION ALL SELECT key FROM suprsync.source_row WHERE distinct_id = $1 OR key = $1 OR user_key = $1`,
        [id],
      )
      return rows.length
    },
  })
}

async function gone({ database }: World, id: string): Promise<void> {
  await database.query('DELETE FROM users WHERE id = $1', [id])
  await until(
    async () =>
      (await database.query('SELECT FROM suprsync.source_row WHERE distinct_id = $1 AND part IS NOT NULL', [id]))
        .length === 0,
    { what: 'the row to be gone' },
  )
}

describe.each(drawn(['delete', 'keep', 'clear'], 2))('on_delete: %s', (policy) => {
  test.each(['with', 'without'])('%s a running service', (running) =>
    world(async (it) => {
      const { database, emulator, service, erase, traces } = it
      await gone(it, '3')
      // A child row that is left behind goes as well.
      expect(await traces('3')).toBeGreaterThan(1)
      if (running === 'without') await service.stop()
      expect(await erase('3')).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') })
      const { code, stdout } = await erase('3', '--yes', '--json')
      expect(code).toBe(0)
      const receipt = JSON.parse(stdout) as { readonly [name: string]: string }
      expect(receipt).toMatchObject({
        id_sha256: createHash('sha256').update('3').digest('hex'),
        lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
        answer: 'not found (404)',
      })
      expect(emulator.users().has('3')).toBe(false)
      expect(await traces('3')).toBe(0)
      // Somebody of whom nothing is known, but who is there.
      await fetch(`${emulator.url}/v1/user/stranger/`, {
        method: 'POST',
        headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'x' }),
      })
      expect((await erase('stranger', '--yes')).code).toBe(0)
      expect(emulator.users().has('stranger')).toBe(false)
      expect(await database.query("SELECT FROM suprsync.profile WHERE distinct_id = 'stranger'")).toEqual([])
      expect((await erase('nobody-at-all', '--yes')).code).toBe(0)
      if (running === 'with') return
      // Whoever could end it needs the locks.
      await database.query(
        "INSERT INTO suprsync.backfill (era, source, reason) VALUES (1, 'public.users', 'requested')",
      )
      const startedAt = performance.now()
      expect(await erase('4444', '--yes')).toMatchObject({ code: 1, stderr: expect.stringContaining('`suprsync run`') })
      expect(performance.now() - startedAt).toBeLessThan(10_000)
    }, policy),
  )
})

test('a user whose row is there is refused; one who comes back later is made anew', () =>
  world(async (it) => {
    const { database, emulator, erase } = it
    expect(await erase('2', '--yes')).toMatchObject({ code: 1, stderr: expect.stringContaining('user_still_live') })
    expect(emulator.users().has('2')).toBe(true)
    await gone(it, '2')
    expect((await erase('2', '--yes')).code).toBe(0)
    await database.query("INSERT INTO users (id, email) VALUES (2, 'again@example.com')")
    await until(() => emulator.users().get('2')?.channels.$email?.[0] === 'again@example.com', { what: 'the new user' })
  }, 'keep'))

test('a refusal is told, and nothing of the state goes', () =>
  world(async (it) => {
    const { emulator, erase, traces } = it
    await gone(it, '4')
    const body = { code: 400, message: 'no' }
    emulator.addFault({ user: '4', method: 'DELETE', times: null, action: { kind: 'status', status: 400, body } })
    const refused = await erase('4', '--yes')
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('erase_unfinished') })
    expect(await traces('4')).toBeGreaterThan(0)
    emulator.clearFaults()
    expect((await erase('4', '--yes')).code).toBe(0)
    expect(await traces('4')).toBe(0)
  }, 'keep'))

test('one who comes back has the child rows that were left in the tables, which the state had forgotten', () =>
  world(async (it) => {
    const { database, emulator, service, erase, traces } = it
    await gone(it, '3')
    expect((await erase('3', '--yes')).code).toBe(0)
    expect(await traces('3')).toBe(0)
    // Rows of somebody else are none of theirs.
    await database.query("INSERT INTO users (id, email) VALUES (7, 'seventh@example.com')")
    await until(() => emulator.users().has('7'), { what: 'user 7' })
    await database.query("INSERT INTO users (id, email) VALUES (3, 'again@example.com')")
    await expectConverged({ database, emulator, config: service.config })
    expect(emulator.users().get('3')?.channels).toEqual({ $email: ['again@example.com'], $androidpush: ['token-3'] })
    await until(async () => (await database.query('SELECT FROM suprsync.erased')).length === 0, {
      what: 'the mark to be gone',
    })
  }, 'delete'))
