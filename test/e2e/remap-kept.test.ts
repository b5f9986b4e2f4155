// Who keeps a value is never seen without it (P2), whatever else befalls while tables are read anew: ids that change hands, a
// table that is altered or replaced in the same breath, a slot that is lost in the middle.
import { test } from 'vitest'
import { SLOWLY, keptWorld as world } from '../support/kept.ts'
import { until } from '../support/wait.ts'

const EMAILS = { table: 'public.user_emails', user: 'user_id', profile: { $email: 'address' } }
const PLAN = { plan: { const: 'x' } }
const BOTH_IN_USERS = { profile: { $email: 'email', name: 'name' }, children: [{ ...EMAILS, profile: PLAN }] }
const BOTH_IN_CHILD = { profile: { name: 'name' }, children: [{ ...EMAILS, profile: { $email: 'address', ...PLAN } }] }
const MOVES = [
  ['from users to a child table', BOTH_IN_USERS, BOTH_IN_CHILD],
  ['from a child table to users', BOTH_IN_CHILD, BOTH_IN_USERS],
] as const

test.each(MOVES)('the slot is lost while values move %s', (_, from, to) =>
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

test.each(MOVES)('the slot was lost before the file was changed, and values move %s', (_, from, to) =>
  world(async ({ database, first, start, keptAll }) => {
    await first(from)
    await database.query('SELECT pg_drop_replication_slot($1)', [database.slot])
    await using service = await start({ ...to, ...SLOWLY })
    await keptAll(service)
  }),
)

test.each(MOVES)('a column is retyped while values move %s', (_, from, to) =>
  world(async ({ database, first, start, keptAll }) => {
    await first(from)
    await database.query(
      'ALTER TABLE users ALTER name TYPE varchar(80); ALTER TABLE user_emails ALTER address TYPE varchar(80)',
    )
    await using service = await start({ ...to, ...SLOWLY })
    await keptAll(service)
  }),
)
