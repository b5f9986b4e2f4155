// One process of a chaos run: `suprsync run` with networks of its own to both databases and to SuprSend, so that it alone can be cut
// off. Owns whoever runs under its name now; says when one ends that nobody has ended. Keeps the tail of the logs.
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../../src/config/config.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { type Network, startNetwork } from '../support/network.ts'
import { type Exit, launchService, type Service } from '../support/service.ts'
import type { Link, ProcessName, Role } from './fault.ts'

export interface MemberOptions {
  readonly name: ProcessName
  readonly urls: { readonly [link in Link]: string }
  readonly slot: string
  /** Merged with where the databases are, as this member sees them. */
  readonly config: JsonObject
  readonly onProblem: (text: string) => void
}

/** From SIGTERM to the end: `shutdown_timeout` and some more on a busy machine. */
const STOP_WITHIN_MS = 30_000
const TAIL = 200

export class Member implements AsyncDisposable {
  readonly name: ProcessName
  readonly #options: MemberOptions
  readonly #networks: { readonly [link in Link]: Network }
  #service: Service | null = null
  #ending = false
  #ended: string[] = []
  starts = 0

  private constructor(options: MemberOptions, networks: { readonly [link in Link]: Network }) {
    this.name = options.name
    this.#options = options
    this.#networks = networks
  }

  static async create(options: MemberOptions): Promise<Member> {
    const { source, state, suprsend } = options.urls
    return new Member(options, {
      source: await startNetwork(source),
      state: await startNetwork(state),
      suprsend: await startNetwork(suprsend),
    })
  }

  network(link: Link): Network {
    return this.#networks[link]
  }

  /** As the process reads it; null before the first start. */
  get config(): Config | null {
    return this.#service?.config ?? null
  }

  async start(): Promise<void> {
    this.#ended = [...this.tail()]
    await this.#service?.[Symbol.asyncDispose]()
    const { slot, config } = this.#options
    const service = await launchService({
      databaseUrl: this.#networks.source.url,
      emulatorUrl: this.#networks.suprsend.url.replace(/\/$/, ''),
      slot,
      config: { ...config, state: { url: this.#networks.state.url } },
      args: roleArguments(this.name.startsWith('capture') ? 'capture' : 'deliver'),
    })
    this.#service = service
    this.#ending = false
    this.starts += 1
    void service.exited.then((exit) => {
      if (this.#service !== service || this.#ending) return
      this.#options.onProblem(`${this.name} ended by itself (${exitText(exit)})`)
    })
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#service?.signal(name)
  }

  async kill(): Promise<void> {
    this.#ending = true
    await this.#service?.kill9()
  }

  /** SIGTERM, and what becomes of it. */
  async stop(): Promise<Exit> {
    this.#ending = true
    const service = this.#service
    if (!service) return { code: null, signal: null }
    const late = new AbortController()
    const exit = await Promise.race([
      service.stop(),
      delay(STOP_WITHIN_MS, null, { signal: late.signal }).catch(() => null),
    ])
    late.abort()
    if (exit) return exit
    this.#options.onProblem(`${this.name} did not end within ${STOP_WITHIN_MS} ms of SIGTERM`)
    await service.kill9()
    return await service.exited
  }

  isStreaming(): boolean {
    return this.#service?.log().some(({ msg, capture }) => msg === 'capture status' && capture === 'streaming') ?? false
  }

  /** Resident memory; null where it cannot be told now. */
  async rssBytes(): Promise<number | null> {
    const service = this.#service
    if (!service || service.hasExited) return null
    try {
      if (process.platform !== 'linux') return await service.rssBytes()
      const status = await readFile(`/proc/${service.pid}/status`, 'utf8')
      const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
      return Number.isNaN(kilobytes) ? null : kilobytes * 1_024
    } catch {
      return null // it ends just now, or is frozen
    }
  }

  /** The last lines of the logs, of the former processes too. */
  tail(): readonly string[] {
    return [...this.#ended, ...(this.#service?.output() ?? [])].slice(-TAIL)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true
    await this.#service?.[Symbol.asyncDispose]()
    for (const network of Object.values(this.#networks)) await network[Symbol.asyncDispose]()
  }
}

function roleArguments(role: Role): readonly string[] {
  return ['--role', role]
}

export function exitText({ code, signal }: Exit): string {
  return signal === null ? `exit code ${code}` : signal
}
