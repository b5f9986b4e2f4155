// While SuprSend refuses the API key, the file it came from is looked at: a rotated secret is taken without a signal and without
// a restart. By its content, for a mounted secret is swapped by symbolic links. Only while the key is refused: until then a
// rotation has to wait for nobody. What is done with the new key is the owner's.
import type { KeyReading } from '../config/api-key.ts'
import type { Secret } from '../config/secret.ts'
import { sleep } from '../core/abort.ts'
import type { Logger } from '../core/logger.ts'

const EVERY_MS = 2_000

export interface KeyWatchOptions {
  /** In force. */
  readonly key: Secret
  /** Never rejects. */
  readonly read: () => Promise<KeyReading>
  readonly isRefused: () => boolean
  /** Called once at most. */
  readonly onKey: (key: Secret) => void
  readonly log: Logger
  readonly everyMs?: number
}

export class KeyWatch implements AsyncDisposable {
  readonly #options: KeyWatchOptions
  readonly #disposed = new AbortController()
  readonly #watching: Promise<void>
  #said: string | null = null

  constructor(options: KeyWatchOptions) {
    this.#options = options
    this.#watching = this.#watch()
  }

  async #watch(): Promise<void> {
    const { isRefused, everyMs = EVERY_MS } = this.#options
    const { signal } = this.#disposed
    for (;;) {
      await sleep(everyMs, signal)
      if (signal.aborted) return
      if (isRefused() && (await this.#look())) return
    }
  }

  /** Whether there was another key. */
  async #look(): Promise<boolean> {
    const { key, read, onKey, log } = this.#options
    const found = await read()
    if (this.#disposed.signal.aborted) return true
    if (found.kind === 'problem') {
      if (found.message !== this.#said) log.warn({ problem: found.message }, 'no API key can be read from its file')
      this.#said = found.message
      return false
    }
    this.#said = null
    if (found.key.reveal() === key.reveal()) return false
    log.info({}, 'another API key stands in its file; going on with it')
    onKey(found.key)
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort()
    await this.#watching
  }
}
