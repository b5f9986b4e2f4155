// P1: an expression that fails on a row leaves out what it makes, and nothing else: not the rest of the profile, not the user (a
// deletion cannot be undone), and not the service.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase } from '../support/database.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

test('a value, a when, the user’s when and the distinct_id, each failing on a row that had a user', async () => {
  await using database = await createTestDatabase()
  await database.query(`
    CREATE TABLE users (id int PRIMARY KEY, raw text, email text, zero int NOT NULL DEFAULT 1);
    INSERT INTO users VALUES (1, '{"id": "ada", "city": "Paris"}', 'one@example.com'), (2, '{"id": "bob"}', 'two@example.com'), (3, 'canary{', 'three@example.com')`)
  await using emulator = await startEmulator()
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
    config: {
      user: { distinct_id: { value: 'json(raw).id' }, when: '10 / zero > 0' },
      profile: {
        $email: { column: 'email', when: '10 / zero == 10' },
        city: { value: 'json(raw).city' },
        zero: 'zero',
      },
    },
  })
  const held = () =>
    Object.fromEntries(
      [...emulator.users()].map(([id, { channels, properties }]) => [id, { $email: channels.$email, ...properties }]),
    )
  const untilHeld = async (expected: object) => {
    await until(() => JSON.stringify(held()) === JSON.stringify(expected), { what: JSON.stringify(expected) })
  }
  await untilHeld({
    ada: { $email: ['one@example.com'], city: 'Paris', zero: 1 },
    bob: { $email: ['two@example.com'], zero: 1 },
  })
  // The id fails, and with it a value; the rest of the row is followed all the same.
  await database.query("UPDATE users SET raw = 'canary{', email = 'moved@example.com' WHERE id = 1")
  await untilHeld({ ada: { $email: ['moved@example.com'], zero: 1 }, bob: { $email: ['two@example.com'], zero: 1 } })
  // The user's when and a source's fail.
  await database.query('UPDATE users SET zero = 0 WHERE id = 2')
  await untilHeld({ ada: { $email: ['moved@example.com'], zero: 1 }, bob: { zero: 0 } })
  // What is known again counts, and who is gone goes.
  await database.query(`UPDATE users SET raw = '{"id": "eve"}' WHERE id = 1; DELETE FROM users WHERE id = 2`)
  await untilHeld({ eve: { $email: ['moved@example.com'], zero: 1 } })
  // Of the row that never had a user, nobody was made; no value stands anywhere.
  const rows = await database.query(
    'SELECT key, reasons FROM suprsync.source_row WHERE reasons IS NOT NULL ORDER BY key',
  )
  expect(rows).toMatchObject([
    { key: '3', reasons: expect.arrayContaining([expect.objectContaining({ code: 'invalid_distinct_id' })]) },
  ])
  expect(JSON.stringify([service.log(), rows])).not.toContain('canary')
})
