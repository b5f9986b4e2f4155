// P6, P7: values that cannot be stored, sent or held in memory at once, in a users row, in a column that an update leaves as it is,
// and in the rows of a child table, with the state elsewhere. Each is left out alone, with its reason; the rest of the same profile
// goes, and so does everybody else.
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const deep = (n: number) => '['.repeat(n) + ']'.repeat(n)

/** Of one user each: what is set, as SQL, and the reason that is to be given, if any. */
const POISON: readonly { readonly id: string; readonly set: string; readonly reason: string | null }[] = [
  { id: '9 MB', set: "settings = jsonb_build_object('a', repeat('x', 9000000))", reason: 'value_too_large' },
  {
    id: '10,000 tokens',
    set: "tokens = (SELECT jsonb_agg('token-' || n || repeat('t', 150)) FROM generate_series(1, 10000) n)",
    reason: 'too_many_values',
  },
  { id: 'NUL', set: `raw = '{"note":"a\\u0000b"}'`, reason: 'invalid_text' },
  { id: 'half a pair', set: `raw = '{"note":"\\ud800"}'`, reason: 'invalid_text' },
  { id: 'half a pair as a key', set: `raw = '{"\\udc00":1,"note":"ok"}'`, reason: 'invalid_text' },
  { id: 'deep', set: `raw = '${deep(20_000)}'`, reason: 'invalid_text' },
  {
    id: 'a token with half a pair',
    set: `slack = '{"email":"a@x.io","access_token":"xoxb-\\ud800"}'`,
    reason: 'invalid_text',
  },
  { id: 'a deep object', set: `slack = '{"user_id":"U1","access_token":${deep(20_000)}}'`, reason: 'invalid_text' },
  { id: 'odd keys', set: `raw = '{"__proto__":{"a":1},"constructor":"c","note":"n"}'`, reason: null },
  { id: 'numbers', set: `raw = '[9007199254740993, 1e400, -0, 1e-400]'`, reason: null },
  { id: 'empty', set: `raw = '""', settings = '{}', tokens = '[""]'`, reason: 'invalid_androidpush' },
  { id: 'a/../b?x=1#y %2F 🦊', set: "name = E'\\x01\\x7f'", reason: null },
]

interface World {
  readonly database: TestDatabase
  readonly state: TestDatabase
  readonly emulator: Emulator
  readonly service: Service
}

test('each is left out alone: its user goes on without it, and everybody else goes on', async () => {
  await using database = await createTestDatabase()
  await using state = await createTestDatabase()
  await database.query(`
    CREATE TABLE users (id text PRIMARY KEY, email text, name text, settings jsonb, raw json, tokens jsonb, slack json);
    CREATE TABLE devices (id bigint PRIMARY KEY, user_id text NOT NULL, token text)`)
  for (const { id } of POISON) await database.query("INSERT INTO users VALUES ($1, 'first@example.com', 'first')", [id])
  await database.query("INSERT INTO users VALUES ('healthy', 'first@example.com', 'first')")
  await using emulator = await startEmulator()
  await using service = await startService({
    ...{ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot },
    config: {
      state: { url: state.url },
      profile: {
        ...{ $email: 'email', $androidpush: 'tokens', $slack: { column: 'slack' } },
        ...{ name: 'name', settings: 'settings', raw: 'raw', note: { value: 'raw.note' } },
      },
      children: [{ table: 'devices', user: 'user_id', profile: { $iospush: 'token' } }],
    },
  })
  const world = { database, state, emulator, service }
  await service.waitStreaming()
  await everybodyHas(world, 'first')

  for (const { id, set } of POISON)
    await database.query(`UPDATE users SET email = 'second@example.com', ${set} WHERE id = $1`, [id])
  await database.query(`
    INSERT INTO devices SELECT n, 'healthy', 'device-' || n FROM generate_series(1, 30000) n;
    UPDATE users SET email = 'second@example.com' WHERE id = 'healthy'`)
  await everybodyHas(world, 'second')
  const reasons = await state.query<{ distinct_id: string; codes: string }>(
    "SELECT distinct_id, reasons::text AS codes FROM suprsync.profile WHERE reasons <> '[]'",
  )
  const codes = new Map(reasons.map((row) => [row.distinct_id, row.codes]))
  expect(codes.get('healthy')).toContain('too_many_rows')
  for (const { id, reason } of POISON) expect(`${id}: ${codes.get(id)}`).toContain(reason ?? 'undefined')

  // What was too large is now in a column that the update leaves as it is.
  await database.query("UPDATE users SET email = 'third@example.com'")
  await everybodyHas(world, 'third')
  expect(await service.rssBytes()).toBeLessThan(600_000_000)
  await database.query(
    "UPDATE users SET email = 'fourth@example.com', settings = '{\"ok\":1}', raw = NULL, tokens = NULL, slack = NULL",
  )
  await everybodyHas(world, 'fourth')
  for (const { id } of POISON) expect(emulator.users().get(id)?.properties.settings).toEqual({ ok: 1 })
  expect(
    await state.query(
      "SELECT FROM suprsync.profile WHERE failure IS NOT NULL OR (reasons <> '[]' AND distinct_id <> 'healthy')",
    ),
  ).toEqual([])
  expect(service.log().filter(({ level }) => level === 'error')).toEqual([])
})

async function everybodyHas({ state, emulator }: World, name: string): Promise<void> {
  const ids = [...POISON.map(({ id }) => id), 'healthy']
  const lacking = () =>
    ids.filter((id) => JSON.stringify(emulator.users().get(id)?.channels.$email) !== `["${name}@example.com"]`)
  await until(() => lacking().length === 0, { what: `everybody to have the ${name} address`, timeoutMs: 30_000 })
  const due = async () => (await state.query('SELECT FROM suprsync.profile WHERE due_at IS NOT NULL')).length
  await until(async () => (await due()) === 0, { what: 'nothing to be left to do', timeoutMs: 20_000 })
}
