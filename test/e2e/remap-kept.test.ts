// Who keeps a value is never seen without it (P2), whatever else befalls while tables are read anew: ids that change hands, a
// table that is altered or replaced in the same breath, a slot that is lost in the middle.
import { test } from 'vitest'
import { drawn } from '../support/drawn.ts'
import { SLOWLY, USERS, keptWorld as world } from '../support/kept.ts'
import { until } from '../support/wait.ts'

const EMAILS = { table: 'public.user_emails', user: 'user_id', profile: { $email: 'address' } }
const IN_USERS = { profile: { $email: 'email', name: 'name' }, children: [] }
const IN_CHILD = { profile: { name: 'name' }, children: [EMAILS] }
const PLAN = { plan: { const: 'x' } }
const BOTH_IN_USERS = { profile: { $email: 'email', name: 'name' }, children: [{ ...EMAILS, profile: PLAN }] }
const BOTH_IN_CHILD = { profile: { name: 'name' }, children: [{ ...EMAILS, profile: { $email: 'address', ...PLAN } }] }
const MOVES = [
  ['from users to a child table', BOTH_IN_USERS, BOTH_IN_CHILD],
  ['from a child table to users', BOTH_IN_CHILD, BOTH_IN_USERS],
] as const

test('distinct_id becomes another column whose values others had', () =>
  world(async ({ first, start, keptAll }) => {
    await first(IN_USERS)
    await using service = await start({ ...IN_USERS, ...SLOWLY, user: { distinct_id: 'ext' } })
    await keptAll(service)
  }))

test('child rows name their user by another column', () =>
  world(async ({ database, first, start, keptAll }) => {
    await database.query(
      "UPDATE user_emails SET user_ext = 1 + (user_id + 149) % 300; UPDATE user_emails SET address = 'same@example.com'",
    )
    await first(IN_CHILD)
    await using service = await start({ ...IN_CHILD, ...SLOWLY, children: [{ ...EMAILS, user: 'user_ext' }] })
    await keptAll(service)
  }))

test.each(drawn(MOVES, 2))('the slot is lost while values move %s', (_, from, to) =>
  world(async ({ database, first, start, keptAll }) => {
    await first(from)
    {
      await using killed = await start({ ...to, ...SLOWLY }, { failPoint: 'in_backfill:2' })
      await killed.exited
    }
    await until(() => database.query('SELECT pg_drop_replication_slot($1)', [database.slot]), {
      what: 'the slot to go',
    })
    await using service = await start({ ...to, ...SLOWLY })
    await keptAll(service)
  }),
)

test.each(drawn(MOVES, 2))('the slot was lost before the file was changed, and values move %s', (_, from, to) =>
  world(async ({ database, first, start, keptAll }) => {
    await first(from)
    await database.query('SELECT pg_drop_replication_slot($1)', [database.slot])
    await using service = await start({ ...to, ...SLOWLY })
    await keptAll(service)
  }),
)

test.each(drawn(MOVES, 2))('a column is retyped while values move %s', (_, from, to) =>
  world(async ({ database, first, start, keptAll }) => {
    await first(from)
    await database.query(
      'ALTER TABLE users ALTER name TYPE varchar(80); ALTER TABLE user_emails ALTER address TYPE varchar(80)',
    )
    await using service = await start({ ...to, ...SLOWLY })
    await keptAll(service)
  }),
)

test('the users have another primary key, and child rows name it', () =>
  world(async ({ database, first, start, keptAll }) => {
    await first(IN_CHILD)
    await database.query(
      `UPDATE users SET ext = id + ${USERS}; UPDATE user_emails SET user_ext = user_id + ${USERS}; ALTER TABLE users DROP CONSTRAINT users_pkey, ADD PRIMARY KEY (ext)`,
    )
    await using service = await start({ ...IN_CHILD, ...SLOWLY, children: [{ ...EMAILS, user: 'user_ext' }] })
    await keptAll(service)
  }))

test('a child table is replaced by one with other keys for the same rows', () =>
  world(async ({ database, first, start, keptAll }) => {
    await first(IN_CHILD)
    await database.query(`
      ALTER TABLE user_emails RENAME TO user_emails_old;
      CREATE TABLE user_emails AS SELECT 1 + (id + 149) % ${USERS} AS id, user_id, user_ext, address FROM user_emails_old;
      ALTER TABLE user_emails ADD PRIMARY KEY (id);
      ALTER PUBLICATION suprsync DROP TABLE user_emails_old;
      ALTER PUBLICATION suprsync ADD TABLE ONLY user_emails`)
    await using service = await start({ ...IN_CHILD, ...SLOWLY })
    await keptAll(service)
  }))
