// `suprsync reconcile` as it is run, against a real server, the emulator and a state that the service itself has made: what it calls
// each kind of difference, what it leaves alone, that it shows no value, and that what it marks the service mends.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { JsonObject } from '../../src/core/json.ts'
import { type Emulator, type EmulatorOptions, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type Run, runCommand } from '../support/installation.ts'
import { expectConverged } from '../support/oracle.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const { TOKEN } = vi.hoisted(() => {
  const TOKEN = 'xoxb-canary'
  process.env.RECONCILE_TOKEN = TOKEN // commands run with the environment as it is when their support is loaded
  return { TOKEN }
})

interface World {
  readonly database: TestDatabase
  readonly emulator: Emulator
  readonly reconcile: (...args: readonly string[]) => Promise<Run>
  /** One document a line; the last is the summary. */
  readonly json: (...args: readonly string[]) => Promise<Result>
  readonly start: (more?: JsonObject) => Promise<Service>
  /** A service that has sent everybody and is gone again. */
  readonly settle: () => Promise<void>
  readonly api: (method: string, id: string | number, body?: object) => Promise<void>
  readonly edit: (id: string | number, ...operations: readonly object[]) => Promise<void>
}

interface Result {
  readonly users: ReadonlyMap<string, JsonObject>
  readonly summary: JsonObject
  readonly run: Run
}

interface Options {
  readonly users?: number
  readonly config?: JsonObject
  readonly reading?: EmulatorOptions
  /** Before anything runs. */
  readonly before?: string
}

const PROFILE = { $email: 'email', $sms: { column: 'phone', exclusive: true }, name: 'name', version: 'version' }

