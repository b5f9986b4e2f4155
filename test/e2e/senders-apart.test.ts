// Capture and senders in processes of their own, the state on a server of its own, the source out of the senders' reach: an edit is on its way at
// once, a sender reads its configuration again, and who asks for something that nobody can do is told so.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase } from '../support/database.ts'
import { runCommand } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const EDITS = 7

test('senders that reach the state alone; a user is to be erased while nobody sends', async () => {
  await using database = await createTestDatabase()
  await using state = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 10)
  await using emulator = await startEmulator()
  const base = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  const config = { state: { url: state.url } }
  await using capture = await startService({ ...base, config, args: ['--role', 'capture'] })
  await capture.waitStreaming()
  const stored = () => state.query("SELECT FROM suprsync.profile WHERE desired IS NOT NULL AND distinct_id = '10'")
  await until(async () => (await stored()).length === 1, { what: 'everybody to be stored' })
  await database.query('DELETE FROM users WHERE id = 10')
  const startedAt = performance.now()
  const erased = await runCommand(['erase', '10', '--yes', '--config', capture.config.file])
  expect(erased).toMatchObject({ code: 1, stderr: expect.stringContaining('No process sends') })
  expect(performance.now() - startedAt).toBeLessThan(20_000)

  const unreachable = new URL(database.url)
  unreachable.port = '1'
  const apart = { ...config, source: { url: unreachable.href } }
  await using sender = await startService({ ...base, config: apart, args: ['--role', 'deliver'] })
  await expectConverged({ database, state, emulator, config: capture.config })
  expect(await sender.readiness()).toMatchObject({ status: 200, parts: { capture: 'off', delivery: 'active' } })
  expect(await runCommand(['erase', '10', '--yes', '--config', capture.config.file])).toMatchObject({ code: 0 })

  const waits: number[] = []
  for (let id = 1; id <= EDITS; id += 1) {
    await database.query("UPDATE users SET name = 'edited', version = nextval('user_version') WHERE id = $1", [id])
    const committedAt = performance.now()
    const isSent = () => emulator.history(String(id)).some(({ state: known }) => known?.properties.name === 'edited')
    await until(isSent, { what: 'the edit to be sent', pollMs: 2 })
    waits.push(performance.now() - committedAt)
  }
  // Who waits for its next look needs half a second on the average.
  expect(waits.sort((a, b) => a - b)[Math.floor(EDITS / 2)]).toBeLessThan(250)

  await sender.reload({ ...apart, suprsend: { max_in_flight: 3 } })
  await sender.waitFor('the new configuration', ({ msg }) => msg.startsWith('the configuration was read again'))
  await database.query("UPDATE users SET name = 'again', version = nextval('user_version')")
  await expectConverged({ database, state, emulator, config: capture.config })
  expect(emulator.stats().concurrencyViolations.count).toBe(0)
})
