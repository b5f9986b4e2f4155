// `suprsync plan` as it is run, against a real server and the emulator: what it says of each kind of user, that it masks what it
// says, and that it neither sends nor writes anything.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type Run, runCommand } from '../support/installation.ts'
import { makeState, seedProfiles } from '../support/seeded-state.ts'

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly plan: (...args: readonly string[]) => Promise<Run>
  readonly planJson: (...args: readonly string[]) => Promise<readonly JsonObject[]>
}

const TABLES = `
  CREATE TABLE users (id int PRIMARY KEY, email text, name text, deleted_at timestamptz);
  CREATE TABLE devices (id int PRIMARY KEY, user_id int, token text)`

async function world(run: (world: World) => Promise<void>, user: object = {}): Promise<void> {
  await using database = await createTestDatabase()
  await using emulator = await startEmulator()
  const directory = await mkdtemp(join(tmpdir(), 'suprsync-plan-'))
  try {
    await database.query(TABLES)
    const file = join(directory, 'plan.json')
    const config = {
      version: 1,
      source: { url: database.url, table: 'users', slot: database.slot },
      suprsend: { api_key: 'key', base_url: emulator.url, max_requests_per_second: 'off' },
      user: { distinct_id: 'id', when: 'deleted_at == null', ...user },
      profile: { $email: 'email', name: 'name' },
      children: [{ table: 'devices', user: 'user_id', profile: { $androidpush: 'token' } }],
    }
    await writeFile(file, JSON.stringify(config))
    const plan = (...args: readonly string[]) => runCommand(['plan', '--config', file, ...args])
    const planJson = async (...args: readonly string[]) => {
      const { stdout, stderr } = await plan(...args, '--json')
      expect(stderr).toBe('')
      return stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as JsonObject)
    }
    await run({ database, emulator, plan, planJson })
    // Whatever was planned: nothing but GETs came, and what the test itself has told.
    const sent = Object.entries(emulator.stats().calls).filter(([method]) => method !== 'GET')
    const told = sent.filter(([method]) => method === 'POST').flatMap(([, by]) => Object.values(by))
    expect(sent.every(([method]) => method === 'POST')).toBe(true)
    expect(told.reduce((a, b) => a + b, 0)).toBe(tellings.get(emulator) ?? 0)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const tellings = new WeakMap<Emulator, number>()

async function tell(emulator: Emulator, id: string, body: object): Promise<void> {
  const response = await fetch(`${emulator.url}/v1/user/${id}/`, {
    method: 'POST',
    headers: { authorization: 'Bearer key', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  expect(response.status).toBe(201)
  tellings.set(emulator, (tellings.get(emulator) ?? 0) + 1)
}

test('before the first start: who would be created, updated, left as is, and which values are left out', () =>
  world(async ({ database, emulator, planJson, plan }) => {
    await database.query(`
      INSERT INTO users VALUES (1, 'new@example.com', 'Canary One'), (2, 'same@example.com', 'Two'), (3, 'changed@example.com', 'Three'), (4, 'nobody', 'Four');
      INSERT INTO users VALUES (5, 'gone@example.com', 'Five', now());
      INSERT INTO devices VALUES (10, 1, 'canary-token'), (11, 9, 'of nobody')`)
    await tell(emulator, '2', { $email: ['same@example.com'], name: 'Two' })
    await tell(emulator, '3', { $email: ['other@example.com'], name: 'Three' })
    const lines = await planJson()
    const action = (id: string) => lines.find((line) => line.id === id)?.action
    expect(['1', '2', '3', '4'].map(action)).toEqual(['create', 'unchanged', 'update', 'create'])
    expect(JSON.stringify(lines.find((line) => line.id === '4'))).toContain('invalid_email')
    expect(JSON.stringify(lines)).not.toMatch(/[Cc]anary/)
    expect(JSON.stringify(lines.at(-1))).toContain('"create":2')

    const masked = await plan()
    expect(masked.code).toBe(0)
    expect(masked.stdout).not.toMatch(/[Cc]anary|new@example|changed@example/)
    const shown = await plan('--user', '1', '--show-values')
    expect(shown.stdout).toContain('canary-token')
    expect(shown.stdout).toContain('new@example.com')
    expect((await plan('--exit-code')).code).toBe(1)
    expect((await plan('--user', '2', '--exit-code')).code).toBe(0)
    // No state was needed, and none was made.
    expect(await database.query("SELECT 1 FROM pg_namespace WHERE nspname = 'suprsync'")).toEqual([])
  }))

test('with a state: from what was sent; --all finds users whose row is gone', () =>
  world(async ({ database, emulator, planJson }) => {
    await tell(emulator, '77', { name: 'x' })
    await database.query("INSERT INTO users VALUES (1, 'new@example.com', 'One')")
    await (await makeState(database)).destroy()
    await seedProfiles(database, [{ id: '1', desired: { channels: { $email: ['old@example.com'] }, properties: {} } }])
    await database.query("UPDATE suprsync.profile SET sending = '[]'")
    await seedProfiles(database, [{ id: '77', desired: { channels: {}, properties: { name: 'x' } } }])
    await database.query("UPDATE suprsync.profile SET sending = '[]'")
    const stateNow = () =>
      Promise.all(
        ['profile', 'source_row', 'checkpoint', 'backfill', 'mapped_table'].map((table) =>
          database.query(`SELECT * FROM suprsync.${table} t ORDER BY t::text`),
        ),
      )
    const before = await stateNow()
    const lines = await planJson('--all')
    expect(lines.find((line) => line.id === '77')).toMatchObject({ action: 'delete' })
    expect(JSON.stringify(lines.at(-1))).toContain('"delete":1')
    expect(await stateNow()).toEqual(before)
  }))

const SENT = { channels: { $email: ['gone@example.com'] }, properties: { name: 'Gone' } }

test.each([
  ['delete', 'delete', [{ method: 'DELETE' }]],
  ['clear', 'update', [{ method: 'PATCH' }]],
  ['keep', 'unchanged', []],
] as const)('a user who was sent, and whose when turned false: on_delete %s', (on_delete, action, requests) =>
  world(
    async ({ database, emulator, planJson }) => {
      await tell(emulator, '1', { $email: ['gone@example.com'], name: 'Gone' })
      await database.query("INSERT INTO users VALUES (1, 'gone@example.com', 'Gone', now())")
      await (await makeState(database)).destroy()
      await seedProfiles(database, [{ id: '1', desired: SENT }])
      await database.query("UPDATE suprsync.profile SET sending = '[]'")
      const [user] = await planJson()
      expect(user).toMatchObject({ id: '1', action, requests })
    },
    { on_delete },
  ),
)

test('rows that share a distinct_id: the lowest key is planned, also where pages part them, the others are told', () =>
  world(
    async ({ database, plan, planJson }) => {
      await database.query(`
        INSERT INTO users SELECT n, 'u' || n || '@example.com', 'own ' || n FROM generate_series(1, 60) n;
        UPDATE users SET name = 'shared' WHERE id IN (3, 5, 58)`)
      const lines = await planJson('--all')
      const shared = lines.filter((line) => line.id === 'shared')
      expect(shared.map(({ type, row }) => [type, row])).toEqual([
        ['user', '3'],
        ['row', '58'],
      ])
      expect(shared[0]).toMatchObject({ action: 'create', duplicates: ['5'] })
      expect(lines.at(-1)).toMatchObject({ type: 'summary', rows: 60, users: { create: 58 }, duplicates: 2 })
      const one = await plan('--user', 'shared', '--show-values')
      expect(one.stdout).toContain('u3@example.com')
      expect(one.stdout).not.toContain('u58@example.com')
    },
    { distinct_id: 'name' },
  ))

test('mistakes: no such user, options that exclude one another, SuprSend away', () =>
  world(async ({ database, emulator, plan }) => {
    expect(await plan('--user', '404')).toMatchObject({ code: 1, stderr: expect.stringContaining('user_unknown') })
    expect((await plan('--all', '--limit', '3')).code).toBe(2)
    expect((await plan('--limit', '0')).code).toBe(2)
    await database.query("INSERT INTO users VALUES (1, 'a@example.com', 'A')")
    await emulator.destroy()
    const away = await plan()
    expect(away.code).toBe(1)
    expect(away.stderr).toMatch(/cannot be compared/)
  }))

test('an object of a row whose members are named by addresses shows none of them', async () => {
  await using database = await createTestDatabase()
  await using emulator = await startEmulator()
  const directory = await mkdtemp(join(tmpdir(), 'suprsync-plan-'))
  try {
    await database.query('CREATE TABLE users (id int PRIMARY KEY, contacts jsonb)')
    await database.query(
      `INSERT INTO users VALUES (1, '{"canary@example.com": "friend", "+447911123423": 1, "plan": 2}')`,
    )
    const file = join(directory, 'plan.json')
    const config = {
      version: 1,
      source: { url: database.url, table: 'users', slot: database.slot },
      suprsend: { api_key: 'key', base_url: emulator.url },
      user: { distinct_id: 'id' },
      properties: { from: 'contacts' },
    }
    await writeFile(file, JSON.stringify(config))
    for (const args of [[], ['--json'], ['--user', '1']]) {
      const { code, stdout } = await runCommand(['plan', '--config', file, ...args])
      expect(code).toBe(0)
      expect(stdout).toContain('plan')
      expect(stdout).not.toMatch(/canary|7911123/)
    }
    const shown = await runCommand(['plan', '--config', file, '--show-values'])
    expect(shown.stdout).toContain('canary@example.com')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
