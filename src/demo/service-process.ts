// The service as a user starts it: the real `suprsync run` in a process of its own, so that kill -9 is kill -9. Guarantees
// that it ends with us (tie-to-parent.ts) and that waiting for it is bounded. Reads its log for where it listens and, should
// it end, for why.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sleep } from '../core/abort.ts'
import { SuprsyncError } from '../core/error.ts'

export interface ServiceProcessOptions {
  readonly configFile: string
  /** What the mapping file asks for. */
  readonly env: Readonly<Record<string, string>>
  /** To be ready, from the start of the process. */
  readonly timeoutMs: number
}

const PROGRAM = fileURLToPath(new URL('../../bin/suprsync.js', import.meta.url))
const TIE = new URL(`./tie-to-parent${extname(import.meta.url)}`, import.meta.url).href
const STOP_MS = 5_000
/** The caller's own settings of suprsync, Node and PostgreSQL would make another demo of it. */
const FOREIGN = /^(SUPRSYNC_|SUPRSEND_|DATABASE_URL$|STATE_DATABASE_URL$|NODE_OPTIONS$|PG)/

export class ServiceProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #url: string | null = null
  /** The newest line of its log that is a warning or worse, or no log at all. */
  #complaint = ''
  #expected = false

  private constructor({ configFile, env }: ServiceProcessOptions) {
    const own = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name))
    this.#child = spawn(process.execPath, ['--import', TIE, PROGRAM, 'run', '--config', configFile], {
      env: { ...Object.fromEntries(own), ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true, // Ctrl-C belongs to us; the service is ended in our order.
    })
    this.#ended = once(this.#child, 'exit').catch(() => undefined) // Not started: then it has no pid, and ready() says so.
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#read(line))
    }
  }

  /** Resolves when it is ready, or when the signal aborts. @throws SuprsyncError `demo_service_failed` */
  static async start(options: ServiceProcessOptions, signal: AbortSignal): Promise<ServiceProcess> {
    const service = new ServiceProcess(options)
    try {
      await service.#ready(options.timeoutMs, signal)
      return service
    } catch (error) {
      await service.kill9()
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** Of /livez, /readyz and /metrics. */
  get url(): string {
    return this.#url ?? ''
  }

  /** @throws SuprsyncError `demo_service_failed` when it ended by itself. */
  assertRunning(): void {
    if (this.#isRunning || this.#expected) return
    const { exitCode, signalCode } = this.#child
    throw failed(`suprsync run ended with ${signalCode ?? `exit code ${exitCode}`}: ${this.#complaint}`)
  }

  /** Row changes that needed neither a write nor a call, since its start; null when it does not answer. */
  async skippedChanges(): Promise<number | null> {
    try {
      const answer = await fetch(`${this.#url}/metrics`, { signal: AbortSignal.timeout(2_000) })
      const count = /^suprsync_skipped_changes_total\{reason="unmapped_noop"\} (\d+)/m.exec(await answer.text())
      return Number(count?.[1] ?? 0)
    } catch {
      return null // It is only a figure of the summary.
    }
  }

  async kill9(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const patience = new AbortController()
    const stopped = this.#end('SIGTERM').then(() => patience.abort())
    await sleep(STOP_MS, patience.signal)
    if (!patience.signal.aborted) await this.kill9()
    await stopped
  }

  get #isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#expected = true
    if (!this.#isRunning) return
    this.#child.kill(signal)
    await this.#ended
  }

  async #ready(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!signal.aborted && !(await this.#isReady())) {
      this.assertRunning()
      if (performance.now() > deadline) {
        throw failed(`suprsync run was not ready within ${timeoutMs / 1000} s: ${this.#complaint}`)
      }
      await sleep(20, signal)
    }
  }

  async #isReady(): Promise<boolean> {
    if (this.#url === null) return false
    try {
      return (await fetch(`${this.#url}/readyz`, { signal: AbortSignal.timeout(2_000) })).ok
    } catch {
      return false // Not listening yet, or busy: asked again until the deadline.
    }
  }

  /** Its log is JSON lines, since it does not write to a terminal. Anything else is Node's own last words. */
  #read(line: string): void {
    try {
      const entry: unknown = JSON.parse(line)
      const text = (name: string) => String(Reflect.get(Object(entry), name) ?? '')
      if (text('msg') === 'listening for health checks and metrics') this.#url = text('url')
      if (text('level') === 'warn' || text('level') === 'error') this.#complaint = text('msg')
    } catch {
      if (line.trim() !== '') this.#complaint = line.trim()
    }
  }
}

function failed(message: string): SuprsyncError {
  return new SuprsyncError('demo_service_failed', message)
}
