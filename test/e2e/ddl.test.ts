// The application's own DDL while the service follows its table (P1, P5): each change is loud where it keeps us from following,
// nothing is emptied because of it, none of its statements waits or fails because of us, and once it is mended everything
// that came in between is there.
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { drawn } from '../support/drawn.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const USERS = 30

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly service: Service
  readonly converged: () => Promise<void>
  /** Until /readyz names this code. */
  readonly broken: (code: string) => Promise<void>
  /** Every user has the addresses they began with: nothing was emptied. */
  readonly untouched: () => void
}

const TABLE = `CREATE TABLE users (id bigint PRIMARY KEY, email text, phone text, name text, points int)`
const PROFILE = { $email: 'email', $sms: 'phone', name: 'name', points: 'points' }

async function world(
  run: (world: World) => Promise<void>,
  { table = TABLE, config = {} }: { readonly table?: string; readonly config?: JsonObject } = {},
): Promise<void> {
  await using database = await createTestDatabase()
  await database.query(table)
  await database.query(
    `INSERT INTO users (id, email, phone, name, points)
     SELECT n, 'u' || n || '@example.com', '+9198' || lpad(n::text, 8, '7'), 'User ' || n, n FROM generate_series(1, ${USERS}) n`,
  )
  await using emulator = await startEmulator()
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
    config: { profile: PROFILE, ...config },
  })
  const converged = () => expectConverged({ database, emulator, config: service.config, timeoutMs: 25_000 })
  await service.waitStreaming()
  await converged()
  await run({
    database,
    emulator,
    service,
    converged,
    broken: async (code) => {
      await until(async () => (await service.readiness()).codes.includes(code), {
        what: `/readyz: ${code}`,
        timeoutMs: 20_000,
      })
    },
    untouched: () => {
      for (const [id, { channels }] of emulator.users()) expect([id, channels.$email?.length]).toEqual([id, 1])
    },
  })
}

/** As the application: never more than a moment, and never in vain. */
async function statement(database: TestDatabase, sql: string): Promise<void> {
  const startedAt = performance.now()
  await database.query(sql)
  expect(performance.now() - startedAt, sql).toBeLessThan(5_000)
}

const edit = (database: TestDatabase, id: number) =>
  statement(database, `UPDATE users SET name = 'Edited ${id}' WHERE id = ${id}`)

const STOPS: readonly (readonly [string, string, string, string])[] = [
  [
    'a mapped column is renamed',
    'ALTER TABLE users RENAME email TO mail',
    'ALTER TABLE users RENAME mail TO email',
    'source_reshaped',
  ],
  ['the table is renamed', 'ALTER TABLE users RENAME TO people', 'ALTER TABLE people RENAME TO users', 'table_missing'],
  [
    'the table leaves the publication',
    'ALTER PUBLICATION suprsync DROP TABLE users',
    'ALTER PUBLICATION suprsync ADD TABLE ONLY users',
    'publication_mismatch',
  ],
  [
    'the publication no longer publishes deletes',
    "ALTER PUBLICATION suprsync SET (publish = 'insert, update')",
    "ALTER PUBLICATION suprsync SET (publish = 'insert, update, delete, truncate')",
    'publication_mismatch',
  ],
  [
    'another table inherits from it',
    'CREATE TABLE more () INHERITS (users)',
    'DROP TABLE more',
    'table_kind_unsupported',
  ],
]

const UNWRITABLE: readonly (readonly [string, string, string, string])[] = [
  ['the primary key is dropped', 'DROP CONSTRAINT users_pkey', 'ADD PRIMARY KEY (id)', 'primary_key_missing'],
  ['rows tell nothing', 'REPLICA IDENTITY NOTHING', 'REPLICA IDENTITY DEFAULT', 'replica_identity_nothing'],
]

