// A PostgreSQL of our own for the demo and the tests, started from the npm package's binaries: trusted on 127.0.0.1,
// logical replication on, data in a temporary directory. Guarantees that the server and its data are gone when the
// Cluster is disposed or when this process ends in any way, SIGKILL included (a small watchdog shell reads a pipe that
// closes with us; only a kill of both at once leaves a server behind). The data of a killed server survives, fsync or
// not, as long as the machine does. All clusters of one build share a system identifier unless `fresh`.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { errorMessage, SuprsyncError } from '../core/error.ts'
import { prepareDataDir, reachableBin, serverEnvironment, temporaryRoot } from './cluster-files.ts'
import { findBinaries, type Major } from './postgres-binaries.ts'
import { type ServerUser, serverUser } from './server-user.ts'

export interface ClusterOptions {
  /** Kept when disposed, and used again when it holds a cluster. Default: a temporary directory, removed. */
  readonly dataDir?: string
  /** Default: a free one. */
  readonly port?: number
  readonly settings?: Readonly<Record<string, string>>
  readonly major?: Major
  /** The superuser's password; makes the server ask everybody for one (scram-sha-256). Default: trust. */
  readonly password?: string
  /** Own system identifier instead of the cached template's: one more initdb of a few seconds. */
  readonly fresh?: boolean
}

export type StopMode = 'fast' | 'immediate' | 'smart'
const stopSignals = { fast: 'SIGINT', immediate: 'SIGQUIT', smart: 'SIGTERM' } as const

const defaultSettings = {
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '20',
  max_connections: '100',
  listen_addresses: '127.0.0.1',
  fsync: 'off',
}

// Reads "pid of the server" lines until the pipe closes, then ends the server and removes its data.
const watchdogScript = `
pid=-
while read -r line; do pid=$line; done
if [ "$pid" != - ]; then
  kill -QUIT "$pid" 2>/dev/null
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
fi
if [ -n "$1" ]; then rm -rf "$1"; fi
`

interface Place {
  readonly bin: string
  readonly dataDir: string
  readonly temporary: boolean
  readonly port: number
  readonly user: ServerUser
  readonly major: Major
  readonly password: string | null
}

export class Cluster implements AsyncDisposable {
  readonly #place: Place
  readonly #settings: Readonly<Record<string, string>>
  readonly #watchdog: ChildProcess
  #server: ChildProcess | null = null

  constructor(place: Place, settings: Readonly<Record<string, string>>) {
    this.#place = place
    this.#settings = settings
    this.#watchdog = spawn('/bin/sh', ['-c', watchdogScript, 'watchdog', place.temporary ? place.dataDir : ''], {
      ...place.user.ids,
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    this.#watchdog.on('error', () => undefined) // No shell: the server is still ended by dispose.
    this.#watchdog.unref()
    const pipe = this.#watchdog.stdin
    if (pipe) {
      pipe.on('error', () => undefined) // Somebody killed the watchdog: as above.
      if ('unref' in pipe && typeof pipe.unref === 'function') pipe.unref()
    }
  }

  get port(): number {
    return this.#place.port
  }

  get major(): Major {
    return this.#place.major
  }

  get dataDir(): string {
    return this.#place.dataDir
  }

  /** Of the postmaster; null while stopped. */
  get pid(): number | null {
    return this.#server?.pid ?? null
  }

  url(database = 'postgres', user = 'postgres'): string {
    const password = this.#place.password === null ? '' : `:${encodeURIComponent(this.#place.password)}`
    return `postgres://${encodeURIComponent(user)}${password}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`
  }

  async log(): Promise<string> {
    return readFile(join(this.dataDir, 'server.log'), 'utf8')
  }

