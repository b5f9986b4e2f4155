// The real service as a child process, and what the operating system says of it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'

const BIN = fileURLToPath(new URL('../bin/suprsync.js', import.meta.url))

export interface BenchConfig {
  readonly databaseUrl: string
  readonly baseUrl: string
  readonly slot?: string
  readonly schema?: string
  readonly maxInFlight?: number
  /** Of the whole deployment; absent: no limit. */
  readonly maxRequestsPerSecond?: number
  readonly role?: 'all' | 'capture' | 'deliver'
  /** Whether it can be asked for metrics. */
  readonly metrics?: boolean
  /** `children` of the mapping file. */
  readonly children?: readonly object[]
}

export class ServiceProcess implements AsyncDisposable {
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #listen: string

  private constructor(folder: string, child: ChildProcess, listen: string) {
    this.#folder = folder
    this.#child = child
    this.#listen = listen
  }

  static async start(config: BenchConfig): Promise<ServiceProcess> {
    const listen = config.metrics === true ? `127.0.0.1:${await freePort()}` : 'off'
    const folder = await mkdtemp(join(tmpdir(), 'suprsync-bench-'))
    const file = join(folder, 'suprsync.yaml')
    await writeFile(
      file,
      stringify({
        version: 1,
        source: {
          url: config.databaseUrl,
          table: 'public.users',
          publication: 'bench',
          slot: config.slot ?? 'bench_service',
        },
        state: { schema: config.schema ?? 'suprsync' },
        suprsend: {
          api_key: 'bench',
          base_url: config.baseUrl,
          max_requests_per_second: config.maxRequestsPerSecond ?? 'off',
          max_in_flight: config.maxInFlight ?? 64,
        },
        http: { listen },
        log: { level: 'warn' },
        user: { distinct_id: 'id' },
        profile: { $email: 'email', $sms: 'phone', $timezone: 'timezone', name: 'name', settings: 'settings' },
        children: config.children ?? [],
      }),
    )
    const args = [BIN, 'run', '--config', file, '--role', config.role ?? 'all']
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    return new ServiceProcess(folder, child, listen)
  }

  /** The sum of a metric's samples with that label. */
  async metric(name: string, label = ''): Promise<number> {
    const text = await (await fetch(`http://${this.#listen}/metrics`)).text()
    const samples = text.split('\n').filter((line) => line.startsWith(name) && line.includes(label))
    return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  /** The largest resident set so far, MB. */
  async peakRssMb(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8')
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
  }

  /** What is resident now, MB. */
  async rssMb(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8')
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
  }

  /** Seconds of processor time used so far, user and system. */
  async cpuSeconds(): Promise<number> {
    const fields = (await readFile(`/proc/${this.#child.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / 100
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await exited
    }
    await rm(this.#folder, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
