// The benchmark's end of a sink: the trivial server or the emulator, each in a process of its own.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const SERVER = fileURLToPath(new URL('./sink-server.ts', import.meta.url))
const BIN = fileURLToPath(new URL('../bin/suprsync.js', import.meta.url))

export interface Sink extends AsyncDisposable {
  readonly url: string
  requests(): Promise<number>
}

export class TrivialSink implements Sink {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.url = `http://127.0.0.1:${port}`
  }

  static async start(latencyMs: number): Promise<TrivialSink> {
    const child = fork(SERVER, [String(latencyMs)])
    const [message] = await once(child, 'message')
    return new TrivialSink(child, (message as { port: number }).port)
  }

  async requests(): Promise<number> {
    return (await this.#ask<{ requests: number }>('count')).requests
  }

  /** When each `seq` first arrived, in milliseconds since 1970 with fractions. */
  async arrivals(): Promise<ReadonlyMap<number, number>> {
    return new Map((await this.#ask<{ arrivals: [number, number][] }>('arrivals')).arrivals)
  }

  async reset(): Promise<void> {
    await this.#ask('reset')
  }

  async #ask<T>(question: string): Promise<T> {
    const answer = once(this.#child, 'message')
    this.#child.send(question)
    return (await answer)[0] as T
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

export class EmulatorSink implements Sink {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  static async start(latencyMs = 0): Promise<EmulatorSink> {
    const args = ['emulate', '--listen', '127.0.0.1:0', '--json', '--quiet', '--latency', String(latencyMs)]
    const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const { url } = JSON.parse(line.toString()) as { url: string }
    return new EmulatorSink(child, url)
  }

  async requests(): Promise<number> {
    return (await this.stats()).requests
  }

  /** Calls by method and status. */
  async stats(): Promise<{ readonly requests: number; readonly calls: Record<string, Record<string, number>> }> {
    return (await (await fetch(`${this.url}/_emulator/stats`)).json()) as Awaited<ReturnType<EmulatorSink['stats']>>
  }

  /** What docs/emulator.md has under `/_emulator/`. */
  async control(method: 'POST' | 'DELETE', path: 'settings' | 'faults', body?: object): Promise<void> {
    const headers = { 'content-type': 'application/json' }
    const sent = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) }
    const answer = await fetch(`${this.url}/_emulator/${path}`, sent)
    if (!answer.ok) throw new Error(`the emulator answers ${answer.status} to ${method} ${path}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await exited
  }
}