  /** Resolves when the server accepts connections. `settings` add to those given at first, for this run only. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const deadline = performance.now() + 30_000
    for (;;) {
      const failure = await this.#launch({ ...this.#settings, ...settings }, deadline)
      if (failure === null) return
      // After kill9 the children of the killed server need a moment to notice; until then the new one refuses to start.
      const passing = failure.includes('pre-existing shared memory block') || failure.includes('lock file')
      if (!passing || performance.now() > deadline) {
        throw new SuprsyncError('embedded_postgres_failed', `PostgreSQL did not start: ${failure}`)
      }
      await delay(50)
    }
  }

  /** Resolves when the server's process has ended; safe to call when it is stopped. */
  async stop(mode: StopMode = 'fast'): Promise<{ readonly elapsedMs: number }> {
    return this.#end(stopSignals[mode])
  }

  /** SIGKILL to the postmaster: a crash. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async restart(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.stop('fast')
    await this.start(settings)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('immediate')
    if (this.#watchdog.exitCode !== null || this.#watchdog.pid === undefined) return
    this.#watchdog.ref()
    const ended = once(this.#watchdog, 'exit')
    this.#watchdog.stdin?.end() // It removes the data, as it would after our death.
    await ended
  }

  async #end(signal: NodeJS.Signals): Promise<{ readonly elapsedMs: number }> {
    const server = this.#server
    const startedAt = performance.now()
    if (server === null) return { elapsedMs: 0 }
    server.ref()
    const ended = once(server, 'exit')
    server.kill(signal)
    await ended
    return { elapsedMs: performance.now() - startedAt }
  }

  /** Null when the server is ready, else what it wrote. */
  async #launch(settings: Readonly<Record<string, string>>, deadline: number): Promise<string | null> {
    const { bin, dataDir, port, user } = this.#place
    const all = { ...settings, port: String(port), unix_socket_directories: dataDir }
    const log = await open(join(dataDir, 'server.log'), 'a')
    const logStart = (await log.stat()).size
    const args = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const server = spawn(join(bin, 'postgres'), ['-D', dataDir, ...args], {
      ...user.ids,
      cwd: dataDir,
      env: serverEnvironment(),
      stdio: ['ignore', log.fd, log.fd],
      detached: true, // Ctrl-C belongs to us; the server is ended in our order.
    })
    const failed = new Promise<unknown>((resolve) => server.once('error', resolve))
    // Known before the first await: a server that refuses to start is gone within milliseconds.
    this.#server = server.pid === undefined ? null : server
    server.once('exit', () => {
      this.#server = null
      this.#watchdog.stdin?.write('-\n')
    })
    await log.close()
    if (server.pid === undefined) return errorMessage(await failed)
    if (this.#server !== null) this.#watchdog.stdin?.write(`${server.pid}\n`)
    while (!(await isReady(dataDir, server.pid))) {
      if (this.#server === null) return (await this.log()).slice(logStart).trim()
      if (performance.now() > deadline) {
        await this.stop('immediate')
        return 'it was not ready in time'
      }
      await delay(10)
    }
    server.unref()
    return null
  }
}

/** Starts a server and resolves when it accepts connections. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const user = await serverUser()
  const found = await findBinaries(options.major)
  const bin = await reachableBin(found, user)
  const password = options.password ?? null
  const dataDir = options.dataDir ?? (await mkdtemp(join(await temporaryRoot(), 'suprsync-pg-')))
  const place = { bin, dataDir, temporary: options.dataDir === undefined, user, major: found.major, password }
  await prepareDataDir(dataDir, found, { bin, user, password, fresh: options.fresh ?? false })
  const cluster = new Cluster(
    { ...place, port: options.port ?? (await freePort()) },
    { ...defaultSettings, ...options.settings },
  )
  try {
    await cluster.start()
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
  return cluster
}

/** The eighth line of postmaster.pid says `ready` once connections are accepted: what pg_ctl waits for too. */
async function isReady(dataDir: string, pid: number): Promise<boolean> {
  try {
    const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
  } catch {
    return false // Not written yet.
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new SuprsyncError('no_free_port', 'no free port')
  return address.port
}
