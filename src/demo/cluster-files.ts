// What lies on the disk for an embedded PostgreSQL: data directories, the template they are copied from, and a copy of
// the programs where the server's user cannot reach the installed ones. Several processes may do this at once.
import { execFile } from 'node:child_process'
import { chown, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { SuprsyncError } from '../core/error.ts'
import type { Binaries } from './postgres-binaries.ts'
import { isReachable, type ServerUser } from './server-user.ts'

const execute = promisify(execFile)

/** A data directory ready for `postgres -D`: as it is when it holds a cluster, else made. */
export async function prepareDataDir(
  dataDir: string,
  found: Binaries,
  options: {
    readonly bin: string
    readonly user: ServerUser
    readonly password: string | null
    readonly fresh: boolean
  },
): Promise<void> {
  const { bin, user, password, fresh } = options
  await ownedDirectory(dataDir, user)
  if (await exists(join(dataDir, 'PG_VERSION'))) return
  if (fresh || password !== null) await initialise(bin, dataDir, user, password)
  else await execute('cp', ['-a', `${await template(found, bin, user)}/.`, dataDir], { ...user.ids, cwd: '/' })
}

async function initialise(bin: string, dataDir: string, user: ServerUser, password: string | null): Promise<void> {
  const locale = process.platform === 'linux' ? '--locale=C.UTF-8' : '--no-locale'
  const flags = ['-D', dataDir, '-U', 'postgres', '--encoding=UTF8', locale, '--lc-messages=C', '--no-sync']
  const options = { ...user.ids, cwd: '/', env: serverEnvironment() }
  if (password === null) {
    await execute(join(bin, 'initdb'), [...flags, '-A', 'trust'], options)
    return
  }
  // initdb reads a password only from a file; one given in the arguments would show in the process list.
  const secret = join(
    await ownedDirectory(await mkdtemp(join(await temporaryRoot(), 'suprsync-pg-')), user),
    'password',
  )
  try {
    await writeFile(secret, `${password}\n`, { mode: 0o600 })
    await chownTo(secret, user)
    await execute(join(bin, 'initdb'), [...flags, '-A', 'scram-sha-256', `--pwfile=${secret}`], options)
  } finally {
    await rm(dirname(secret), { recursive: true, force: true })
  }
}

/** An initialised data directory that is only ever copied: initdb costs seconds, the copy a tenth of one. */
async function template(found: Binaries, bin: string, user: ServerUser): Promise<string> {
  const path = join(await temporaryRoot(), `suprsync-pg-template-${found.version}-${user.uid}`)
  if (await exists(path)) {
    if ((await stat(path)).uid === user.uid) return path
    throw new SuprsyncError('embedded_postgres_failed', `${path} belongs to somebody else: remove it`)
  }
  const draft = await ownedDirectory(await mkdtemp(`${path}-`), user)
  await initialise(bin, draft, user, null)
  try {
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    if (!(await exists(path))) throw error // Else another process was first; its template is as good.
  }
  return path
}

/** Where root's checkout lies behind a closed directory (/root), the server's user needs a copy it can reach. */
export async function reachableBin(found: Binaries, user: ServerUser): Promise<string> {
  if (user.ids.uid === undefined || found.relocatable === null || (await isReachable(found.bin))) return found.bin
  const path = join(await temporaryRoot(), `suprsync-pg-programs-${found.version}`)
  if (!(await exists(path))) {
    const draft = await mkdtemp(`${path}-`)
    await execute('cp', ['-a', `${found.relocatable}/.`, draft])
    await execute('chmod', ['-R', 'a+rX', draft])
    await rename(draft, path).catch(async (error: unknown) => {
      await rm(draft, { recursive: true, force: true })
      if (!(await exists(path))) throw error // Else another process was first.
    })
  }
  if ((await stat(path)).uid !== 0) {
    throw new SuprsyncError('embedded_postgres_failed', `${path} does not belong to root: remove it`)
  }
  return join(path, 'bin')
}

export async function temporaryRoot(): Promise<string> {
  return (await isReachable(tmpdir())) ? tmpdir() : '/tmp'
}

async function ownedDirectory(path: string, user: ServerUser): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  await chownTo(path, user)
  return path
}

async function chownTo(path: string, user: ServerUser): Promise<void> {
  if (user.ids.uid !== undefined && user.ids.gid !== undefined) await chown(path, user.ids.uid, user.ids.gid)
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** Without the caller's PG* variables and locale, which would change the server. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C' }
}
