// The application goes on writing while tables are read anew under another mapping: what it adds is told at once, what it takes
// away too, and nobody loses a value, or is told a value of somebody else, because the readings are not at their end.
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import type { Emulator } from '../../src/emulator/emulator.ts'
import { drawn } from '../support/drawn.ts'
import { SLOWLY, USERS, keptWorld as world } from '../support/kept.ts'
import { until } from '../support/wait.ts'

const EMAILS = { table: 'public.user_emails', user: 'user_id', profile: { $email: 'address' } }

function emailsOf(emulator: Emulator, id: string): readonly unknown[] {
  return (emulator.users().get(id)?.channels.$email ?? []).toSorted()
}

/** Addresses that a user was seen with and that are somebody else's: each names its owner. */
function ofOthers(emulator: Emulator, owners: (id: string) => readonly string[]): readonly string[] {
  return [...emulator.users().keys()].flatMap((id) =>
    emulator
      .history(id)
      .flatMap(({ state }) => state?.channels.$email ?? [])
      .filter((value) => !owners(id).some((owner) => new RegExp(`^[a-z]+${owner}@`).test(String(value))))
      .map((value) => `user ${id} had ${String(value)}`),
  )
}

test('ids go from row to row: nobody is deleted, or two people at once, because of an edit', () =>
  world(async ({ database, first, start, keptAll, emulator }) => {
    await database.query("UPDATE user_emails SET address = 'child' || id || '@example.com'")
    const mapping = { profile: { $email: 'email', name: 'name' }, children: [EMAILS] }
    await first(mapping)
    await using service = await start({
      ...{ ...mapping, user: { distinct_id: 'ext' } },
      backfill: { max_rows_per_second: 100 },
    })
    await service.waitStreaming()
    const read = "SELECT FROM suprsync.backfill WHERE source = 'public.users' AND rows_read BETWEEN 50 AND 299"
    await until(async () => (await database.query(read)).length > 0, { what: 'the first page of users' })
    await database.query(`
      UPDATE users SET name = name || '!' WHERE id > 290;
      UPDATE user_emails SET address = 'new' || id || '@example.com' WHERE id <= 5`)
    await keptAll(service)
    const people = [...emulator.users().keys()].flatMap((id) =>
      emulator.history(id).filter(({ state }) => {
        const owners = (state?.channels.$email ?? []).map((value) => String(value).replace(/\D/g, ''))
        return new Set(owners).size > 1
      }),
    )
    expect(people.slice(0, 5)).toEqual([])
  }))

test('one of two addresses comes from another table that is not read yet: an edit does not remove it', () =>
  world(async ({ database, first, start, keptAll, emulator }) => {
    await database.query(
      "ALTER TABLE users ADD second text; UPDATE users SET second = 's' || id || '@example.com'; UPDATE user_emails SET address = 's' || id || '@example.com'",
    )
    await first({ profile: { $email: 'email' }, children: [EMAILS] })
    const to = {
      profile: { $email: ['email', 'second'] },
      children: [{ ...EMAILS, profile: { shown: 'address' } }],
    }
    await using service = await start({ ...to, ...SLOWLY })
    await service.waitStreaming()
    await database.query("UPDATE user_emails SET address = 'edited ' || id WHERE id > 290")
    await until(() => emulator.users().get('300')?.properties.shown === 'edited 300', { what: 'the live edit' })
    expect(await database.query('SELECT FROM suprsync.backfill WHERE finished_at IS NULL')).not.toEqual([])
    await keptAll(service)
  }))

const PLAN = { plan: { const: 'x' } }
const TO_USERS = [
  [
    'deletes',
    { ...EMAILS, profile: { $email: 'address', ...PLAN } },
    { ...EMAILS, profile: PLAN },
    'DELETE FROM user_emails',
  ],
  ['replaces', EMAILS, EMAILS, "UPDATE user_emails SET address = 'new' || id || '@example.com'"],
] as const

test.each(drawn(TO_USERS, 2))(
  'the users give by now what the application %s in child rows: nobody is without it',
  (_, from, to, edit) =>
    world(async ({ database, first, start, keptAll }) => {
      await first({ profile: { name: 'name' }, children: [from] })
      await using service = await start({
        ...{ profile: { $email: 'email', name: 'name' }, children: [to] },
        ...SLOWLY,
      })
      await service.waitStreaming()
      await database.query(`${edit} WHERE id > 290`)
      await keptAll(service)
    }),
)

