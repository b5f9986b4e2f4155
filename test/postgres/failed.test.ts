// `suprsync failed` as it is run: what it lists and never prints, whom it makes due again, and that a running service notices.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { listFailed, remedyAllFailed } from '../../src/state/failed-store.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { install, runCommand } from '../support/installation.ts'
import { CANARY, makeState, CANARY_PROFILE as PROFILE, seedProfiles, seedRows } from '../support/seeded-state.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const INVALID = { code: 'invalid_value', status: 400, key: '$email', message: 'SuprSend refused a value' }

let emulator: Emulator

beforeAll(async () => {
  emulator = await startEmulator()
})
afterAll(() => emulator.destroy())

const due = 'SELECT distinct_id AS id, lane, attempts, failure FROM suprsync.profile WHERE due_at <= now() ORDER BY 1'

async function withFailures(database: TestDatabase) {
  const db = await makeState(database)
  await db.destroy()
  await seedProfiles(database, [
    { id: 'b-user', desired: PROFILE, failure: INVALID, attempts: 3 },
    { id: 'a-user', desired: PROFILE, failure: INVALID, attempts: 1 },
    { id: 'large', desired: PROFILE, failure: { code: 'too_large', status: 413 }, attempts: 1 },
    {
      id: 'partly',
      desired: PROFILE,
      failure: { ...INVALID, code: 'z_partly', keys: ['$email', '$sms'] },
      attempts: 1,
    },
    { id: 'waiting', desired: PROFILE, failure: { code: 'server_error', status: 500 }, attempts: 2, due: true },
    { id: 'fine', desired: PROFILE },
  ])
  const reasons = [{ key: 'distinct_id', code: 'invalid_distinct_id', message: 'the distinct_id is empty' }]
  await seedRows(database, [
    { key: '7', id: 'fine', part: PROFILE },
    { key: '12', id: 'fine', part: PROFILE, duplicate: true },
    { key: '13', part: null, reasons },
    { key: '14', id: 'formerly', part: null },
    { key: '15', id: 'a-user', part: PROFILE, reasons: [{ key: '$sms', code: 'invalid_e164', message: 'no number' }] },
  ])
  return install({ database, suprsendUrl: emulator.url })
}

interface Listed {
  readonly failed: readonly { readonly id: string | null; readonly code: string }[]
  readonly more: boolean
}

