// Keys of some kilobytes, which fit the application's index and not ours: such rows are followed like any other.
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { CaptureHarness } from '../support/capture-harness.ts'
import { createTestDatabase } from '../support/database.ts'

/** Does not compress: a btree takes up to 2,704 bytes of it. */
function noise(seed: string, length: number): string {
  let text = ''
  for (let n = 0; text.length < length; n++) text += createHash('sha512').update(`${seed} ${n}`).digest('base64')
  return text.slice(0, length)
}

test('rows with long keys, and children that name a user by one, come and go', async () => {
  await using database = await createTestDatabase()
  await using harness = await CaptureHarness.create(database, {
    create: `
      CREATE TABLE users (id text PRIMARY KEY, code text NOT NULL, email text);
      CREATE TABLE devices (token text PRIMARY KEY, user_id text, address text)`,
    profile: { $email: 'email' },
    distinctId: 'code',
    children: [{ table: 'devices', user: ['user_id'], profile: { $inbox: 'address' } }],
  })
  const key = noise('user', 2_600)
  const [first, second] = [noise('device', 900), noise('device', 2_600)]
  expect(second.startsWith(first)).toBe(true)
  await using _session = await harness.start({ paging: true })
  await database.query('INSERT INTO users VALUES ($1, $2, $3)', [key, 'long', 'a@x.io'])
  await database.query("INSERT INTO devices VALUES ($1, $3, 'one'), ($2, $3, 'two'), ('x', $4, 'nobody')", [
    ...[first, second, key, noise('elsewhere', 6_000)],
  ])
  const user = (email: string, ...inbox: string[]) => ({ long: { $email: [email], $inbox: inbox } })
  await harness.untilDesired(user('a@x.io', 'one', 'two'))
  await database.query('DELETE FROM devices WHERE token = $1', [second])
  await database.query('UPDATE users SET email = $1', ['b@x.io'])
  await harness.untilDesired(user('b@x.io', 'one'))
  await database.query('DELETE FROM users')
  await harness.untilDesired({})
})
