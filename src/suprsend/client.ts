// The HTTP client of SuprSend's user API, and the only importer of undici. One request in, one Answer out: no retries, no
// redirects, no conclusions. Guarantees: `send` does not reject for what networks do; no connection carries two requests at
// once; bodies and credentials appear in no error. Uses `dispatch`, which spares undici's stream per
// response and tells exactly whether anything was written.
import { buildConnector, type Dispatcher, Pool } from 'undici'
import type { Answer, ApiRequest } from '../core/api.ts'
import { SuprsyncError } from '../core/error.ts'
import { ABORTED } from '../core/outcome.ts'
import { AnswerBuffer } from './answer.ts'
import { passOverContinue } from './interim-answer.ts'
import { type WireRequest, wireRequest } from './request.ts'

export interface ClientOptions {
  /** With or without a path prefix and a trailing slash. */
  readonly baseUrl: string
  readonly apiKey: { reveal(): string }
  readonly maxInFlight: number
  readonly connectTimeoutMs: number
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
  /** `suprsync/<version>` */
  readonly userAgent: string
}

export interface SuprsendClient extends AsyncDisposable {
  /**
   * Aborted before it was written: `unsent`; later: `unclear`; both with code `aborted`. `mayLeave` is asked last, when it
   * is about to be written, which may be a while later; false aborts it.
   */
  send(userId: string, request: ApiRequest, signal: AbortSignal, mayLeave?: () => boolean): Promise<Answer>
  /** Takes no more requests and waits for those under way. */
  close(): Promise<void>
  /** Resets the connections; requests under way end `unclear`. */
  destroy(): Promise<void>
}

export function createClient(options: ClientOptions): SuprsendClient {
  const base = new URL(options.baseUrl)
  const basePath = base.pathname.replace(/\/+$/, '')
  const connect = buildConnector({ allowH2: false, timeout: options.connectTimeoutMs })
  const pool = new Pool(base.origin, {
    connections: options.maxInFlight,
    pipelining: 1,
    // One request a connection is what `unclear` and the bound on requests in flight are reasoned about.
    allowH2: false,
    connect: (to, done) =>
      connect(to, (...[error, socket]) => {
        if (error !== null) return done(error, null)
        passOverContinue(socket)
        done(null, socket)
      }),
    headersTimeout: options.headersTimeoutMs,
    bodyTimeout: options.bodyTimeoutMs,
  })
  const headers = {
    authorization: `Bearer ${options.apiKey.reveal()}`,
    'content-type': 'application/json',
    // Without it any coding would be right (RFC 9110, 12.5.3). Who compresses all the same is understood.
    'accept-encoding': 'identity',
    'user-agent': options.userAgent,
  }
  // Undici's own time-outs begin anew with every chunk of a body, and with every interim answer (1xx).
  const limitMs = options.headersTimeoutMs + options.bodyTimeoutMs
  let closing: Promise<void> | null = null
  let destroying: Promise<void> | null = null

  const close = () => {
    // Undici refuses to close what is destroyed; for our callers it is closed then.
    closing ??= destroying ?? pool.close()
    return closing
  }
  const destroy = () => {
    destroying ??= pool.destroy()
    return destroying
  }
  return {
    send: async (userId, request, signal, mayLeave = () => true) => {
      const wire = wireRequest(basePath, userId, request)
      if (signal.aborted) return { kind: 'unsent', code: ABORTED }
      return exchange(pool, wire, headers, { signal, mayLeave, limitMs })
    },
    close,
    destroy,
    [Symbol.asyncDispose]: close,
  }
}

interface Limits {
  readonly signal: AbortSignal
  readonly mayLeave: () => boolean
  /** For the whole of an answer, from when the request is written. */
  readonly limitMs: number
}

function exchange(
  pool: Pool,
  wire: WireRequest,
  headers: Readonly<Record<string, string>>,
  { signal, mayLeave, limitMs }: Limits,
): Promise<Answer> {
  return new Promise((resolve) => {
    const buffer = new AnswerBuffer()
    let controller: Dispatcher.DispatchController | null = null
    let settled = false
    let limit: NodeJS.Timeout | undefined
    const settle = (answer: Answer) => {
      if (settled) return
      settled = true
      clearTimeout(limit)
      signal.removeEventListener('abort', abort)
      resolve(answer)
    }
    const fail = (error: unknown) => settle(buffer.broken(error))
    const abort = () => {
      // First the answer, so that the reason is ours and not undici's; then the socket.
      fail(new SuprsyncError(ABORTED, 'given up'))
      controller?.abort(new SuprsyncError(ABORTED, 'given up'))
    }
    signal.addEventListener('abort', abort)
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(given) {
        if (!settled && !mayLeave()) fail(new SuprsyncError(ABORTED, 'given up'))
        // Given up while it waited for a connection: nothing may be written any more.
        if (settled) return given.abort(new SuprsyncError(ABORTED, 'given up'))
        controller = given
        buffer.started = true
        limit = setTimeout(() => given.abort(new SuprsyncError('answer_too_slow', 'the answer took too long')), limitMs)
      },
      onResponseStart(_, status, responseHeaders) {
        buffer.begin(status, responseHeaders, Date.now())
      },
      onResponseData(given, chunk) {
        if (!buffer.add(chunk)) given.abort(new SuprsyncError('answer_too_large', 'the answer is too large'))
      },
      onResponseEnd: () => settle(buffer.whole()),
      onResponseError: (_, error) => fail(error),
    }
    try {
      pool.dispatch({ method: wire.method, path: wire.path, body: wire.body, headers }, handler)
    } catch (error) {
      // Dispatch throws for a closed pool and for a header that HTTP cannot carry; nothing was written.
      fail(error)
    }
  })
}
