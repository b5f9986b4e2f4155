// The circuit breaker while everything moves: rows go on being deleted, senders have claims in hand, and its state is on another server.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { startCluster } from '../support/cluster.ts'
import { createTestDatabase } from '../support/database.ts'
import { runCommand } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const USERS = 200
const SAFETY = { breaker: { share: 0.1, min_users: 10, window: '10m' } }

const decide = async (service: Service, name: 'approve' | 'reject') =>
  JSON.parse((await runCommand([name, '--yes', '--json', '--config', service.config.file])).stdout) as {
    readonly open: boolean
    readonly users: number
  }

test('rows go on being deleted while it is approved: nobody goes whom nobody was shown', async () => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, USERS)
  await using emulator = await startEmulator()
  await using service = await startService({
    ...{ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot },
    config: { safety: SAFETY },
  })
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config })
  const held = async () => (await database.query('SELECT FROM suprsync.profile WHERE held')).length
  const deleted = () => USERS - emulator.users().size

  await database.query('DELETE FROM users WHERE id <= 60')
  await until(async () => (await held()) === 60, { what: 'everybody to be held' })
  expect(deleted()).toBe(0)
  let approved = 0
  let next = 61
  const stop = new AbortController()
  const going = (async () => {
    for (; !stop.signal.aborted && next <= USERS - 20; next += 1) {
      await database.query('DELETE FROM users WHERE id = $1', [next])
      await delay(20)
    }
  })()
  // Nothing may have been lost since the look, on a machine that is slow: then it closes, and the next few go unseen.
  let isOpen = true
  try {
    for (let times = 0; times < 4 && isOpen; times += 1) {
      const { users, open } = await decide(service, 'approve')
      approved += users
      isOpen = open
      if (open) await until(() => deleted() === approved, { what: 'those who were shown to go', timeoutMs: 20_000 })
    }
  } finally {
    stop.abort()
    await going
  }
  const gone = next - 1
  await until(async () => deleted() + (await held()) === gone, { what: 'the rest to be held' })
  const unseen = deleted() - approved
  expect(unseen).toBeLessThan(isOpen ? 1 : SAFETY.breaker.min_users)
  await until(
    async () => {
      const { open, users } = await decide(service, 'approve')
      approved += users
      return !open
    },
    { what: 'the breaker to be closed', timeoutMs: 20_000 },
  )
  expect(approved + unseen).toBe(gone)
  await expectConverged({ database, emulator, config: service.config })
})

test('deletions that wait for their turn stay where they are when it opens, and when they are rejected', async () => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, USERS)
  await using emulator = await startEmulator()
  const config = { safety: SAFETY, suprsend: { max_requests_per_second: 'off', max_in_flight: 1 } }
  await using service = await startService({
    ...{ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot },
    config,
  })
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config })
  // One request at a time, and this one takes long: who is claimed behind it waits at the gate.
  emulator.addFault({ user: '1', times: 1, action: { kind: 'hold' } })
  await database.query("UPDATE users SET name = 'Held up' WHERE id = 1")
  await until(() => emulator.held > 0, { what: 'the request to be held' })
  await database.query('DELETE FROM users WHERE id BETWEEN 2 AND 9')
  await until(
    async () =>
      (await database.query("SELECT FROM suprsync.profile WHERE desired IS NULL AND sending <> '[]'")).length > 0,
    { what: 'a deletion to be claimed' },
  )
  await database.query('DELETE FROM users WHERE id BETWEEN 10 AND 100')
  await service.waitFor('the alarm', ({ code }) => code === 'breaker_open')
  const rejected = await decide(service, 'reject')
  expect(rejected).toEqual({ open: false, users: 99 })
  emulator.releaseHolds()
  await database.query("UPDATE users SET name = 'Last' WHERE id = 150")
  await until(() => emulator.users().get('150')?.properties.name === 'Last', { what: 'the queue to move' })
  await until(
    async () => (await database.query('SELECT FROM suprsync.profile WHERE due_at IS NOT NULL')).length === 0,
    { what: 'nothing to be due' },
  )
  expect(emulator.users().size).toBe(USERS)
  expect(emulator.users().get('1')?.properties.name).toBe('Held up')
})

test('with the state on another server: held, approved, erased', async () => {
  await using database = await createTestDatabase()
  await using cluster = await startCluster()
  await using state = await createTestDatabase(cluster.url())
  await createUsersTable(database)
  await insertUsers(database, USERS)
  await using emulator = await startEmulator()
  await using service = await startService({
    ...{ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot },
    config: { safety: SAFETY, state: { url: state.url } },
  })
  await service.waitStreaming()
  await expectConverged({ database, state, emulator, config: service.config })
  await database.query('DELETE FROM users WHERE id <= 100')
  await until(async () => (await state.query('SELECT FROM suprsync.profile WHERE held')).length === 100, {
    what: 'everybody to be held',
  })
  // Whoever is erased goes whatever is held.
  const erased = await runCommand(['erase', '5', '--yes', '--config', service.config.file])
  expect(erased).toMatchObject({ code: 0 })
  expect(emulator.users().size).toBe(USERS - 1)
  expect(await decide(service, 'approve')).toEqual({ open: false, users: 99 })
  await expectConverged({ database, state, emulator, config: service.config })
  expect(emulator.users().size).toBe(100)
})
