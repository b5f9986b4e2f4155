// Copies of a server: what a standby begins with, and what a backup is. Made while the server is stopped, so that they are whole.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Cluster, startCluster } from './cluster.ts'

const execute = promisify(execFile)

export interface Copy extends AsyncDisposable {
  /** Starts the server that the copy holds; once. */
  start(settings?: Readonly<Record<string, string>>): Promise<Cluster>
}

export interface CopyOptions {
  /** Starts as a standby. */
  readonly standby?: boolean
  /** Without replication slots, as pg_basebackup makes it. */
  readonly withoutSlots?: boolean
}

/** The server is stopped for it, and started again. */
export async function copyCluster(cluster: Cluster, options: CopyOptions = {}): Promise<Copy> {
  const root = await mkdtemp(join(tmpdir(), 'suprsync-copy-'))
  const dataDir = join(root, 'data')
  await cluster.stop()
  await execute('chmod', ['711', root])
  await execute('cp', ['-a', cluster.dataDir, dataDir])
  await cluster.start()
  if (options.withoutSlots) await execute('sh', ['-c', `rm -rf '${dataDir}'/pg_replslot/*`])
  if (options.standby) {
    // Owned by the server's user, as the file it is copied from.
    const signal = join(dataDir, 'standby.signal')
    await execute('cp', ['-a', join(dataDir, 'PG_VERSION'), signal])
    await writeFile(signal, '')
  }
  let started: Cluster | null = null
  return {
    start: async (settings = {}) => {
      started = await startCluster({ dataDir, settings })
      return started
    },
    [Symbol.asyncDispose]: async () => {
      await started?.[Symbol.asyncDispose]()
      await rm(root, { recursive: true, force: true })
    },
  }
}
