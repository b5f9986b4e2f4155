// The real `suprsync run` as a child process, for tests that kill, stop and freeze it. Owns the process and its
// configuration file; guarantees that nothing of it outlives the test, and that its log is printed only when the test fails.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { onTestFailed } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { FailPoint } from '../../src/core/fail-points.ts'
import { isJsonObject, type Json, type JsonObject } from '../../src/core/json.ts'
import { until } from './wait.ts'

const ROOT = new URL('../../', import.meta.url)
const NODE = fileURLToPath(new URL('node_modules/.bin/node', ROOT))
const BIN = fileURLToPath(new URL('bin/suprsync.js', ROOT))
/** Children compile the same sources again and again; a start takes half as long with what the first one compiled. */
const COMPILE_CACHE = join(tmpdir(), 'suprsync-test-compile-cache')

export interface ServiceOptions {
  readonly databaseUrl: string
  readonly emulatorUrl: string
  readonly slot: string
  /** Merged into the configuration key by key; `profile` and lists are replaced as a whole, and null leaves a key out. */
  readonly config?: JsonObject
  /** `name:count`: the process kills itself on the count-th hit of that point. */
  readonly failPoint?: `${FailPoint}:${number}`
  readonly env?: { readonly [name: string]: string }
  /** More arguments of `run`. */
  readonly args?: readonly string[]
}

