// SIGHUP: the configuration is read again. One that can be used ends the present round, and the next one begins with it; one
// that cannot changes nothing, and its problems are said. Two signals in a row are two readings, one after the other.
import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/problem.ts'
import type { Finding } from '../core/finding.ts'
import type { Logger } from '../core/logger.ts'
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
  readonly check: (config: Config) => Promise<readonly Finding[]>
  readonly log: Logger
  readonly host?: ReloadHost
}

export class Reload implements Disposable {
  readonly #options: ReloadOptions
  readonly #listener = () => this.#receive()
  #config: Config
  #round = new AbortController()
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

  /** Never rejects. */
  async #readAgain(): Promise<void> {
    const { read, check, log } = this.#options
    try {
      const config = await read()
      // What comes back by itself is waited for, as at a start.
      const errors = (await check(config)).filter((finding) => finding.level === 'error' && !isPassing(finding))
      if (errors.length > 0) {
        for (const { code, message } of errors) log.error({ code }, message)
        log.error({ codes: errors.map(({ code }) => code) }, KEPT)
        return
      }
      this.#warnOfFixed(config)
      this.#config = config
      log.info({ file: config.file }, 'the configuration was read again; going on with it')
      this.#round.abort()
    } catch (error) {
      if (error instanceof ConfigError) log.error({ problems: error.format().split('\n') }, KEPT)
      else log.error({ err: error }, KEPT)
    }
  }

  /** What a process opens once. */
  #warnOfFixed(config: Config): void {
    const { http, log: level } = this.#config
    if (JSON.stringify([http, level]) === JSON.stringify([config.http, config.log])) return
    this.#options.log.warn({}, 'http.listen and log.level take effect with the next start')
  }

  [Symbol.dispose](): void {
    this.#host.off('SIGHUP', this.#listener)
  }
}

const KEPT = 'the new configuration cannot be used; the former one stays in force'
