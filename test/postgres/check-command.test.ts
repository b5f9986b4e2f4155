// `suprsync check` as it is run: its own process, a mapping file, a real server and the emulator as SuprSend.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const executable = fileURLToPath(new URL('../../bin/suprsync.js', import.meta.url))
let directory: string
let emulator: Emulator

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'suprsync-check-'))
  emulator = await startEmulator({ apiKey: 'good-key' })
})
afterAll(async () => {
  await emulator.destroy()
  await rm(directory, { recursive: true, force: true })
})

interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function runCheck(
  database: TestDatabase,
  changes: { apiKey?: string; when?: string; profile?: string; args?: string[] } = {},
): Promise<Run> {
  const file = join(directory, `${database.name}.yaml`)
  await writeFile(
    file,
    `version: 1
source: {url: "${database.url}", table: public.users, slot: ${database.slot}}
suprsend: {api_key: ${changes.apiKey ?? 'good-key'}, base_url: "${emulator.url}"}
user: {distinct_id: id, when: ${JSON.stringify(changes.when ?? 'deleted_at == null')}}
profile: ${changes.profile ?? '{$email: email, name: name}'}
`,
  )
  const args = [executable, 'check', '--config', file, ...(changes.args ?? [])]
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

const USERS = 'CREATE TABLE users (id int PRIMARY KEY, email text, name text, deleted_at timestamptz)'

test('all well: exit code 0, a warning about the WAL limit at most, and nothing was created', async () => {
  await using database = await createTestDatabase()
  await database.query(USERS)
  const run = await runCheck(database)
  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(run.stdout).toContain('Everything that is needed is there')
  expect(await database.query('SELECT 1 FROM pg_publication')).toEqual([])
  expect(await database.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1', [database.slot])).toEqual([])
  expect(await database.query("SELECT 1 FROM pg_namespace WHERE nspname = 'suprsync'")).toEqual([])
})

test('problems of the table and of the API key together: exit code 3, as text and as JSON', async () => {
  await using database = await createTestDatabase()
  await database.query('CREATE TABLE users (id int PRIMARY KEY, emale text, name bytea, deleted_at timestamptz)')
  const text = await runCheck(database, { apiKey: 'wrong-key' })
  expect(text).toMatchObject({ code: 3, stderr: '' })
  // The file's fifth line names both.
  expect(text.stdout).toMatch(/^error +column_missing +\S+\.yaml:5:19 profile\.\$email: .*; did you mean "emale"\?$/m)
  expect(text.stdout).toMatch(/^error +column_type_unsupported +\S+\.yaml:5:32 profile\.name: The column "name" has/m)
  const json = await runCheck(database, { apiKey: 'wrong-key', args: ['--json'] })
  expect(json.code).toBe(3)
  const { ok, findings } = JSON.parse(json.stdout) as { ok: boolean; findings: { code: string; level: string }[] }
  expect(ok).toBe(false)
  expect(findings.filter(({ level }) => level === 'error').map(({ code }) => code)).toEqual([
    'column_missing',
    'column_type_unsupported',
    'api_key_rejected',
  ])
  expect(text.stdout + json.stdout).not.toContain('wrong-key')
})

test('a condition that does not fit the table is found before anything is started', async () => {
  await using database = await createTestDatabase()
  await database.query(USERS)
  const run = await runCheck(database, { when: 'id + 1' })
  expect(run.code).toBe(3)
  expect(run.stdout).toMatch(/^error +when_invalid +\S+\.yaml:4:31 user\.when: /m)
})

test('what hardly anybody means is a warning, and passes', async () => {
  await using database = await createTestDatabase()
  await database.query(USERS)
  const run = await runCheck(database, { when: '!deleted_at', profile: '{email: email, name: name}' })
  expect(run.code).toBe(0)
  expect(run.stdout).toMatch(
    /^warning +property_named_like_channel +\S+\.yaml:5:18 profile\.email: .* mean \$email\?$/m,
  )
  expect(run.stdout).toMatch(/^warning +expression_doubtful +\S+\.yaml:4:31 user\.when: .* deleted_at == null\.$/m)
})

test('a wrong mapping file: exit code 2', async () => {
  await using database = await createTestDatabase()
  const run = await runCheck(database, { args: ['--config', join(directory, 'missing.yaml')] })
  expect(run.code).toBe(2)
  expect(run.stdout).toBe('')
  expect(run.stderr).toContain('missing.yaml')
})

test('every code that the sources can give stands in docs/errors.md, and no other', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const files = ['server-findings', 'table-findings', 'publication-findings', 'check'].map(
    (name) => `src/postgres/${name}.ts`,
  )
  const sources = await Promise.all(
    [...files, 'src/commands/preflight.ts', 'src/state/pooler.ts', 'src/core/mapping-doubts.ts'].map((file) =>
      readFile(join(root, file), 'utf8'),
    ),
  )
  const given = new Set(
    sources.flatMap((source) => [...source.matchAll(/'([a-z]+(?:_[a-z]+)+)'/g)].map(([, code]) => code)),
  )
  const docs = await readFile(join(root, 'docs/errors.md'), 'utf8')
  const [preflight = ''] = docs.split('## While starting')
  const listed = [...preflight.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, code]) => code)
  // A code of the mapping's and names of settings, spelt alike.
  for (const notCode of ['invalid_when', 'max_wal_senders', 'server_encoding']) given.delete(notCode)
  expect(listed.toSorted()).toEqual([...given].toSorted())
})