async function world(
  { users = 12, config = {}, reading = {}, before }: Options,
  work: (world: World) => Promise<void>,
): Promise<void> {
  await using database = await createTestDatabase()
  await using emulator = await startEmulator(reading)
  const directory = await mkdtemp(join(tmpdir(), 'suprsync-reconcile-'))
  try {
    await createUsersTable(database)
    await insertUsers(database, users)
    if (before !== undefined) await database.query(before)
    const file = join(directory, 'suprsync.json')
    const { suprsend = {}, ...rest } = config
    const shared = { profile: PROFILE, ...rest, suprsend }
    const whole = {
      version: 1,
      source: { url: database.url, table: 'public.users', slot: database.slot },
      user: { distinct_id: 'id' },
      ...shared,
      suprsend: { api_key: 'test', base_url: emulator.url, max_requests_per_second: 'off', ...Object(suprsend) },
    }
    await writeFile(file, JSON.stringify(whole))
    const start = (more: JsonObject = {}) =>
      startService({
        databaseUrl: database.url,
        emulatorUrl: emulator.url,
        slot: database.slot,
        config: { ...shared, ...more },
        env: { RECONCILE_TOKEN: TOKEN },
      })
    const reconcile = (...args: readonly string[]) => runCommand(['reconcile', '--config', file, ...args])
    const api = async (method: string, id: string | number, body?: object) => {
      const response = await fetch(`${emulator.url}/v1/user/${id}/`, {
        method,
        headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      })
      expect(response.ok).toBe(true)
    }
    await work({
      database,
      emulator,
      reconcile,
      start,
      json: async (...args) => {
        const run = await reconcile(...args, '--json')
        expect(run.stderr).toBe('')
        const lines = run.stdout.trim().split('\n')
        const documents = lines.map((line) => JSON.parse(line) as JsonObject)
        const summary = documents.pop() ?? {}
        return { users: new Map(documents.map((each) => [String(each.id), each])), summary, run }
      },
      settle: async () => {
        await using service = await start()
        await service.waitStreaming()
        await expectConverged({ database, emulator, config: service.config })
        expect((await service.stop()).code).toBe(0)
      },
      api,
      edit: (id, ...operations) => api('PATCH', id, { operations }),
    })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function settledUsers(database: TestDatabase, count: number): Promise<void> {
  const settled = 'SELECT FROM suprsync.profile WHERE synced IS NOT NULL AND due_at IS NULL'
  await until(async () => (await database.query(settled)).length === count, { what: `${count} users to be settled` })
}

const RESULT = { type: 'user', different: [], extra: [], stale: false, repaired: false, failure: null }

test('each kind of difference, and what is none; keys and never a value', () =>
  world({}, async ({ database, emulator, reconcile, json, settle, api, edit }) => {
    await settle()
    await api('DELETE', 2)
    await edit(3, { $remove: { $email: 'u3@example.com' } }, { $append: { $email: 'canary@example.com' } })
    await edit(4, { $set: { name: 'canary' } }, { $unset: ['version'] })
    // Others' values: left alone, unless the channel is exclusive.
    await edit(5, { $append: { $email: 'canary@example.com' } }, { $set: { canary: 'canary' } })
    await edit(6, { $append: { $sms: '+919999999999' } })
    await edit(7, { $append: { $sms: '+919999999999' } }, { $set: { name: 'canary' } })
    // Back to what it was, and respelt.
    await edit(8, { $remove: { $email: 'u8@example.com' } }, { $append: { $email: 'U8@Example.com' } })
    await database.query("UPDATE users SET name = 'canary', version = nextval('user_version') WHERE id = 9")
    await database.query("INSERT INTO users (id, email) VALUES (100, 'canary@example.com')")
    await database.query(
      `UPDATE suprsync.profile SET due_at = now() + interval '1 hour' WHERE distinct_id = '10';
       UPDATE suprsync.profile SET failure = '{"code": "invalid_value"}' WHERE distinct_id = '11'`,
    )
    await api('DELETE', 10)
    await api('DELETE', 11)
    const stateBefore = await database.query('SELECT * FROM suprsync.profile ORDER BY distinct_id')

    const { users, summary, run } = await json('--all')
    expect(run).toMatchObject({ code: 0, stderr: '' })
    const user = (id: string, more: object) => expect(users.get(id), id).toEqual({ ...RESULT, id, row: id, ...more })
    for (const id of ['1', '5', '8', '12']) user(id, { result: 'same' })
    user('2', { result: 'missing' })
    user('3', { result: 'different', different: ['$email'] })
    user('4', { result: 'different', different: ['name', 'version'] })
    user('6', { result: 'extra', extra: ['$sms'] })
    user('7', { result: 'different', different: ['name'], extra: ['$sms'] })
    user('9', { result: 'not_captured' })
    user('10', { result: 'pending' })
    user('11', { result: 'set_aside' })
    user('100', { result: 'unknown' })
    expect(summary).toEqual({
      type: 'summary',
      users: {
        ...{ same: 4, missing: 1, extra: 1, different: 3, pending: 1 },
        ...{ not_captured: 1, set_aside: 1, kept: 0, unknown: 1, not_compared: 0 },
      },
      keys: expect.arrayContaining([
        { key: 'name', kind: 'different', count: 2 },
        { key: '$sms', kind: 'extra', count: 2 },
        { key: '$email', kind: 'different', count: 1 },
      ]),
      failures: [],
      repaired: 0,
      service_running: false,
    })

    const text = await reconcile('--all')
    expect(text).toMatchObject({ code: 0, stderr: '' })
    expect(text.stdout).toContain('2  missing: SuprSend does not have the user\n')
    expect(text.stdout).toContain('7  different: name; extra: $sms\n')
    expect(text.stdout).toContain('9 users compared: 4 same, 1 missing, 1 extra, 3 different.\n')
    expect(text.stdout).toContain('not compared: 2 pending, 1 set aside, 1 not known to the service yet\n')
    for (const { stdout } of [run, text]) expect(stdout).not.toMatch(/canary|example\.com|\+91|User /i)
    expect((await reconcile('--all', '--exit-code')).code).toBe(1)
    expect((await reconcile('--user', '1', '--exit-code')).code).toBe(0)
    expect((await reconcile('--user', '9')).stdout).toContain('9  pending: the service has not got the row')
    // Nothing was sent by it, and nothing was written.
    expect(await database.query('SELECT * FROM suprsync.profile ORDER BY distinct_id')).toEqual(stateBefore)
    expect(emulator.stats().calls.PATCH).toEqual({ 202: 6 })
  }))

test('a user whose row is gone and who is there again; deleted users who are kept', () =>
  world({ users: 3 }, async ({ database, emulator, reconcile, json, start, api }) => {
    await using service = await start()
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    await database.query('DELETE FROM users WHERE id IN (1, 2)')
    await until(() => emulator.users().size === 1, { what: 'the deletes to arrive' })
    await until(
      async () =>
        (await database.query("SELECT FROM suprsync.profile WHERE gone AND due_at IS NULL AND sending = '[]'"))
          .length === 2,
      { what: 'both to be recorded' },
    )
    expect((await service.stop()).code).toBe(0)
    // As a request does that was on its way for longer than anybody waited.
    await api('POST', 1, { name: 'back' })
    const { users, summary } = await json('--all', '--repair')
    expect(users.get('1')).toEqual({ ...RESULT, id: '1', row: null, result: 'extra', repaired: true })
    expect(users.get('2')).toEqual({ ...RESULT, id: '2', row: null, result: 'same' })
    expect(summary).toMatchObject({ repaired: 1, service_running: false })
    expect((await reconcile('--user', '1')).stdout).toContain('1  pending: waits to be sent')
    await using again = await start()
    await expectConverged({ database, emulator, config: again.config })
    expect([...emulator.users().keys()]).toEqual(['3'])
  }))

test('on_delete keep: what was sent of a user whose row is gone stays, and is no difference', () =>
  world({ users: 2, config: { user: { distinct_id: 'id', on_delete: 'keep' } } }, async ({ database, start, json }) => {
    await using service = await start()
    await service.waitStreaming()
    const settled = (gone: number) =>
      until(
        async () =>
          (await database.query('SELECT FROM suprsync.profile WHERE due_at IS NULL AND synced IS NOT NULL')).length ===
            2 && (await database.query('SELECT FROM suprsync.profile WHERE gone')).length === gone,
        { what: 'both to be settled' },
      )
    await settled(0)
    await database.query('DELETE FROM users WHERE id = 1')
    await settled(1)
    const { users, summary } = await json('--all')
    expect(users.get('1')).toMatchObject({ result: 'kept' })
    expect(summary).toMatchObject({ service_running: true, users: { same: 1, kept: 1 } })
  }))

describe.each([
  { postReading: 'append', patchMissing: 'create' },
  { postReading: 'append', patchMissing: 'not_found' },
  { postReading: 'replace', patchMissing: 'create' },
  { postReading: 'replace', patchMissing: 'not_found' },
] as const)('--repair, POST $postReading, PATCH on a missing user $patchMissing', (reading) => {
  test.each(['upsert', 'edit'] as const)('has the running service mend every kind, first contact %s', (first) =>
    world(
      {
        users: 30,
        reading,
        config: { suprsend: { first_contact: first } },
      },
      async ({ database, emulator, json, start, api, edit, reconcile }) => {
        await using service = await start()
        await service.waitStreaming()
        await expectConverged({ database, emulator, config: service.config })
        for (const id of [1, 2]) await api('DELETE', id)
        for (const id of [3, 4]) {
          await edit(id, { $remove: { $email: `u${id}@example.com` } }, { $unset: ['name'] })
        }
        for (const id of [5, 6]) await edit(id, { $append: { $sms: '+919999999999' } })
        await api('DELETE', 7)
        await api('POST', 7, { $sms: ['+919999999998'], name: 'other' })
        const { summary, run } = await json('--all', '--repair', '--exit-code')
        expect(run.code).toBe(1)
        expect(summary).toMatchObject({
          users: { same: 23, missing: 2, extra: 2, different: 3 },
          repaired: 7,
          service_running: true,
        })
        await expectConverged({ database, emulator, config: service.config })
        const after = await reconcile('--all', '--exit-code')
        expect(after).toMatchObject({ code: 0, stdout: expect.stringContaining('30 users compared: 30 same,') })
        expect(emulator.stats().concurrencyViolations.count).toBe(0)
      },
    ),
  )
})

test('a bare user with a stranger in an exclusive channel is mended too', () =>
  world({ users: 1, config: { profile: PROFILE_OF_SMS } }, async ({ database, emulator, json, start, edit }) => {
    await database.query('UPDATE users SET phone = NULL')
    await using service = await start()
    await service.waitStreaming()
    await until(() => emulator.users().size === 1, { what: 'the user' })
    await edit(1, { $append: { $sms: '+919999999999' } })
    await until(async () => (await json('--all', '--repair')).summary.repaired === 1, { what: 'the repair' })
    await until(() => emulator.users().get('1')?.channels.$sms === undefined, { what: 'the stranger to be gone' })
    await expectConverged({ database, emulator, config: service.config })
  }))

const PROFILE_OF_SMS = { $sms: { column: 'phone', exclusive: true } }

// biome-ignore lint/suspicious/noTemplateCurlyInString: the file's own syntax
const TOKEN_SOURCE = { const: '${RECONCILE_TOKEN}' }

test('child rows, whole objects and secrets: the table makes of them what the state has', () =>
  world(
    {
      users: 20,
      config: {
        profile: { $email: 'email', $slack: { email: 'email', access_token: TOKEN_SOURCE } },
        properties: { from: 'attributes' },
        children: [
          {
            table: 'devices',
            user: 'user_id',
            when: 'token != "off"',
            profile: { $androidpush: 'token', $sms: 'phone' },
          },
        ],
      },
      before: `
        ALTER TABLE users ADD attributes jsonb;
        UPDATE users SET attributes = jsonb_build_object('canary' || id, id, 'plan', 'pro');
        CREATE TABLE devices (id int PRIMARY KEY, user_id bigint, token text, phone text);
        INSERT INTO devices SELECT n, 1 + n % 20, CASE n % 5 WHEN 0 THEN 'off' ELSE 'token-' || n % 30 END, CASE n % 3 WHEN 0 THEN 'none' ELSE '+91980000000' || n % 7 END
        FROM generate_series(1, 100) n`,
    },
    async ({ database, json, start, edit }) => {
      await using service = await start()
      await service.waitStreaming()
      // The oracle does not know what stands behind a reference to a secret.
      await settledUsers(database, 20)
      const { summary } = await json('--all')
      expect(summary).toMatchObject({ users: { same: 20 } })
      await edit(1, { $remove: { $slack: { email: 'u1@example.com', access_token: TOKEN } } })
      await edit(2, { $unset: ['canary2'] })
      await edit(3, { $unset: ['plan'] }, { $remove: { $androidpush: 'token-2', $id_provider: 'fcm' } })
      const { users, run } = await json('--all')
      expect(users.get('1')).toMatchObject({ result: 'different', different: ['$slack'] })
      // Neither name is in the file.
      expect(users.get('2')).toMatchObject({ result: 'different', different: ['properties'] })
      expect(users.get('3')).toMatchObject({ result: 'different', different: ['$androidpush', 'properties'] })
      expect(run.stdout).not.toMatch(/canary|xoxb/)
    },
  ))

test('while an application edits its users nobody is called different, and those on their way are not touched', () =>
  world({ users: 200 }, async ({ database, emulator, json, start }) => {
    await using service = await start()
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    let going = true
    const editing = (async () => {
      for (let n = 0; going; n += 1) {
        await database.query(
          "UPDATE users SET email = 'e' || $1 || '.' || id || '@example.com', version = nextval('user_version') WHERE id % 7 = $1 % 7",
          [n],
        )
      }
    })()
    try {
      for (let n = 0; n < 3; n += 1) {
        const { summary, run } = await json('--all', '--repair')
        expect(run.code).toBe(0)
        expect(summary).toMatchObject({ repaired: 0, users: { missing: 0, extra: 0, different: 0, not_compared: 0 } })
      }
    } finally {
      going = false
      await editing
    }
    await expectConverged({ database, emulator, config: service.config })
  }))

test('a user who was sent and whom no row holds, of which the state never heard: said, and not repaired by sending', () =>
  world({ users: 2 }, async ({ database, emulator, json, reconcile, start, api }) => {
    await using service = await start()
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    await api('POST', 77, { name: 'x' })
    await database.query(
      `INSERT INTO suprsync.profile (distinct_id, bucket, desired, desired_hash, synced, synced_hash, changed_at, change_lsn)
       SELECT '77', 0, '{"channels": {}, "properties": {"name": "x"}}', 'h', '{"channels": {}, "properties": {"name": "x"}}', 'h', now(), '0/1'`,
    )
    const { users, summary } = await json('--all', '--repair')
    expect(users.get('77')).toEqual({ ...RESULT, id: '77', row: null, result: 'extra', stale: true })
    expect(summary).toMatchObject({ repaired: 0, users: { same: 2, extra: 1 } })
    expect((await reconcile('--user', '77')).stdout).toContain('the state has the row otherwise')
  }))

describe('--sample', () => {
  test('draws so many different users, or all there are', () =>
    world({ users: 40 }, async ({ json, settle, api }) => {
      await settle()
      for (let id = 1; id <= 40; id += 1) await api('DELETE', id)
      const { users, summary } = await json('--sample', '15')
      expect(users.size).toBe(15)
      expect(summary).toMatchObject({ users: { missing: 15 } })
      expect((await json('--sample', '1000')).users.size).toBe(40)
      const other = await json('--sample', '15')
      expect([...other.users.keys()].sort()).not.toEqual([...users.keys()].sort())
    }))

  test('a row that does not speak for its id is not taken for its user', () =>
    world({ users: 40, config: { user: { distinct_id: { value: '"u" + string(version % 10)' } } } }, async (it) => {
      const { database, json, start } = it
      await using service = await start()
      await service.waitStreaming()
      await settledUsers(database, 10)
      const { users, summary } = await json('--sample', '40')
      expect(users.size).toBe(10)
      expect(summary).toMatchObject({ users: { same: 10 } })
      expect((await json('--all')).summary).toMatchObject({ users: { same: 10 } })
    }))
})

test('mistakes: nobody chosen, options that exclude one another, no state, no such user, SuprSend away', () =>
  world({ users: 2 }, async ({ database, emulator, reconcile, settle, json }) => {
    const nobody = await reconcile()
    expect(nobody.code).toBe(2)
    for (const option of ['--user', '--sample', '--all']) expect(nobody.stderr).toContain(option)
    expect((await reconcile('--all', '--sample', '3')).code).toBe(2)
    expect((await reconcile('--sample', '0')).code).toBe(2)
    expect(await reconcile('--all')).toMatchObject({ code: 1, stderr: expect.stringContaining('state_missing') })
    await settle()
    expect(await reconcile('--user', '404')).toMatchObject({ code: 1, stderr: expect.stringContaining('user_unknown') })
    emulator.addFault({ user: '1', method: 'GET', times: 100, action: { kind: 'status', status: 400 } })
    const { users, summary, run } = await json('--all')
    expect(run.code).toBe(1)
    expect(users.get('1')).toMatchObject({ result: 'not_compared', failure: { code: 'invalid_request' } })
    expect(summary).toMatchObject({
      users: { same: 1, not_compared: 1 },
      failures: [{ code: 'invalid_request', count: 1 }],
    })
    await emulator.destroy()
    expect(await reconcile('--all')).toMatchObject({ code: 1, stderr: expect.stringMatching(/cannot be compared/) })
    expect(await database.query('SELECT FROM suprsync.profile WHERE due_at IS NOT NULL')).toEqual([])
  }))

describe('the running service', () => {
  const SAMPLING = { reconcile: { users_per_hour: 36_000 } }
  const counted = async (service: Service) => {
    const metrics = await service.metrics()
    return (result: string) => metrics.get(`suprsync_reconcile_users_total{result="${result}"}`) ?? 0
  }

  test('finds and mends what others changed by itself; two processes share the looks, and mend once', () =>
    world({ users: 8 }, async ({ database, emulator, start, api, edit }) => {
      await using service = await start(SAMPLING)
      await service.waitStreaming()
      await expectConverged({ database, emulator, config: service.config })
      await using other = await start(SAMPLING)
      for (const each of [service, other])
        await until(async () => (await counted(each))('same') > 3, { what: 'users to be compared' })
      await api('DELETE', 1)
      await edit(2, { $set: { name: 'other' } })
      await edit(3, { $append: { $sms: '+919999999999' } })
      await expectConverged({ database, emulator, config: service.config })
      const results = [await counted(service), await counted(other)]
      const sum = (kind: string) => results.reduce((total, result) => total + result(kind), 0)
      expect(['missing', 'different', 'extra', 'failed'].map(sum)).toEqual([1, 1, 1, 0])
      const lines = [...service.log(), ...other.log()].filter(({ component }) => component === 'reconcile')
      expect(lines).toHaveLength(3)
      expect(JSON.stringify(lines)).not.toMatch(/other|\+91|example/)
    }))

  test('a look that is refused stops nobody, and counts as failed', () =>
    world({ users: 2 }, async ({ database, emulator, start }) => {
      await using service = await start(SAMPLING)
      await service.waitStreaming()
      await expectConverged({ database, emulator, config: service.config })
      emulator.addFault({ user: '1', method: 'GET', times: 1_000, action: { kind: 'status', status: 403 } })
      await until(async () => (await counted(service))('failed') > 1, { what: 'refused looks' })
      expect((await service.metrics()).get('suprsync_host_state{state="open"}')).toBe(1)
      await database.query("UPDATE users SET name = 'new', version = nextval('user_version')")
      await expectConverged({ database, emulator, config: service.config })
    }))

  test('stops within a second while SuprSend owes it an answer', () =>
    world({ users: 2 }, async ({ database, emulator, start }) => {
      await using service = await start(SAMPLING)
      await service.waitStreaming()
      await expectConverged({ database, emulator, config: service.config })
      for (const user of ['1', '2']) {
        emulator.addFault({ user, method: 'GET', times: 1_000, action: { kind: 'hold', apply: 'never' } })
      }
      await until(() => emulator.held > 0, { what: 'a look to be held' })
      const startedAt = performance.now()
      expect((await service.stop()).code).toBe(0)
      expect(performance.now() - startedAt).toBeLessThan(1_500)
    }))
})
