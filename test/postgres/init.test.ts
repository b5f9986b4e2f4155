// `suprsync init` as it is run: its own process, a real server, what it prints and writes, and what it never does. From there to a
// converged run: test/e2e/schemas.test.ts.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { BIN, type Run } from '../support/installation.ts'

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'suprsync-init-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

interface InitRun {
  readonly url: string
  readonly args: readonly string[]
  /** What is typed; the input ends after it. */
  readonly input?: string
}

async function runInit({ url, args, input = '' }: InitRun): Promise<Run> {
  const child = spawn(process.execPath, [BIN, 'init', ...args], {
    cwd: directory,
    env: { ...process.env, DATABASE_URL: url },
  })
  child.stdin.end(input)
  const closed = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), closed])
  return { code, stdout, stderr }
}

async function databaseWith(schema: string): Promise<TestDatabase> {
  const database = await createTestDatabase()
  await database.query(await readFile(new URL(`../schemas/${schema}.sql`, import.meta.url), 'utf8'))
  return database
}

test.each([
  ['rails', 'public.users', ['public.mobile_devices']],
  ['supabase', 'auth.users', ['public.profiles']],
  ['saas', 'public.users', ['public.user_devices', 'public.user_emails']],
])('%s: finds the users and what belongs to them, and proposes no secret', async (schema, table, children) => {
  await using database = await databaseWith(schema)
  const run = await runInit({ url: database.url, args: ['--yes', '--json', '--stdout'] })
  expect(run).toMatchObject({ code: 0, stderr: '' })
  const result = JSON.parse(run.stdout)
  expect(result.table).toBe(table)
  expect(result.children.map((child: { table: string }) => child.table).sort()).toEqual(children)
  const mapped = JSON.stringify([result.columns, result.children])
  expect(mapped).not.toMatch(/password|secret|confirmation_token|api_key|unconfirmed|otp|hash|email_change/)
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the file's own syntax
  expect(parse(result.yaml).source.url).toBe('${DATABASE_URL}')
  // Nothing was made or changed on the server.
  expect(
    await database.query(
      "SELECT 1 FROM pg_publication UNION ALL SELECT 1 FROM pg_namespace WHERE nspname = 'suprsync'",
    ),
  ).toEqual([])
})

test('writes the file with the next steps, and never over one that is there', async () => {
  await using database = await databaseWith('saas')
  const first = await runInit({ url: database.urlAs('postgres', 'canary'), args: ['--yes', '--output', 'new/a.yaml'] })
  expect(first.code).toBe(0)
  expect(first.stdout).toMatch(/CREATE ROLE.*GRANT SELECT.*CREATE PUBLICATION.*suprsync check --config new\/a\.yaml/s)
  const file = join(directory, 'new/a.yaml')
  const written = await readFile(file, 'utf8')
  expect(written + first.stdout).not.toContain('canary')
  await writeFile(file, `${written}# mine\n`)
  const second = await runInit({ url: database.url, args: ['--yes', '--output', 'new/a.yaml'] })
  expect(second.code).toBe(1)
  expect(second.stderr).toMatch(/new\/a\.yaml.*(exists|there)/)
  expect(await readFile(file, 'utf8')).toBe(`${written}# mine\n`)
})

test('--stdout: the file alone on stdout, the SQL beside it', async () => {
  await using database = await databaseWith('saas')
  const run = await runInit({ url: database.url, args: ['--yes', '--stdout'] })
  expect(parse(run.stdout)).toMatchObject({ version: 1, source: { table: 'public.users' } })
  expect(run.stderr).toContain('CREATE PUBLICATION')
})

test('--ask: the answers decide the table, the children and the file', async () => {
  await using database = await databaseWith('saas')
  const run = await runInit({ url: database.url, args: ['--ask'], input: '1\ny\nn\nasked.yaml\ny\n' })
  expect(run.code, run.stderr).toBe(0)
  const written = parse(await readFile(join(directory, 'asked.yaml'), 'utf8'))
  expect(written.source.table).toBe('public.users')
  expect(written.children).toHaveLength(1)
})

test.each([
  ['a table that is not there', ['--yes', '--table', 'usrs'], 1, /usrs/],
  ['no table that could hold users', ['--yes'], 1, /users table|--table/],
])('%s: said, with what to do', async (_, args, code, message) => {
  await using database = await createTestDatabase()
  await database.query('CREATE TABLE invoices (id int PRIMARY KEY, total numeric)')
  const run = await runInit({ url: database.url, args: [...args, '--stdout'] })
  expect(run.code).toBe(code)
  expect(run.stderr).toMatch(message)
})

test('no database named, or no URL: a usage error', async () => {
  expect(await runInit({ url: '', args: ['--yes'] })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('DATABASE_URL'),
  })
  expect(await runInit({ url: 'localhost', args: ['--yes'] })).toMatchObject({ code: 2 })
})
