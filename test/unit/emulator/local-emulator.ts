// An emulator of a test's own with a client on it. Shared by the tests of this folder.
import { type Dispatcher, Pool } from 'undici'
import { expect, vi } from 'vitest'
import { type EmulatorOptions, startEmulator } from '../../../src/emulator/emulator.ts'

export interface Reply {
  readonly status: number
  readonly headers: Record<string, unknown>
  readonly text: string
  readonly body: Record<string, unknown> | null
}

interface Call {
  readonly body?: unknown
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

export async function started(options: EmulatorOptions = {}) {
  const emulator = await startEmulator(options)
  const pool = new Pool(emulator.url)
  const call = async (method: Dispatcher.HttpMethod, path: string, given: Call = {}): Promise<Reply> => {
    const { body, headers = {}, signal } = given
    const answer = await pool.request({
      method,
      path,
      headers: { authorization: 'Bearer key', 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    })
    const text = await answer.body.text()
    const json = String(answer.headers['content-type']).startsWith('application/json')
    return { status: answer.statusCode, headers: answer.headers, text, body: json ? JSON.parse(text) : null }
  }
  return {
    emulator,
    call,
    at: (id: string) => `/v1/user/${encodeURIComponent(id)}/`,
    [Symbol.asyncDispose]: async () => {
      await pool.destroy()
      await emulator.destroy()
    },
  }
}

/** Waits for the condition, at most a few seconds. */
export const until = (condition: () => boolean) =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 5000, interval: 5 })
