// P1, P2, P4 past a gap (DESIGN §8): whatever became of the slot, the publication or the table, changes that nobody could stream
// are found by reading everything again, deletes among them, and only users who differ are told; through kills in the
// middle; and with `recovery: manual` nothing is done without a word.
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { CHILD_TABLES, CHILDREN } from '../support/child-load.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { runCommand } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, type ServiceOptions, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers, startWorkload } from '../support/workload.ts'

const USERS = 60

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly start: (more?: Partial<ServiceOptions>) => Promise<Service>
}

async function world(
  run: (world: World) => Promise<void>,
  postReading: 'append' | 'replace' = 'append',
): Promise<void> {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await database.query(CHILD_TABLES)
  await insertUsers(database, USERS)
  await database.query(`
    INSERT INTO user_devices SELECT n, n, 'android', 'token-' || n FROM generate_series(1, ${USERS}) n;
    INSERT INTO user_emails SELECT n, 'more' || n || '@example.com' FROM generate_series(1, ${USERS}) n`)
  await using emulator = await startEmulator({ postReading })
  const base = { databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot }
  const start = ({ config, ...more }: Partial<ServiceOptions> = {}) =>
    startService({ ...base, config: { children: CHILDREN, ...config }, ...more })
  await run({ database, emulator, start })
}

/** A first life, up to everybody being told. */
async function settled({ database, emulator, start }: World, config: JsonObject = {}): Promise<void> {
  await using service = await start({ config })
  await service.waitStreaming()
  await expectConverged({ database, emulator, config: service.config })
  await service.stop()
}

/** What nobody streams: of six users something changes, two are gone, one is new, one device and one address went. */
async function changeUnseen(database: TestDatabase): Promise<void> {
  for (const statement of [
    'DELETE FROM users WHERE id IN (1, 2)',
    "UPDATE users SET email = 'new@example.com', version = nextval('user_version') WHERE id = 3",
    "UPDATE users SET phone = NULL, version = nextval('user_version') WHERE id = 4",
    `INSERT INTO users (id, email) VALUES (${USERS + 1}, 'late@example.com')`,
    'DELETE FROM user_devices WHERE id = 5',
    'UPDATE user_devices SET user_id = 7 WHERE id = 6',
    'DELETE FROM user_emails WHERE user_id = 8',
  ])
    await database.query(statement)
}

function writes(emulator: Emulator): number {
  const calls = Object.entries(emulator.stats().calls).filter(([method]) => method !== 'GET')
  return calls.flatMap(([, byStatus]) => Object.values(byStatus)).reduce((a, b) => a + b, 0)
}

async function recovered({ database, emulator }: World, service: Service): Promise<void> {
  await service.waitStreaming()
  await until(
    async () => {
      const [row] = await database.query<{ count: number }>(
        'SELECT count(*)::int AS count FROM suprsync.backfill WHERE finished_at IS NULL',
      )
      return row?.count === 0
    },
    { what: 'the readings to end', timeoutMs: 20_000 },
  )
  await expectConverged({ database, emulator, config: service.config })
}

const code = (err: unknown) => (typeof err === 'object' && err !== null && 'code' in err ? err.code : null)

const drop = ({ slot }: TestDatabase) => `SELECT pg_drop_replication_slot('${slot}')`
const make = ({ slot }: TestDatabase, plugin = 'pgoutput') =>
  `SELECT pg_create_logical_replication_slot('${slot}', '${plugin}')`

/** While somebody streams from it. */
async function dropInUse(database: TestDatabase): Promise<void> {
  const end = `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${database.slot}' AND active`
  await until(async () => [await database.query(end), await database.query(drop(database))], {
    what: 'the slot to be dropped',
  })
}

const NOTHING = () => []
type Statements = (database: TestDatabase) => readonly string[]

const GAPS: readonly (readonly [string, string, Statements, Statements])[] = [
  ['slot_missing', 'the slot was dropped', (it) => [drop(it)], NOTHING],
  ['slot_ahead', 'the slot was dropped and made again', (it) => [drop(it)], (it) => [make(it)]],
  [
    'slot_ahead',
    'the slot was advanced',
    NOTHING,
    (it) => [`SELECT pg_replication_slot_advance('${it.slot}', pg_current_wal_lsn())`],
  ],
  [
    'slot_wrong_plugin',
    'the slot was made again for another plugin',
    (it) => [drop(it)],
    (it) => [make(it, 'test_decoding')],
  ],
  ['publication_missing', 'the publication was dropped', () => ['DROP PUBLICATION suprsync'], NOTHING],
  [
    'publication_changed',
    'the tables were taken out of the publication and put back',
    () => ['ALTER PUBLICATION suprsync DROP TABLE users, user_devices, user_emails'],
    () => ['ALTER PUBLICATION suprsync ADD TABLE ONLY users, ONLY user_devices, ONLY user_emails'],
  ],
  [
    'table_replaced',
    'the table was replaced by a copy of the same name',
    () => [
      'CREATE TABLE copy (LIKE users INCLUDING ALL)',
      'INSERT INTO copy SELECT * FROM users',
      'ALTER TABLE users RENAME TO former',
      'ALTER TABLE copy RENAME TO users',
      'ALTER PUBLICATION suprsync ADD TABLE ONLY users',
    ],
    NOTHING,
  ],
]

