// SIGHUP: the configuration is read again, and the file of its API key. One that can be used ends the present round, and the next one begins with it; one
// that cannot changes nothing, and its problems are said. Two signals in a row are two readings, one after the other.
import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/problem.ts'
import type { Secret } from '../config/secret.ts'
import { sleep } from '../core/abort.ts'
import type { Finding } from '../core/finding.ts'
import type { Logger } from '../core/logger.ts'
import { reconnectDelayMs } from '../core/reconnect.ts'
import { isPassing } from './start-preflight.ts'

/** The part of `process` that is used; tests bring their own. */
export interface ReloadHost {
  on(name: 'SIGHUP', listener: () => void): unknown
  off(name: 'SIGHUP', listener: () => void): unknown
}

export interface ReloadOptions {
  readonly config: Config
  /** @throws ConfigError */
  readonly read: () => Promise<Config>
  readonly check: (was: Config, is: Config) => Promise<readonly Finding[]>
  readonly log: Logger
  readonly host?: ReloadHost
}

export class Reload implements Disposable {
  readonly #options: ReloadOptions
  readonly #listener = () => this.#receive()
  #config: Config
  #round = new AbortController()
  readonly #disposed = new AbortController()
  #reading: Promise<void> = Promise.resolve()

  constructor(options: ReloadOptions) {
    this.#options = options
    this.#config = options.config
    this.#host.on('SIGHUP', this.#listener)
  }

  /** Begins a round with the newest configuration that can be used; its signal aborts when there is a newer one. */
  begin(): { readonly config: Config; readonly superseded: AbortSignal } {
    if (this.#round.signal.aborted) this.#round = new AbortController()
    return { config: this.#config, superseded: this.#round.signal }
  }

  /** Ends the round; the next one begins with this key. All else stays as it is: nobody asked for edits of the mapping file. */
  takeKey(apiKey: Secret): void {
    this.#config = { ...this.#config, suprsend: { ...this.#config.suprsend, apiKey } }
    this.#round.abort()
  }

  /** Resolves when every signal that came before has had its effect. */
  settled(): Promise<void> {
    return this.#reading
  }

  get #host(): ReloadHost {
    return this.#options.host ?? process
  }

  #receive(): void {
    this.#reading = this.#reading.then(() => this.#readAgain())
  }

  /** Never rejects. A database that cannot be reached is waited for: nothing that was not checked is taken. */
  async #readAgain(): Promise<void> {
    const { log } = this.#options
    const startedAt = performance.now()
    for (let failures = 1; !this.#disposed.signal.aborted; failures += 1) {
      try {
        if ((await this.#take()) === 'done') return
      } catch (error) {
        if (error instanceof ConfigError) log.error({ problems: error.format().split('\n') }, KEPT)
        else log.error({ err: error }, KEPT)
        return
      }
      if (failures === 1) log.warn({}, 'the new configuration is checked as soon as the database can be reached')
      const downMs = performance.now() - startedAt
      await sleep(reconnectDelayMs({ code: undefined, failures, downMs, random: Math.random() }), this.#disposed.signal)
    }
  }

  async #take(): Promise<'done' | 'unreachable'> {
    const { read, check, log } = this.#options
    const config = await read()
    const findings = (await check(this.#config, config)).filter(({ level }) => level === 'error')
    // A sender that is missing is one that this process holds.
    const errors = findings.filter((finding) => !isPassing(finding))
    if (errors.length > 0) {
      for (const { code, message } of errors) log.error({ code }, message)
      log.error({ codes: errors.map(({ code }) => code) }, KEPT)
      return 'done'
    }
    if (findings.some(({ code }) => code === 'server_unreachable')) return 'unreachable'
    this.#warnOfFixed(config)
    this.#config = config
    log.info({ file: config.file }, 'the configuration was read again; going on with it')
    this.#round.abort()
    return 'done'
  }

  /** What a process opens once. */
  #warnOfFixed(config: Config): void {
    const { http, log: level } = this.#config
    if (JSON.stringify([http, level]) === JSON.stringify([config.http, config.log])) return
    this.#options.log.warn({}, 'http.listen and log.level take effect with the next start')
  }

  [Symbol.dispose](): void {
    this.#host.off('SIGHUP', this.#listener)
    this.#disposed.abort()
  }
}

const KEPT = 'the new configuration cannot be used; the former one stays in force'
