// P2, P4: whose profile a row speaks for. The distinct_id is a column of its own here: rows exchange it, take over that of a
// deleted one (while its DELETE fails), hold the same one, or change it; under each policy for users that are gone.
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

test.each(drawn(['append', 'replace'] as const, 2))(
  'ids exchanged, taken over and shared, POST %s',
  async (postReading) => {
    await using world = await createWorld({ postReading })
    const { database, emulator, service } = world
    const converged = () => expectConverged({ database, emulator, config: service.config })
    for (const [id, uid] of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].entries()) await insert(database, id + 1, uid)
    await converged()

    // 1 and 2 exchange their ids, in one transaction and in two.
    await database.query("UPDATE people SET uid = CASE uid WHEN 'a' THEN 'b' ELSE 'a' END WHERE id IN (1, 2)")
    await converged()
    expect(emails(emulator, 'a')).toEqual(['2@example.com'])
    await database.query("UPDATE people SET uid = 'b' WHERE id = 2")
    await database.query("UPDATE people SET uid = 'a' WHERE id = 1")
    await converged()
    expect(emails(emulator, 'b')).toEqual(['2@example.com'])

    // 3 is deleted and 4 takes its id over, while the first DELETE fails; then the other way round for 5 and 6.
    for (const user of ['c', 'e']) {
      emulator.addFault({ user, method: 'DELETE', times: 1, action: { kind: 'apply_then_status', status: 500 } })
      emulator.addFault({ user, method: 'DELETE', times: 1, action: { kind: 'status', status: 503 } })
    }
    const before = emulator.history('c').length
    await database.query('DELETE FROM people WHERE id = 3')
    await until(() => emulator.history('c').length > before, { what: 'the first DELETE to be made' })
    await database.query("UPDATE people SET uid = 'c' WHERE id = 4")
    await database.query("UPDATE people SET uid = 'e' WHERE id = 6")
    await until(async () => (await duplicates(database)).length === 1, {
      what: 'the second holder of an id to be noticed',
    })
    await database.query('DELETE FROM people WHERE id = 5')
    await converged()
    expect(emails(emulator, 'c')).toEqual(['4@example.com'])
    expect(emails(emulator, 'e')).toEqual(['6@example.com'])
    expect([...emulator.users().keys()].sort()).toEqual(['a', 'b', 'c', 'e', 'g', 'h'])

    // Two rows with one id: the lower key speaks for it, and the other one as soon as that is gone.
    await database.query("UPDATE people SET uid = 'g' WHERE id = 8")
    await until(async () => (await duplicates(database)).includes('8'), { what: 'the duplicate to be noticed' })
    await converged()
    expect(emails(emulator, 'g')).toEqual(['7@example.com'])
    await database.query("UPDATE people SET email = 'late@example.com' WHERE id = 8")
    await converged()
    expect(emails(emulator, 'g')).toEqual(['7@example.com'])
    await database.query('DELETE FROM people WHERE id = 7')
    await converged()
    expect(emails(emulator, 'g')).toEqual(['late@example.com'])
    expect(await duplicates(database)).toEqual([])
  },
)

test.each([
  { policy: 'delete', left: null },
  { policy: 'clear', left: [] },
  { policy: 'keep', left: ['1@example.com'] },
] as const)('a changed id: the former user by on_delete: $policy, the new one created', async ({ policy, left }) => {
  await using world = await createWorld({ policy })
  const { database, emulator, service } = world
  await insert(database, 1, 'old')
  await until(() => emulator.users().has('old'), { what: 'the user to be created' })
  await database.query("UPDATE people SET uid = 'new' WHERE id = 1")
  await until(() => emails(emulator, 'new')?.length === 1, { what: 'the new user' })
  await until(async () => (await waiting(database)) === 0, { what: 'nothing left to do' })
  expect(emails(emulator, 'old')).toEqual(left)
  expect(service.hasExited).toBe(false)
  // And back: whatever the policy left there is brought to what the row says.
  await database.query("UPDATE people SET uid = 'old', email = 'back@example.com' WHERE id = 1")
  await until(() => emails(emulator, 'old')?.[0] === 'back@example.com', { what: 'the former user again' })
  expect(emails(emulator, 'old')).toEqual(['back@example.com'])
})

interface World extends AsyncDisposable {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly service: Service
}

async function createWorld(options: {
  readonly postReading?: 'append' | 'replace'
  readonly policy?: 'delete' | 'clear' | 'keep'
}): Promise<World> {
  const { postReading = 'append', policy = 'delete' } = options
  const closing = new AsyncDisposableStack()
  const database = closing.use(await createTestDatabase())
  await database.query('CREATE TABLE people (id bigint PRIMARY KEY, uid text NOT NULL, email text)')
  const emulator = closing.use(await startEmulator({ postReading }))
  const service = closing.use(
    await startService({
      databaseUrl: database.url,
      emulatorUrl: emulator.url,
      slot: database.slot,
      config: {
        source: { table: 'public.people' },
        user: { distinct_id: 'uid', on_delete: policy },
        profile: { $email: 'email', row: 'id' },
      },
    }),
  )
  await service.waitStreaming()
  return { database, emulator, service, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

async function insert(database: TestDatabase, id: number, uid: string): Promise<void> {
  await database.query('INSERT INTO people VALUES ($1, $2, $3)', [id, uid, `${id}@example.com`])
}

/** The active ones; null when there is no such user. */
function emails(emulator: Emulator, distinctId: string): readonly unknown[] | null {
  const user = emulator.users().get(distinctId)
  return user ? (user.channels.$email ?? []) : null
}

async function duplicates(database: TestDatabase): Promise<readonly string[]> {
  const rows = await database.query<{ key: string }>('SELECT key FROM suprsync.source_row WHERE duplicate ORDER BY key')
  return rows.map(({ key }) => key)
}

async function waiting(database: TestDatabase): Promise<number> {
  const rows = await database.query<{ n: number }>(
    'SELECT count(*)::int AS n FROM suprsync.profile WHERE due_at IS NOT NULL',
  )
  return rows[0]?.n ?? 0
}
