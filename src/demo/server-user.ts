// The system user that PostgreSQL runs as. PostgreSQL refuses to run as root, as which CI containers run; there the
// user `postgres` is used, and made when missing. Everybody else runs the server as themselves.
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { errorMessage, SuprsyncError } from '../core/error.ts'

const execute = promisify(execFile)

export interface ServerUser {
  /** What `spawn` takes besides its other options; empty when we are not root. */
  readonly ids: { readonly uid?: number; readonly gid?: number }
  /** The user id that files of the server belong to. */
  readonly uid: number
}

/** @throws SuprsyncError `server_user_missing` when root cannot make the user. */
export async function serverUser(): Promise<ServerUser> {
  const own = process.getuid?.()
  if (own === undefined) {
    throw new SuprsyncError('embedded_postgres_unsupported', 'the embedded PostgreSQL needs Linux or macOS')
  }
  if (own !== 0) return { ids: {}, uid: own }
  if ((await idOf('-u')) === null) await makeUser()
  const [uid, gid] = [await idOf('-u'), await idOf('-g')]
  if (uid === null || gid === null) throw new SuprsyncError('server_user_missing', 'the user postgres has no id')
  return { ids: { uid, gid }, uid }
}

async function idOf(flag: '-u' | '-g'): Promise<number | null> {
  try {
    return Number((await execute('id', [flag, 'postgres'])).stdout)
  } catch {
    return null // `id` fails when there is no such user.
  }
}

async function makeUser(): Promise<void> {
  try {
    await execute('groupadd', ['--system', '--force', 'postgres'])
    await execute('useradd', ['--system', '--gid', 'postgres', '--no-create-home', '--shell', '/bin/false', 'postgres'])
  } catch (error) {
    // Two processes may have started at once: the other one's user is as good.
    if ((await idOf('-u')) !== null) return
    throw new SuprsyncError(
      'server_user_missing',
      `PostgreSQL does not run as root, and the user postgres could not be made: ${errorMessage(error)}`,
      { cause: error },
    )
  }
}

/** Whether everybody may pass through all parents of the path: else another user cannot reach it. */
export async function isReachable(path: string): Promise<boolean> {
  for (let at = resolve(path); ; at = dirname(at)) {
    const { mode } = await stat(at)
    if ((mode & 0o001) === 0) return false
    if (at === dirname(at)) return true
  }
}