describe('list', () => {
  test('names everybody who is set aside with the reason, and never a value', async () => {
    await using database = await createTestDatabase()
    await using installation = await withFailures(database)
    const json = await installation.run('failed', 'list', '--json')
    expect(json).toMatchObject({ code: 0, stderr: '' })
    const since = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    const invalid = { code: 'invalid_value', status: 400, key: '$email', keys: null, message: INVALID.message }
    const user = { row: null, ...invalid, since }
    const row = { status: null, key: null, keys: null, attempts: 0, since: null }
    expect(JSON.parse(json.stdout)).toEqual({
      more: false,
      failed: [
        { ...user, id: 'a-user', attempts: 1 },
        { ...user, id: 'b-user', attempts: 3 },
        { ...user, id: 'large', code: 'too_large', status: 413, key: null, message: '', attempts: 1 },
        { ...user, id: 'partly', code: 'z_partly', keys: ['$email', '$sms'], attempts: 1 },
        {
          ...row,
          id: 'fine',
          row: '12',
          code: 'duplicate_distinct_id',
          message: 'row 7 has the same distinct_id and goes before row 12',
        },
        { ...row, id: null, row: '13', code: 'invalid_distinct_id', message: expect.stringContaining('distinct_id') },
      ],
    })
    const text = await installation.run('failed') // `list` is what it does without another word
    expect(text).toMatchObject({ code: 0, stderr: '' })
    const lines = text.stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(7)
    expect(lines[0]).toMatch(/^id +code +http +aside +key +attempts +since +reason$/)
    expect(lines[1]).toMatch(/^a-user +invalid_value +400 +user +\$email +1 +\S+Z +SuprSend refused a value$/)
    expect(lines[4]).toMatch(/^partly +z_partly +400 +key +\$email, \$sms +1/)
    expect(lines[6]).toMatch(/^\(row 13\) +invalid_distinct_id +- +row +- +0 +- +the row has no usable distinct_id$/)
    expect(json.stdout + text.stdout).not.toContain(CANARY)
  })

  test('by code, and no more than asked for', async () => {
    await using database = await createTestDatabase()
    await using installation = await withFailures(database)
    const db = await makeState(database)
    try {
      const ids = async (code: string | null, limit = 10) =>
        (await listFailed(db, { code, limit })).map(({ distinctId }) => distinctId)
      expect(await ids('too_large')).toEqual(['large'])
      expect(await ids('duplicate_distinct_id')).toEqual(['fine'])
      expect(await ids('invalid_distinct_id')).toEqual([null])
      expect(await ids('server_error')).toEqual([]) // it is tried again, not set aside
      expect(await ids(null, 5)).toEqual(['a-user', 'b-user', 'large', 'partly', 'fine'])
      expect(await ids(null, 2)).toEqual(['a-user', 'b-user'])
    } finally {
      await db.destroy()
    }
    const first = await installation.run('failed', 'list', '--limit', '1', '--code', 'invalid_value')
    expect(first.stdout).toMatch(/^id .*\na-user .*\n… and more: --limit shows them\.\n$/)
    const all = await installation.run('failed', 'list', '--limit', '6', '--json')
    expect(JSON.parse(all.stdout)).toMatchObject({ failed: { length: 6 }, more: false })
    expect(await installation.run('failed', 'list', '--limit', '0')).toMatchObject({ code: 2, stdout: '' })
  })

  test('what could write to the terminal is spelt out; nobody is said so', async () => {
    await using database = await createTestDatabase()
    const db = await makeState(database)
    await db.destroy()
    await using installation = await install({ database, suprsendUrl: emulator.url })
    expect((await installation.run('failed')).stdout).toBe('Nobody is set aside.\n')
    await seedProfiles(database, [{ id: 'x\u001b[2Jy', failure: INVALID }])
    expect((await installation.run('failed')).stdout).toMatch(/^x\\u\{1b\}\[2Jy +invalid_value/m)
  })

  test('says when there is no state', async () => {
    await using database = await createTestDatabase()
    await using installation = await install({ database, suprsendUrl: emulator.url })
    for (const command of [['list'], ['retry', '--all']]) {
      const run = await installation.run('failed', ...command)
      expect(run).toMatchObject({ code: 1, stdout: '' })
      expect(run.stderr).toMatch(/^suprsync: state_missing: /)
    }
  })
})

describe('retry', () => {
  const again = { attempts: 0, failure: null }
  const waiting = { id: 'waiting', lane: 0, attempts: 2, failure: { code: 'server_error', status: 500 } }

  test('of users by id: before everything else, all or none', async () => {
    await using database = await createTestDatabase()
    await using installation = await withFailures(database)
    const unknown = await installation.run('failed', 'retry', 'a-user', 'nobody', 'fine', 'waiting')
    expect(unknown).toMatchObject({ code: 1, stdout: '' })
    expect(unknown.stderr).toMatch(
      /^suprsync: user_not_failed: Not set aside: "nobody" \(unknown\), "fine" \(in step with SuprSend\), "waiting" \(waits to be sent\); nothing was changed\.\nnext: /,
    )
    expect(await database.query(due)).toEqual([waiting])
    const run = await installation.run('failed', 'retry', 'a-user', 'large', 'a-user')
    expect(run).toEqual({
      code: 0,
      stderr: '',
      stdout: '2 users are due again; no service is running: they are sent when it starts.\n',
    })
    expect(await database.query(due)).toEqual([
      { id: 'a-user', lane: 0, ...again },
      { id: 'large', lane: 0, ...again },
      waiting,
    ])
  })

  test('of a code or of all: behind live edits', async () => {
    await using database = await createTestDatabase()
    await using installation = await withFailures(database)
    const byCode = await installation.run('failed', 'retry', '--code', 'invalid_value', '--json')
    expect(JSON.parse(byCode.stdout)).toEqual({ retried: 2, service_running: false })
    const bulk = ['a-user', 'b-user'].map((id) => ({ id, lane: 1, ...again }))
    expect(await database.query(due)).toEqual([...bulk, waiting])
    expect(JSON.parse((await installation.run('failed', 'retry', '--all', '--json')).stdout)).toMatchObject({
      retried: 2,
    })
    const all = [...bulk, ...['large', 'partly'].map((id) => ({ id, lane: 1, ...again })), waiting]
    expect(await database.query(due)).toEqual(all)
    expect((await installation.run('failed', 'retry', '--all')).stdout).toMatch(/nothing to send again/)
  })

  test('of rows: says that no request would mend them', async () => {
    await using database = await createTestDatabase()
    await using installation = await withFailures(database)
    const run = await installation.run('failed', 'retry', '--code', 'duplicate_distinct_id')
    expect(run).toMatchObject({ code: 1, stdout: '' })
    expect(run.stderr).toMatch(/^suprsync: row_not_retriable: .*\nnext: Give each user a distinct_id of its own/)
  })

  test.each([
    ['nobody', []],
    ['an id and all', ['a-user', '--all']],
    ['a code and all', ['--code', 'too_large', '--all']],
  ])('choosing %s is wrong usage', async (_name, choice) => {
    // Not even the configuration is looked at.
    const run = await runCommand(['failed', 'retry', ...choice])
    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr).toMatch(/^suprsync: usage_invalid: /)
  })

  test('of more than one bite: everybody once, of each code', async () => {
    await using database = await createTestDatabase()
    const db = await makeState(database)
    try {
      await database.query(
        `INSERT INTO suprsync.profile (distinct_id, bucket, changed_at, failure, attempts, change_lsn)
         SELECT n::text, 0, now(), jsonb_build_object('code', (ARRAY['too_large', 'not_found', 'invalid_value'])[n % 3 + 1]), 4, '0/1'
         FROM generate_series(1, 5000) n`,
      )
      expect(await remedyAllFailed(db, 'retry', 'too_large')).toBe(1666)
      expect(await remedyAllFailed(db, 'retry', null)).toBe(3334)
      expect(await remedyAllFailed(db, 'retry', null)).toBe(0)
      const [left] = await database.query(
        'SELECT count(*)::int FROM suprsync.profile WHERE due_at IS NULL OR attempts > 0',
      )
      expect(left).toEqual({ count: 0 })
    } finally {
      await db.destroy()
    }
  })
})