test.each(GAPS)('%s: %s', (expected, _what, break_, mend) =>
  world(async (it) => {
    const { database, emulator, start } = it
    await settled(it)
    const before = writes(emulator)
    for (const statement of break_(database)) await database.query(statement)
    await changeUnseen(database)
    for (const statement of mend(database)) await database.query(statement)
    await using service = await start()
    await recovered(it, service)
    await service.waitFor('the reason', (line) => line.code === expected && line.level === 'warn')
    expect(emulator.users().has('1')).toBe(false)
    // Eight users differ; nobody else is told.
    expect(writes(emulator) - before).toBeLessThanOrEqual(10)
    const reasons = await database.query("SELECT DISTINCT reason FROM suprsync.backfill WHERE reason <> 'first_start'")
    expect(reasons).toEqual([{ reason: expected }])
    // And it goes on as ever.
    await database.query("UPDATE users SET email = 'after@example.com', version = nextval('user_version') WHERE id = 9")
    await database.query('DELETE FROM users WHERE id = 10')
    await expectConverged({ database, emulator, config: service.config })
  }),
)

test.each(drawn(['append', 'replace'] as const, 2))(
  'killed at every step of the recovery; POST that reads as %s',
  (postReading) =>
    world(async (it) => {
      const { database, start } = it
      await settled(it)
      await database.query('DROP PUBLICATION suprsync')
      await changeUnseen(database)
      for (const failPoint of [
        'after_publication:1',
        'after_slot_drop:1',
        'after_slot:1',
        'before_era:1',
        'in_backfill:1',
        'in_backfill:2',
        'in_sweep:1',
      ] as const) {
        await using service = await start({ failPoint })
        // Where an earlier life has come further this point is passed no more.
        await Promise.race([service.exited, recovered(it, service)])
        await service.kill9()
      }
      await using service = await start()
      await recovered(it, service)
    }, postReading),
)

test('the slot goes while the service streams, under load: it recovers without a restart', () =>
  world(async (it) => {
    const { database, start } = it
    await using service = await start()
    await service.waitStreaming()
    await using load = startWorkload({ database, seed: 7, users: USERS })
    for (const round of [1, 2]) {
      await until(() => load.transactions > round * 100, { what: 'load', timeoutMs: 20_000 })
      await dropInUse(database)
      await until(
        async () => (await database.query('SELECT FROM suprsync.checkpoint WHERE era = $1', [round + 1])).length === 1,
        { what: 'the next era', timeoutMs: 20_000 },
      )
    }
    await load.stop()
    await recovered(it, service)
  }))

test('by hand: the service says the code, delivers, and touches nothing; `run --recover` recovers', () =>
  world(async (it) => {
    const { database, emulator, start } = it
    const manual = { recovery: 'manual' }
    await settled(it, manual)
    await database.query(drop(database))
    await changeUnseen(database)
    const before = writes(emulator)
    {
      await using service = await start({ config: manual })
      await service.waitFor('the refusal', ({ err }) => code(err) === 'slot_missing')
      await until(async () => (await service.readiness()).codes.includes('slot_missing'), { what: '/readyz to say so' })
      expect(writes(emulator)).toBe(before)
      expect(await database.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [database.slot])).toEqual([])
      // Who waits for the service is told.
      let said = ''
      const asked = runCommand(['backfill', '--config', service.config.file, '--json'], (text) => {
        said += text
      })
      await until(() => said.includes('"code":"slot_missing"'), {
        what: 'backfill to say why it waits',
        timeoutMs: 20_000,
      })
      await runCommand(['backfill', '--config', service.config.file, '--cancel'])
      expect((await asked).code).toBe(1)
      await service.stop()
    }
    await using service = await start({ config: manual, args: ['--recover'] })
    await recovered(it, service)
  }))

test('a gap that comes back before anything is read: three recoveries at once, then it is left alone for a while', () =>
  world(async (it) => {
    const { database, start } = it
    await settled(it)
    await using service = await start({ config: { backfill: { max_rows_per_second: 1 } } })
    await service.waitStreaming()
    for (const era of [2, 3, 4]) {
      await dropInUse(database)
      await until(
        async () =>
          (await database.query('SELECT FROM suprsync.backfill WHERE era = $1 AND finished_at IS NULL', [era])).length >
          0,
        { what: `the readings of era ${era}`, timeoutMs: 20_000 },
      )
    }
    await dropInUse(database)
    await service.waitFor(
      'the wait',
      ({ err }) => code(err) === 'slot_missing' && JSON.stringify(err).includes('next attempt'),
    )
    expect(await database.query('SELECT era FROM suprsync.checkpoint')).toEqual([{ era: 4 }])
  }))
