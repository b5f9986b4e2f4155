// A configuration file for a test's database, the commands run with it as their own process, and the state made without a
// service, for tests of what the commands show and change.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectionConfig } from '../../src/postgres/connection.ts'
import { openStateDatabase, type StateDatabase } from '../../src/state/database.ts'
import { migrate } from '../../src/state/migrations.ts'
import type { TestDatabase } from './database.ts'

const executable = fileURLToPath(new URL('../../bin/suprsync.js', import.meta.url))
/** A command starts in half the time with what the first one compiled. */
const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'suprsync-test-compile-cache') }

export interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Installation extends AsyncDisposable {
  /** `suprsync ARGS --config FILE`. */
  run(...args: readonly string[]): Promise<Run>
}

export interface InstallationOptions {
  readonly database: TestDatabase
  readonly suprsendUrl: string
  /** Default: the database's. */
  readonly sourceUrl?: string
  /** Default: the source's. */
  readonly stateUrl?: string
}

export async function install(options: InstallationOptions): Promise<Installation> {
  const { database, suprsendUrl, sourceUrl = database.url, stateUrl = sourceUrl } = options
  const directory = await mkdtemp(join(tmpdir(), 'suprsync-command-'))
  const file = join(directory, 'suprsync.json')
  const config = {
    version: 1,
    source: { url: sourceUrl, table: 'public.users', slot: database.slot },
    state: { url: stateUrl },
    suprsend: { api_key: 'good-key', base_url: suprsendUrl },
    user: { distinct_id: 'id' },
    profile: { $email: 'email' },
  }
  await writeFile(file, JSON.stringify(config))
  return {
    run: (...args) => runCommand([...args, '--config', file]),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

export function runCommand(args: readonly string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [executable, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

/** The state's tables, empty. The caller destroys it. */
export async function makeState(database: TestDatabase): Promise<StateDatabase> {
  const db = openStateDatabase({
    connection: connectionConfig(database.url),
    schema: 'suprsync',
    onIdleError: () => undefined, // The next statement tells.
  })
  await migrate(db, 'suprsync')
  return db
}

export interface SeededProfile {
  readonly id: string
  readonly desired?: object | null
  readonly failure?: {
    readonly code: string
    readonly status?: number
    readonly key?: string
    readonly message?: string
  }
  readonly due?: boolean
  readonly lane?: 0 | 1
  readonly attempts?: number
  readonly agoSeconds?: number
}

export async function seedProfiles(database: TestDatabase, profiles: readonly SeededProfile[]): Promise<void> {
  for (const { id, desired = {}, failure, due = false, lane = 0, attempts = 0, agoSeconds = 60 } of profiles) {
    await database.query(
      `INSERT INTO suprsync.profile (distinct_id, bucket, desired, synced, sending, lane, changed_at, pending_since, due_at, attempts, failure, change_lsn)
       VALUES ($1, 0, $2, $2, jsonb_build_array(jsonb_build_object('token', 't', 'target', $2::jsonb)), $3,
         now() - $4 * interval '1 second', CASE WHEN $5 OR $7::jsonb IS NOT NULL THEN now() - $4 * interval '1 second' END,
         CASE WHEN $5 THEN clock_timestamp() END, $6, $7, '0/1')`,
      [id, desired === null ? null : JSON.stringify(desired), lane, agoSeconds, due, attempts, failure ?? null],
    )
  }
}

export interface SeededRow {
  readonly key: string
  readonly id?: string
  /** Null: a tombstone, or no user for a reason. */
  readonly part?: object | null
  readonly reasons?: readonly { readonly key: string; readonly code: string; readonly message: string }[]
  readonly duplicate?: boolean
}

export async function seedRows(database: TestDatabase, rows: readonly SeededRow[]): Promise<void> {
  for (const { key, id = null, part = {}, reasons, duplicate = false } of rows) {
    await database.query(
      `INSERT INTO suprsync.source_row (source, key, distinct_id, part, reasons, duplicate, era)
       VALUES ('public.users', $1, $2, $3, $4, $5, 1)`,
      [key, id, part === null ? null : JSON.stringify(part), reasons ? JSON.stringify(reasons) : null, duplicate],
    )
  }
}