describe('stops with a code, and goes on when it is mended', () => {
  test.each(drawn(STOPS, 2))('%s', (_, alter, mend, code) =>
    world(async ({ database, emulator, broken, converged, untouched }) => {
      await statement(database, alter)
      const renamed = alter.includes('TO people') ? 'people' : 'users'
      await statement(database, `UPDATE ${renamed} SET name = 'between' WHERE id = 1`)
      await statement(database, `DELETE FROM ${renamed} WHERE id = 2`)
      await broken(code)
      untouched()
      await statement(database, mend)
      await edit(database, 3)
      await converged()
      expect(emulator.users().has('2')).toBe(false)
    }),
  )

  test.each(drawn(UNWRITABLE, 2))(
    '%s: the application could change no row because it is published',
    (_, alter, mend, code) =>
      world(async ({ database, broken, converged, untouched }) => {
        await statement(database, `ALTER TABLE users ${alter}`)
        await broken(code)
        untouched()
        await statement(database, `ALTER TABLE users ${mend}`)
        await edit(database, 3)
        await converged()
      }),
  )

  test('a mapped column is dropped; then it is back, empty: only now it is', () =>
    world(async ({ database, emulator, broken, converged, untouched }) => {
      await statement(database, 'ALTER TABLE users DROP email')
      await edit(database, 1)
      await broken('source_reshaped')
      untouched()
      await statement(database, "ALTER TABLE users ADD email text DEFAULT 'all@example.com'")
      await converged()
      expect(emulator.users().get('9')?.channels.$email).toEqual(['all@example.com'])
    }))

  test('the table is dropped and made anew', () =>
    world(async ({ database, emulator, broken, converged, untouched }) => {
      await statement(database, 'DROP TABLE users')
      await broken('table_missing')
      untouched()
      await statement(database, TABLE)
      await statement(database, "INSERT INTO users VALUES (1, 'u1@example.com'), (77, 'new@example.com')")
      await broken('publication_mismatch')
      await statement(database, 'ALTER PUBLICATION suprsync ADD TABLE ONLY users')
      await converged()
      expect([...emulator.users().keys()].sort()).toEqual(['1', '77'])
    }))

  test('the replica identity no longer tells rows: the application is not kept from its own, we are', () =>
    world(async ({ database, broken, converged, untouched }) => {
      await statement(database, 'CREATE UNIQUE INDEX by_points ON users (points)')
      await statement(database, 'ALTER TABLE users ALTER points SET NOT NULL')
      await statement(database, 'ALTER TABLE users REPLICA IDENTITY USING INDEX by_points')
      await edit(database, 1)
      await statement(database, 'DELETE FROM users WHERE id = 2')
      await broken('protocol_key_missing')
      untouched()
      await statement(database, 'ALTER TABLE users REPLICA IDENTITY DEFAULT')
      await edit(database, 3)
      await converged()
    }))
})

const GOES_ON: readonly (readonly [string, string])[] = [
  ['a column is added', 'ALTER TABLE users ADD note text DEFAULT 7'],
  ['an unmapped column is dropped', 'ALTER TABLE users ADD extra int; ALTER TABLE users DROP extra'],
  ['a mapped column gets another type', 'ALTER TABLE users ALTER points TYPE numeric(10, 2)'],
  ['a mapped column is rewritten by its new type', "ALTER TABLE users ALTER points TYPE text USING 'p' || points"],
  [
    'two columns change places',
    'ALTER TABLE users RENAME name TO x; ALTER TABLE users RENAME email TO name; ALTER TABLE users RENAME x TO email',
  ],
  ['the primary key has another type', 'ALTER TABLE users ALTER id TYPE int'],
  ['the primary key is another', 'ALTER TABLE users DROP CONSTRAINT users_pkey, ADD PRIMARY KEY (points)'],
  [
    'the publication is dropped and made again',
    'DROP PUBLICATION suprsync; CREATE PUBLICATION suprsync FOR TABLE ONLY users',
  ],
  [
    'the publication is dropped, rows are written, and it is made again',
    "DROP PUBLICATION suprsync; UPDATE users SET name = 'between' WHERE id = 7; DELETE FROM users WHERE id = 6; CREATE PUBLICATION suprsync FOR TABLE ONLY users",
  ],
  [
    'the table is taken out of the publication and put back',
    'ALTER PUBLICATION suprsync DROP TABLE users; DELETE FROM users WHERE id = 5; ALTER PUBLICATION suprsync ADD TABLE ONLY users',
  ],
]

describe('goes on by itself', () => {
  test.each(drawn(GOES_ON, 2))('%s', (what, alter) =>
    world(async ({ database, emulator, service, converged }) => {
      for (const each of alter.split('; ')) await statement(database, each)
      await edit(database, 1)
      await statement(database, "DELETE FROM users WHERE points::text LIKE '%4'")
      await until(
        async () => {
          await edit(database, 3)
          await converged()
          return true
        },
        { what: 'convergence', timeoutMs: 25_000 },
      )
      if (!what.includes('places')) expect(emulator.users().get('9')?.channels.$email).toEqual(['u9@example.com'])
      await service.waitStreaming()
    }),
  )
})