/** The reading of the child table holds the users back meanwhile. */
const CHILD_IS_READ = { profile: { $email: 'email', name: 'name' }, children: [EMAILS] }
const REMAPPED_CHILD: JsonObject = {
  ...CHILD_IS_READ,
  children: [{ ...EMAILS, profile: { $email: 'address', kind: { const: 'x' } } }],
}

test('what the application takes away meanwhile goes at once', () =>
  world(async ({ database, first, start, keptAll, emulator }) => {
    await database.query("UPDATE user_emails SET address = 'child' || id || '@example.com'")
    await first(CHILD_IS_READ)
    await using service = await start({ ...REMAPPED_CHILD, backfill: { max_rows_per_second: 100 } })
    await service.waitStreaming()
    await database.query(`
      UPDATE users SET email = 'new@example.com' WHERE id = 300;
      UPDATE users SET email = NULL WHERE id = 299;
      DELETE FROM user_emails WHERE id = 298;
      DELETE FROM users WHERE id = 297;
      UPDATE user_emails SET user_id = NULL WHERE id = 296; UPDATE user_emails SET user_id = 296 WHERE id = 295;
      UPDATE user_emails SET address = 'other@example.com' WHERE id = 294`)
    await until(
      () =>
        JSON.stringify(emailsOf(emulator, '300')) === '["child300@example.com","new@example.com"]' &&
        JSON.stringify(emailsOf(emulator, '299')) === '["child299@example.com"]' &&
        JSON.stringify(emailsOf(emulator, '298')) === '["u298@example.com"]' &&
        !emulator.users().has('297') &&
        JSON.stringify(emailsOf(emulator, '296')) === '["child295@example.com","u296@example.com"]' &&
        JSON.stringify(emailsOf(emulator, '295')) === '["u295@example.com"]' &&
        emailsOf(emulator, '294').includes('other@example.com'),
      { what: 'the live edits' },
    )
    expect(await database.query('SELECT FROM suprsync.backfill WHERE finished_at IS NULL')).not.toEqual([])
    await keptAll(service)
  }))

const KEYS_MOVE = [
  ['another mapping of the users', 'SELECT', { profile: { ...CHILD_IS_READ.profile, ext: 'ext' } }],
  ['the slot lost', 'SELECT pg_drop_replication_slot($1)', {}],
  ['nothing else', 'SELECT', {}],
] as const

test.each(drawn(KEYS_MOVE, 3))(
  'the primary key becomes one of what were keys of others, and %s: nobody is told the address of another',
  (_, before, more) =>
    world(async ({ database, first, start, keptAll, emulator }) => {
      await database.query("UPDATE user_emails SET address = 'child' || id || '@example.com'")
      await first(CHILD_IS_READ)
      await database.query(`
        BEGIN;
        ALTER TABLE users DROP CONSTRAINT users_pkey, ADD PRIMARY KEY (ext);
        UPDATE user_emails SET user_id = user_id + ${USERS};
        UPDATE user_emails e SET user_id = (SELECT ext FROM users u WHERE u.id = e.user_id - ${USERS});
        COMMIT`)
      if (before !== 'SELECT') await database.query(before, [database.slot])
      await using service = await start({ ...CHILD_IS_READ, ...SLOWLY, ...more })
      await service.waitStreaming()
      await database.query("UPDATE users SET name = name || '!' WHERE id > 290")
      await keptAll(service)
      expect(ofOthers(emulator, (id) => [id]).slice(0, 5)).toEqual([])
    }),
)

test('child rows name their user by another column: who is named by another row now loses nothing to an edit of it', () =>
  world(async ({ database, first, start, keptAll }) => {
    await database.query(
      'UPDATE user_emails SET user_ext = 1 + (user_id + 149) % 300; ALTER TABLE user_emails ADD UNIQUE (user_ext)',
    )
    const child = { table: 'public.user_emails', user: 'user_id', profile: { shown: 'address' } }
    await first({ profile: { $email: 'email' }, children: [child] })
    const to = { profile: { $email: 'email' }, children: [{ ...child, user: 'user_ext' }] }
    await using service = await start({ ...to, ...SLOWLY })
    await service.waitStreaming()
    await database.query('UPDATE user_emails SET address = address WHERE id > 290')
    await keptAll(service)
  }))
