// A configuration file for a test's database, and the commands run with it as their own process, for tests of what they show
// and change.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestDatabase } from './database.ts'

export const BIN = fileURLToPath(new URL('../../bin/suprsync.js', import.meta.url))
/** A command starts in half the time with what the first one compiled. */
const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'suprsync-test-compile-cache') }

export interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Installation extends AsyncDisposable {
  readonly file: string
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
    file,
    run: (...args) => runCommand([...args, '--config', file]),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

/** @param onStderr told each piece of it as it comes. */
export function runCommand(args: readonly string[], onStderr?: (text: string) => void): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [BIN, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
    if (onStderr) child.stderr?.on('data', onStderr)
  })
}