describe('drop', () => {
  test('by id, code or all: nobody is due, and nobody is listed any more', async () => {
    await using database = await createTestDatabase()
    await using installation = await withFailures(database)
    const ids = async () => JSON.parse((await installation.run('failed', 'list', '--json')).stdout).failed.length
    // Nobody is here to be asked.
    const unasked = await installation.run('failed', 'drop', '--all')
    expect(unasked).toMatchObject({ code: 2, stdout: '' })
    expect(unasked.stderr).toMatch(/^suprsync: usage_invalid: Give up .* everybody who is set aside\?.* --yes/)
    expect(await ids()).toBe(6)
    expect(await installation.run('failed', 'drop', 'a-user', '--yes')).toEqual({
      code: 0,
      stderr: '',
      stdout: '1 user is set aside no more; nothing is sent of them until their rows change.\n',
    })
    const json = await installation.run('failed', 'drop', '--code', 'invalid_value', '--yes', '--json')
    expect(JSON.parse(json.stdout)).toEqual({ dropped: 1 })
    expect(await ids()).toBe(4)
    const gone = await installation.run('failed', 'drop', 'a-user', '--yes')
    expect(gone.stderr).toMatch(/^suprsync: user_not_failed: .*nothing was changed/)
    const row = await installation.run('failed', 'drop', '--code', 'duplicate_distinct_id', '--yes')
    expect(row.stderr).toMatch(/^suprsync: row_not_retriable: There is nothing to give up: /)
    expect((await installation.run('failed', 'drop', '--all', '--yes')).stdout).toMatch(
      /^2 users are set aside no more/,
    )
    expect((await installation.run('failed', 'drop', '--all', '--yes')).stdout).toMatch(/nothing to give up/)
    expect(await ids()).toBe(2)
    expect(await database.query(due)).toMatchObject([{ id: 'waiting' }])
  })

  test('choosing nobody is wrong usage', async () => {
    expect(await runCommand(['failed', 'drop', '--yes'])).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('beside a running service', () => {
  const failed = async (service: Service): Promise<Listed['failed']> => {
    const run = await runCommand(['failed', 'list', '--json', '--config', service.config.file])
    return (JSON.parse(run.stdout) as Listed).failed
  }

  test('a user is set aside, retried, and sent within a second or two', async () => {
    await using database = await createTestDatabase()
    await using local = await startEmulator()
    await database.query('CREATE TABLE users (id text PRIMARY KEY, email text)')
    local.addFault({
      user: 'u1',
      times: 1,
      action: { kind: 'status', status: 400, body: { code: 400, message: `$email: ${CANARY}@example.com is refused` } },
    })
    const config = { profile: { $email: 'email' } }
    await using service = await startService({
      databaseUrl: database.url,
      emulatorUrl: local.url,
      slot: database.slot,
      config,
    })
    await service.waitStreaming()
    await database.query(`INSERT INTO users VALUES ('u1', '${CANARY}@example.com')`)
    const entry = await until(async () => (await failed(service))[0], { what: 'the user to be set aside' })
    expect(JSON.stringify(entry)).not.toContain(CANARY)
    expect(entry).toMatchObject({ id: 'u1', code: 'invalid_value', status: 400, keys: ['$email'] })
    // Everything else of the user was sent.
    const addresses = () => local.users().get('u1')?.channels.$email ?? []
    expect(local.users().has('u1')).toBe(true)
    expect(addresses()).toEqual([])
    const run = await runCommand(['failed', 'retry', 'u1', '--config', service.config.file])
    expect(run.stdout).toBe('1 user is due again; the running service sends them now.\n')
    await until(() => addresses().length === 1, { what: 'the address to be sent', timeoutMs: 3_000 })
    await until(async () => (await failed(service)).length === 0, { what: 'nobody to be set aside' })
    expect((await service.metrics()).get('suprsync_profiles_pending')).toBe(0)
  })

  test('a row without a usable id is listed for as long as it is so, and no longer', async () => {
    await using database = await createTestDatabase()
    await using local = await startEmulator()
    await database.query('CREATE TABLE users (id int PRIMARY KEY, uid text NOT NULL UNIQUE, email text)')
    await database.query("INSERT INTO users VALUES (1, '..', 'a@example.com'), (2, 'u2', 'b@example.com')")
    await using service = await startService({
      databaseUrl: database.url,
      emulatorUrl: local.url,
      slot: database.slot,
      config: { user: { distinct_id: 'uid' }, profile: { $email: 'email' } },
    })
    const rows = async () => (await failed(service)).map((entry) => Reflect.get(entry, 'row'))
    const become = (what: string, expected: readonly string[]) =>
      until(async () => JSON.stringify(await rows()) === JSON.stringify(expected), { what, timeoutMs: 20_000 })
    await service.waitStreaming()
    await become('the row of the backfill', ['1'])
    await database.query("UPDATE users SET uid = 'u1' WHERE id = 1")
    await become('the row to be a user', [])
    await until(() => local.users().has('u1'), { what: 'the user to be sent' })
    await database.query("UPDATE users SET uid = '.' WHERE id = 1")
    await become('the user to be none', ['1'])
    await until(() => !local.users().has('u1'), { what: 'the user to be deleted' })
    await database.query('DELETE FROM users WHERE id = 1')
    await become('the row to be gone', [])
    await database.query("INSERT INTO users VALUES (3, '..', NULL)")
    await become('another one', ['3'])
    await database.query('TRUNCATE users')
    await become('the truncated row to be gone', [])
  })
})
