// P5, P6: a refused API key stops every sender and nothing else, and a new one in its file is taken by itself; with SIGHUP
// before the former is refused at all. Nobody is set aside.
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'suprsync-key-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test('a key is rotated: refused and then found in its file, and another time ahead of it by SIGHUP', async () => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 20)
  await using emulator = await startEmulator({ apiKey: 'canary-one' })
  const keyFile = join(directory, 'key')
  await writeFile(keyFile, 'canary-one\n')
  const suprsend = { api_key: null, api_key_file: keyFile }
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
    config: { suprsend },
  })
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config })

  emulator.settings({ apiKey: 'canary-two' })
  await database.query("UPDATE users SET name = 'refused', version = nextval('user_version')")
  await until(async () => (await service.readiness()).codes.includes('api_key_rejected'), { what: 'the refusal' })
  expect((await service.metrics()).get('suprsync_host_state{state="unauthorized"}')).toBe(1)
  // Capture goes on meanwhile: the slot passes what is changed now.
  await database.query("UPDATE users SET name = 'captured', version = nextval('user_version') WHERE id = 1")
  await slotPasses(database)
  expect((await service.readiness()).codes).toEqual(['api_key_rejected'])
  // Half of a rotation that writes in place.
  await writeFile(keyFile, '')
  await service.waitFor('the empty file', ({ problem }) => String(problem).endsWith('key is empty'))
  // Swapped as a mounted secret is; in the form of an environment file.
  await writeFile(join(directory, 'next'), '# rotated\nexport SUPRSEND_API_KEY="canary-two"\n')
  await rename(join(directory, 'next'), keyFile)
  await expectConverged({ database, emulator, config: service.config })
  await service.waitReady()

  const refusals = () => service.log().filter(({ msg }) => msg.startsWith('suprsend refuses the API key')).length
  const before = refusals()
  await writeFile(keyFile, 'canary-three')
  await service.reload({ suprsend })
  await service.waitFor('the reading again', ({ msg }) => msg.startsWith('the configuration was read again'))
  emulator.settings({ apiKey: 'canary-three' })
  await database.query("UPDATE users SET name = 'ahead', version = nextval('user_version')")
  await expectConverged({ database, emulator, config: service.config })
  expect(refusals()).toBe(before)
  expect((await service.metrics()).get('suprsync_profiles_failed') ?? 0).toBe(0)
  expect(await database.query('SELECT distinct_id FROM suprsync.profile WHERE failure IS NOT NULL')).toEqual([])
  expect(JSON.stringify(service.log())).not.toContain('canary')
})

async function slotPasses(database: TestDatabase): Promise<void> {
  const [position] = await database.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
  await database.query("UPDATE users SET name = 'last', version = nextval('user_version') WHERE id = 2")
  await until(
    async () => {
      const [row] = await database.query<{ passed: boolean }>(
        'SELECT confirmed_flush_lsn >= $2::pg_lsn AS passed FROM pg_replication_slots WHERE slot_name = $1',
        [database.slot, position?.lsn],
      )
      return row?.passed
    },
    { what: 'the slot to pass the change', timeoutMs: 20_000, pollMs: 100 },
  )
}