/** One line of the log; `msg` and `level` are always there. */
export interface LogLine {
  readonly msg: string
  readonly level: string
  readonly [field: string]: Json
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Service extends AsyncDisposable {
  readonly pid: number
  /** As the process itself reads it. */
  readonly config: Config
  readonly exited: Promise<Exit>
  readonly hasExited: boolean
  log(): readonly LogLine[]
  /** All it has written, what is no line of the log last. */
  output(): readonly string[]
  /** The first line that fits, past or to come; fails at once when the process ends without it. */
  waitFor(what: string, fits: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>
  /** Changes arrive from now on. */
  waitStreaming(): Promise<void>
  /** /readyz answers 200: streaming, or standing by. */
  waitReady(): Promise<void>
  /** What /readyz answers, and the codes of its reasons and warnings. */
  readiness(): Promise<{
    readonly status: number
    readonly codes: readonly string[]
    readonly parts: { readonly capture: string; readonly delivery: string }
    readonly warnings: readonly string[]
  }>
  signal(name: NodeJS.Signals): void
  /** Writes another configuration, as `config` of the options, and sends SIGHUP. */
  reload(config: JsonObject): Promise<void>
  kill9(): Promise<void>
  print(): void
  /** SIGTERM, and the end it leads to. */
  stop(): Promise<Exit>
  /** Samples of /metrics by name and labels as they are printed: `a_total`, `b{kind="x"}`. */
  metrics(): Promise<ReadonlyMap<string, number>>
  rssBytes(): Promise<number>
}

export async function startService(options: ServiceOptions): Promise<Service> {
  const service = await launchService(options)
  onTestFailed(() => service.print())
  return service
}

/** The same outside a test: who launches it looks at its log. */
export async function launchService(options: ServiceOptions): Promise<Service> {
  const directory = await mkdtemp(join(tmpdir(), 'suprsync-e2e-'))
  const file = join(directory, 'suprsync.json')
  await writeFile(file, JSON.stringify(merged(defaults(options), options.config ?? {})))
  const config = await loadConfig({ path: file, env: options.env ?? {}, readFile: (path) => readFile(path, 'utf8') })
  const child = spawn(NODE, [BIN, 'run', '--config', file, ...(options.args ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      ...options.env,
      ...(options.failPoint && { SUPRSYNC_FAIL_POINT: options.failPoint }),
    },
  })
  const rewrite = (change: JsonObject) => writeFile(file, JSON.stringify(merged(defaults(options), change)))
  return new RunningProcess(child, config, { directory, rewrite })
}

function defaults({ databaseUrl, emulatorUrl, slot }: ServiceOptions): JsonObject {
  return {
    version: 1,
    source: { url: databaseUrl, table: 'public.users', slot },
    suprsend: { api_key: 'test', base_url: emulatorUrl, max_requests_per_second: 'off' },
    http: { listen: '127.0.0.1:0' },
    // Tests delete many; those of the breaker say so themselves.
    safety: { breaker: 'off' },
    user: { distinct_id: 'id' },
    profile: { $email: 'email', $sms: 'phone', name: 'name', version: 'version' },
  }
}

function merged(base: JsonObject, change: JsonObject): JsonObject {
  const result: Record<string, Json> = { ...base }
  for (const [key, value] of Object.entries(change)) {
    const before = result[key]
    const both = key !== 'profile' && isJsonObject(before) && isJsonObject(value)
    if (value === null) delete result[key]
    else result[key] = both ? merged(before, value) : value
  }
  return result
}

interface Files {
  readonly directory: string
  readonly rewrite: (config: JsonObject) => Promise<void>
}

interface Coded {
  readonly code: string
}

class RunningProcess implements Service {
  readonly #child: ChildProcess
  readonly #files: Files
  readonly #lines: LogLine[] = []
  readonly #other: string[] = []
  readonly config: Config
  readonly exited: Promise<Exit>
  #exit: Exit | null = null

  constructor(child: ChildProcess, config: Config, files: Files) {
    this.#child = child
    this.config = config
    this.#files = files
    const { promise, resolve, reject } = Promise.withResolvers<Exit>()
    this.exited = promise
    promise.catch(() => undefined) // a process that could not be started: whoever waits for it is told
    child.once('error', reject)
    // `close` comes after the last line of both streams.
    child.once('close', (code, signal) => {
      this.#exit = { code, signal }
      resolve(this.#exit)
    })
    this.#read(child.stdout)
    this.#read(child.stderr)
  }

  #read(stream: Readable | null): void {
    if (!stream) return
    createInterface({ input: stream }).on('line', (text) => {
      const line = text.startsWith('{') ? parsed(text) : null
      if (line) this.#lines.push(line)
      else this.#other.push(text)
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get hasExited(): boolean {
    return this.#exit !== null
  }

  log(): readonly LogLine[] {
    return this.#lines
  }

  async waitFor(what: string, fits: (line: LogLine) => boolean, timeoutMs = 20_000): Promise<LogLine> {
    const found = await until(() => this.#lines.find(fits) ?? (this.#exit ? 'ended' : null), { what, timeoutMs })
    if (found === 'ended') throw new Error(`the service ended (${JSON.stringify(this.#exit)}) before: ${what}`)
    return found
  }

  async waitStreaming(): Promise<void> {
    await this.waitFor(
      'the service to stream',
      ({ msg, capture }) => msg === 'capture status' && capture === 'streaming',
    )
  }

  async waitReady(): Promise<void> {
    const url = await this.#url()
    await until(async () => (await fetch(`${url}/readyz`)).ok, { what: 'the service to be ready', timeoutMs: 20_000 })
  }

  async readiness(): ReturnType<Service['readiness']> {
    const response = await fetch(`${await this.#url()}/readyz`)
    const answer = (await response.json()) as {
      readonly capture: string
      readonly delivery: string
      readonly reasons: readonly Coded[]
      readonly warnings?: readonly Coded[]
    }
    const codes = (of: readonly Coded[] = []) => of.map(({ code }) => code)
    const { capture, delivery } = answer
    return {
      status: response.status,
      parts: { capture, delivery },
      codes: codes(answer.reasons),
      warnings: codes(answer.warnings),
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async reload(config: JsonObject): Promise<void> {
    await this.#files.rewrite(config)
    this.signal('SIGHUP')
  }

  async kill9(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
  }

  async stop(): Promise<Exit> {
    this.signal('SIGTERM')
    return await this.exited
  }

  async metrics(): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`${await this.#url()}/metrics`)
    const samples = new Map<string, number>()
    for (const line of (await response.text()).split('\n')) {
      const at = line.lastIndexOf(' ')
      if (at > 0 && !line.startsWith('#')) samples.set(line.slice(0, at), Number(line.slice(at + 1)))
    }
    return samples
  }

  async rssBytes(): Promise<number> {
    return (await this.metrics()).get('process_resident_memory_bytes') ?? Number.NaN
  }

  async #url(): Promise<string> {
    const { url } = await this.waitFor('the service to listen', (line) => typeof line.url === 'string')
    return String(url)
  }

  output(): readonly string[] {
    return [...this.#lines.map((line) => JSON.stringify(line)), ...this.#other]
  }

  print(): void {
    process.stderr.write(`--- service ${this.pid}, ${JSON.stringify(this.#exit)}\n${this.output().join('\n')}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasExited) await this.kill9()
    await rm(this.#files.directory, { recursive: true, force: true })
  }
}

function parsed(text: string): LogLine | null {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return null // a line cut short by a kill
  }
}
