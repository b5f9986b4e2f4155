// P2, P3: where a pooler stands before the state, the locks and settings of a session would be anybody's. `check` and the session that
// holds the locks say so, and nothing is taken for ours.
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { errorCode } from '../../src/core/error.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { connectionConfig, openClient } from '../../src/postgres/connection.ts'
import { CaptureLock } from '../../src/state/capture-lock.ts'
import { openStateDatabase } from '../../src/state/database.ts'
import { migrate } from '../../src/state/migrations.ts'
import { findPooler, SessionMark } from '../../src/state/pooler.ts'
import { createTestDatabase } from '../support/database.ts'
import { install } from '../support/installation.ts'
import { type PoolerBehaviour, startPooler } from '../support/pooler.ts'
import { until } from '../support/wait.ts'

interface Said {
  readonly code: string
  readonly level: string
  readonly message: string
}

let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator({ apiKey: 'good-key' })
})
afterAll(() => emulator.destroy())

test.each<[PoolerBehaviour, string | null]>([
  [{ lends: 'transaction', options: 'forwarded' }, 'state_pooled'],
  [{ lends: 'transaction', options: 'forwarded', next: 'longest_free' }, 'state_pooled'],
  [{ lends: 'transaction', options: 'dropped' }, 'state_pooled'],
  [{ lends: 'session', options: 'dropped' }, 'state_options_lost'],
  [{ lends: 'session', options: 'forwarded' }, null],
])('%j: %j', async (behaviour, expected) => {
  await using database = await createTestDatabase()
  await using pooler = await startPooler(database.url, behaviour)
  expect((await findPooler(connectionConfig(pooler.url)))?.code ?? null).toBe(expected)
})

test('a busy pooler with several sessions is found as well', async () => {
  await using database = await createTestDatabase()
  await using pooler = await startPooler(database.url, {
    lends: 'transaction',
    options: 'forwarded',
    next: 'longest_free',
  })
  // Others had it make sessions, which are now lent in turn: of two askers in strict turn each would always meet the same one.
  await using _ = await manySessions(pooler.url, 2, '')
  expect((await findPooler(connectionConfig(pooler.url)))?.code).toBe('state_pooled')
})

test('PostgreSQL itself is none', async () => {
  await using database = await createTestDatabase()
  expect(await findPooler(connectionConfig(database.url))).toBeNull()
})

test('check says where state.url leads, and what to do', async () => {
  await using database = await createTestDatabase()
  await database.query('CREATE TABLE users (id int PRIMARY KEY, email text)')
  await using pooler = await startPooler(database.url, { lends: 'transaction', options: 'forwarded' })
  await using installation = await install({ database, suprsendUrl: emulator.url, stateUrl: pooler.url })
  const errors = async () => {
    const { code, stdout } = await installation.run('check', '--json')
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Said[] }
    return { code, errors: findings.filter(({ level }) => level === 'error') }
  }
  expect(await errors()).toMatchObject({
    code: 3,
    errors: [
      { code: 'state_pooled', message: expect.stringMatching(/^state\.url .* lends a session .* PostgreSQL itself/) },
    ],
  })
  pooler.become({ lends: 'session', options: 'refused' })
  expect(await errors()).toMatchObject({
    code: 3,
    errors: [{ code: 'pooler_in_the_way', message: expect.stringMatching(/^state\.url: .*ignore_startup_parameters/) }],
  })
  pooler.become({ lends: 'session', options: 'forwarded' })
  expect(await errors()).toEqual({ code: 0, errors: [] })
})

test.each<[PoolerBehaviour, string]>([
  [{ lends: 'transaction', options: 'dropped' }, 'state_options_lost'],
  [{ lends: 'transaction', options: 'forwarded' }, 'state_pooled'],
  [{ lends: 'transaction', options: 'forwarded', next: 'longest_free' }, 'state_pooled'],
])('a session behind a pooler that was put in between later holds no locks: %j, %s', async (behaviour, code) => {
  await using database = await createTestDatabase()
  await using pooler = await startPooler(database.url, { lends: 'session', options: 'forwarded' })
  const connection = connectionConfig(pooler.url)
  await using before = await new CaptureLock({ connection, schema: 'suprsync' }).acquire()
  expect(await before?.confirm()).toBe(true)
  pooler.become(behaviour)
  await before?.lost
  await using _ = await manySessions(pooler.url, 2, new SessionMark().option)
  await expect(new CaptureLock({ connection, schema: 'suprsync' }).acquire()).rejects.toMatchObject({ code })
  expect(await database.query("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")).toEqual([])
})

test('one that refuses our settings is named', async () => {
  await using database = await createTestDatabase()
  await using pooler = await startPooler(database.url, { lends: 'session', options: 'refused' })
  const refused = new CaptureLock({ connection: connectionConfig(pooler.url), schema: 'suprsync' }).acquire()
  await expect(refused).rejects.toMatchObject({ code: 'pooler_in_the_way' })
})

test('a statement on our tables is not sent where they would be looked for in another schema', async () => {
  await using database = await createTestDatabase()
  // As an application may have it.
  await database.query('CREATE TABLE public.profile (distinct_id text)')
  await using pooler = await startPooler(database.url, { lends: 'session', options: 'forwarded' })
  const connection = connectionConfig(pooler.url)
  await using state = openStateDatabase({ connection, schema: 'suprsync', onIdleError: () => undefined })
  await migrate(state, 'suprsync')
  const add = sql`INSERT INTO profile (distinct_id) VALUES ('ann')`
  pooler.become({ lends: 'session', options: 'dropped' })
  // What was open is told by its next statement, which fails; from then on each connection is a new one.
  await until(
    () =>
      add.execute(state).then(
        () => true,
        (error: unknown) => errorCode(error) === 'state_options_lost',
      ),
    { what: 'the refusal' },
  )
  await expect(add.execute(state)).rejects.toMatchObject({ code: 'state_options_lost' })
  expect(await database.query('SELECT * FROM public.profile')).toEqual([])
  pooler.become({ lends: 'session', options: 'forwarded' })
  await until(async () => (await sql`SELECT FROM checkpoint`.execute(state)).rows.length === 0, { what: 'our tables' })
})

/** Has it make as many sessions, for others than who asks afterwards. */
async function manySessions(url: string, count: number, more: string): Promise<AsyncDisposable> {
  const connection = connectionConfig(url)
  const options = `${connection.options} ${more}`
  const clients = await Promise.all(Array.from({ length: count }, () => openClient({ ...connection, options })))
  for (const client of clients) await client.query('begin')
  for (const client of clients) await client.query('commit')
  return { [Symbol.asyncDispose]: async () => void (await Promise.all(clients.map((client) => client.end()))) }
}
