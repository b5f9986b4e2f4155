// P6, P8: a user whom SuprSend always refuses is set aside with the reason and stops nobody; a refused key stops all and
// fails none; and when SuprSend says when to come back, nobody comes back earlier.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import type { RequestLine } from '../../src/emulator/user-api.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { expectConverged, expectNeverBack } from '../support/oracle.ts'
import { testSeed } from '../support/seed.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, startWorkload } from '../support/workload.ts'

const run = promisify(execFile)
const NODE = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url))
const BIN = fileURLToPath(new URL('../../bin/suprsync.js', import.meta.url))
const USERS = 60

test('one user is always answered 400: the others flow, and it is listed without its values', async () => {
  const seed = testSeed()
  await using world = await createWorld()
  const { database, emulator, service } = world
  const message = 'invalid value for channel email: u13@example.com'
  emulator.addFault({ user: '13', times: null, action: { kind: 'status', status: 400, body: { code: 400, message } } })
  await database.query("UPDATE users SET name = 'Poison Person', version = nextval('user_version') WHERE id = 13")
  await using load = startWorkload({ database, seed, users: USERS })
  await until(() => load.transactions > 300, { what: 'the load to have done something' })
  await load.stop()
  // Whatever the load left of it.
  await database.query("INSERT INTO users (id, email, name) VALUES (13, 'a@example.com', 'x') ON CONFLICT DO NOTHING")
  await database.query(
    "UPDATE users SET email = 'poison@example.com', name = 'Poison Person', version = nextval('user_version') WHERE id = 13",
  )
  await expectConverged({ database, emulator, config: service.config, failedIds: ['13'] })
  await until(async () => (await failures(database)).length === 1, { what: 'the user to be set aside' })
  expectNeverBack(emulator, load.ids)

  const { stdout: text } = await run(NODE, [BIN, 'failed', 'list', '--config', service.config.file])
  const { stdout: json } = await run(NODE, [BIN, 'failed', 'list', '--json', '--config', service.config.file])
  expect(JSON.parse(json)).toMatchObject({ failed: [{ id: '13', code: 'invalid_request', status: 400 }], more: false })
  for (const told of [text, json, JSON.stringify(service.log())]) {
    expect(told).toContain('13')
    expect(told).not.toMatch(/poison|u13@|@example\.com/i)
  }

  emulator.clearFaults()
  await database.query("UPDATE users SET email = 'mended@example.com', version = nextval('user_version') WHERE id = 13")
  await expectConverged({ database, emulator, config: service.config })
  expect(await failures(database)).toEqual([])
})

test('one value is refused by name: it alone is set aside, the rest flows, and what it took the place of goes', async () => {
  await using world = await createWorld()
  const { database, emulator, service } = world
  const edit = (set: string) =>
    database.query(`UPDATE users SET ${set}, version = nextval('user_version') WHERE id = 13`)
  const held = () => emulator.users().get('13')
  const config = ['--config', service.config.file]
  const list = async () => JSON.parse((await run(NODE, [BIN, 'failed', 'list', '--json', ...config])).stdout)

  // A refused request may have stored some of it all the same.
  emulator.settings({ refusedValues: ['poison@example.com'], refusalReading: 'stored' })
  await edit("email = 'poison@example.com', name = 'Thirteen'")
  await until(async () => (await failures(database)).length === 1, { what: 'the key to be set aside' })
  expect(held()).toMatchObject({ channels: { $sms: [expect.any(String)] }, properties: { name: 'Thirteen' } })
  expect(held()?.channels.$email ?? []).toEqual([])
  await database.query("UPDATE users SET name = 'others', version = nextval('user_version') WHERE id <> 13")
  await expectConverged({ database, emulator, config: service.config, failedIds: ['13'] })
  const listed = await list()
  expect(listed).toMatchObject({ failed: [{ id: '13', code: 'invalid_value', key: '$email', keys: ['$email'] }] })
  for (const told of [JSON.stringify(listed), JSON.stringify(service.log())])
    expect(told).not.toMatch(/poison|@example/i)

  await run(NODE, [BIN, 'failed', 'drop', '13', '--yes', ...config])
  expect(await list()).toEqual({ failed: [], more: false })
  await edit("email = 'thirteen@example.com'")
  await expectConverged({ database, emulator, config: service.config })
  expect(await failures(database)).toEqual([])
})