const SWAP = `CREATE TABLE next (LIKE users INCLUDING ALL);
  INSERT INTO next SELECT * FROM users; ALTER TABLE users RENAME TO former; ALTER TABLE next RENAME TO users;
  ALTER PUBLICATION suprsync ADD TABLE ONLY users`

test('the table is replaced while changes of the former one are unread', () =>
  world(async ({ database, emulator, service, converged }) => {
    await service.stop()
    await statement(database, "UPDATE users SET name = 'before' WHERE id < 5; DELETE FROM users WHERE id = 6")
    await statement(database, `BEGIN; ${SWAP}; COMMIT`)
    await statement(database, "UPDATE users SET name = 'after' WHERE id = 3; DELETE FROM users WHERE id = 7")
    await using second = await startService({
      ...{ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot },
      config: { profile: PROFILE },
    })
    await second.waitStreaming()
    await converged()
    expect([emulator.users().has('6'), emulator.users().has('7')]).toEqual([false, false])
    expect(second.log().some(({ msg }) => msg.includes('had this name before'))).toBe(true)
    await edit(database, 8)
    await converged()
  }))

test('the table is renamed and back, and replaced by a copy, under load', () =>
  world(async ({ database, emulator, converged, untouched }) => {
    const stop = new AbortController()
    const load = (async () => {
      for (let at = 0; !stop.signal.aborted; at += 1) {
        // While the table has another name the statement fails, whoever made it.
        await database.query(`UPDATE users SET name = 'Load ${at}' WHERE id = ${1 + (at % 10)}`).catch((error) => {
          if (error.code !== '42P01') throw error
        })
      }
    })()
    try {
      for (let times = 0; times < 3; times += 1) {
        await statement(database, 'ALTER TABLE users RENAME TO away')
        await delay(200)
        await statement(database, 'ALTER TABLE away RENAME TO users')
        await delay(1_000)
      }
      await statement(database, `BEGIN; LOCK users; ${SWAP}; COMMIT`)
      await delay(2_000)
    } finally {
      stop.abort()
      await load
    }
    await converged()
    untouched()
    await statement(database, 'DELETE FROM users WHERE id = 9; DROP TABLE former')
    await converged()
    expect(emulator.users().has('9')).toBe(false)
  }))

describe('partitions', () => {
  const table = `
    CREATE TABLE users (id bigint PRIMARY KEY, email text, phone text, name text, points int) PARTITION BY RANGE (id);
    CREATE TABLE users_low PARTITION OF users FOR VALUES FROM (0) TO (16);
    CREATE TABLE users_high PARTITION OF users FOR VALUES FROM (16) TO (1000)`

  test('changes in each, a row that moves, one that comes with its rows, one that goes with them, one without WAL', () =>
    world(
      async ({ database, emulator, converged, broken }) => {
        await edit(database, 1)
        await edit(database, 20)
        await statement(database, 'UPDATE users SET id = 900 WHERE id = 3')
        await statement(database, 'DELETE FROM users WHERE id = 21')
        await converged()
        await statement(database, 'CREATE TABLE users_far (LIKE users INCLUDING ALL)')
        await statement(database, "INSERT INTO users_far VALUES (2001, 'far@example.com')")
        await statement(database, 'ALTER TABLE users ATTACH PARTITION users_far FOR VALUES FROM (1000) TO (3000)')
        await until(() => emulator.users().has('2001'), { what: 'the attached rows', timeoutMs: 25_000 })
        await statement(database, 'ALTER TABLE users DETACH PARTITION users_high')
        await until(() => !emulator.users().has('20'), { what: 'the detached rows to go', timeoutMs: 25_000 })
        await converged()
        await statement(database, 'CREATE UNLOGGED TABLE users_more (LIKE users INCLUDING ALL)')
        await statement(database, "INSERT INTO users_more VALUES (4001, 'more@example.com')")
        await statement(database, 'ALTER TABLE users ATTACH PARTITION users_more FOR VALUES FROM (3000) TO (5000)')
        await broken('table_unlogged')
        await statement(database, "UPDATE users SET email = 'moved@example.com' WHERE id = 4001")
        await edit(database, 1)
        await statement(database, 'ALTER TABLE users_more SET LOGGED')
        await converged()
      },
      { table },
    ))
})