test('the key is refused: nobody is failed, few requests are made, and sending resumes within 16 s of its being good', async () => {
  await using world = await createWorld()
  const { database, emulator, service } = world
  emulator.settings({ unauthorized: true })
  await database.query("UPDATE users SET name = 'meanwhile', version = nextval('user_version')")
  await service.waitFor('the key to be refused', ({ msg }) => msg.startsWith('suprsend refuses the API key'))
  await database.query("UPDATE users SET name = 'later', version = nextval('user_version')")
  await until(async () => (await pending(database)) === USERS, { what: 'every user to be pending' })
  expect(await failures(database)).toEqual([])
  const refused = Object.values(emulator.stats().calls).reduce((sum, byStatus) => sum + (byStatus['401'] ?? 0), 0)
  // Those that were under way together, and a probe or two.
  expect(refused).toBeLessThanOrEqual(USERS + 2)

  emulator.settings({ unauthorized: false })
  const goodAt = performance.now()
  const before = emulator.stats().calls.PATCH?.['202'] ?? 0
  await until(() => (emulator.stats().calls.PATCH?.['202'] ?? 0) > before, {
    what: 'sending to resume',
    timeoutMs: 20_000,
  })
  expect(performance.now() - goodAt).toBeLessThan(16_000)
  await expectConverged({ database, emulator, config: service.config })
  expect(await failures(database)).toEqual([])
})

const LATER = [
  { status: 429, form: 'seconds' },
  { status: 429, form: 'date' },
  { status: 503, form: 'seconds' },
  { status: 503, form: 'date' },
] as const

test.each(drawn(LATER, 3))(
  '$status with Retry-After as $form: not before that, and not long after',
  async ({ status, form }) => {
    const requests: { readonly line: RequestLine; readonly atMs: number }[] = []
    await using world = await createWorld((line) => requests.push({ line, atMs: Date.now() }))
    const { database, emulator, service } = world
    const seen = requests.length
    const askedAt = Date.now()
    // Longer than the pause after any unclear answer; the date is cut to whole seconds.
    const retryAfter = form === 'seconds' ? 3 : new Date(askedAt + 4_000).toUTCString()
    emulator.addFault({ user: '1', action: { kind: 'status', status, retryAfter } })
    await database.query("UPDATE users SET name = 'new', version = nextval('user_version') WHERE id = 1")
    await until(() => requests.length > seen, { what: 'the request to be refused' })
    const refused = requests[seen]
    expect(refused?.line).toMatchObject({ distinctId: '1', status })
    await database.query("UPDATE users SET name = 'new', version = nextval('user_version') WHERE id = 2")
    await expectConverged({ database, emulator, config: service.config })

    const again = requests.slice(seen + 1).find(({ line }) => line.distinctId === '1')
    const other = requests.find(({ line }, index) => index > seen && line.distinctId === '2')
    const earliest = typeof retryAfter === 'string' ? Date.parse(retryAfter) : (refused?.atMs ?? 0) + 3_000
    expect(again?.atMs).toBeGreaterThanOrEqual(earliest)
    expect(again?.atMs).toBeLessThan(earliest + 4_000)
    // Who is asked to come back later is asked for everybody.
    expect(other?.atMs).toBeGreaterThanOrEqual(earliest)
  },
)

interface World extends AsyncDisposable {
  readonly database: TestDatabase
  readonly emulator: Emulator
  /** Streams; everybody is synced. */
  readonly service: Service
}

async function createWorld(onRequest: (line: RequestLine) => void = () => undefined): Promise<World> {
  await using closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  await createUsersTable(database)
  await insertUsers(database, USERS)
  const emulator = closing.use(await startEmulator({ onRequest }))
  const service = closing.use(
    await startService({ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }),
  )
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config })
  const kept = closing.move()
  return { database, emulator, service, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

async function failures(database: TestDatabase): Promise<readonly unknown[]> {
  return await database.query('SELECT distinct_id FROM suprsync.profile WHERE failure IS NOT NULL AND due_at IS NULL')
}

async function pending(database: TestDatabase): Promise<number> {
  const rows = await database.query('SELECT FROM suprsync.profile WHERE due_at IS NOT NULL')
  return rows.length
}
