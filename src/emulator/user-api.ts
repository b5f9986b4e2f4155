// /v1/user/ over HTTP: reads the request, lets faults and settings have their way, applies it to the users and answers as
// the API does. The distinct_id is cut from the raw request target and decoded once, so that ids with `/`, `%` or emoji
// stay what the client meant. What a request does to a user is in user-store.ts.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Json } from '../core/json.ts'
import { type Ending, Exchange } from './exchange.ts'
import type { FaultAction } from './fault.ts'
import { readJsonBody } from './request-body.ts'
import { answerBody, listUsers, type UserRequest } from './user-store.ts'
import { NO_OPERATIONS, operationsOf } from './validation.ts'
import type { WaitingRoom } from './waiting-room.ts'
import type { World } from './world.ts'

export interface RequestLine {
  readonly method: string
  /** Null for the list and for paths that name no user. */
  readonly distinctId: string | null
  readonly status: Ending
  readonly durationMs: number
}

/** Who watches; must not throw. */
export interface Watchers {
  /** Told of every request of the user API when its headers are there; `atMs` is of `performance.now()`. */
  readonly onArrival: ((arrival: { readonly distinctId: string | null; readonly atMs: number }) => void) | null
  /** Told of every one that has ended. */
  readonly onRequest: ((line: RequestLine) => void) | null
}

const PREFIX = '/v1/user/'
const UNAUTHORIZED = 'Not Authenticated - could not find Workspace details'
const HTML = '<html><body>ok</body></html>'
const DEFAULT_PAGE = 10
const MAX_PAGE = 1000

export class UserApi {
  readonly #world: World
  readonly #waiting: WaitingRoom
  readonly #watchers: Watchers

  constructor(world: World, waiting: WaitingRoom, watchers: Watchers) {
    this.#world = world
    this.#waiting = waiting
    this.#watchers = watchers
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const method = request.method ?? ''
    const [path = '', query = ''] = splitTarget(request.url ?? '')
    const distinctId = distinctIdOf(path)
    const written = method === 'GET' ? null : distinctId
    const startedAtMs = performance.now()
    const arrival = this.#world.traffic.arrived(written, startedAtMs)
    this.#watchers.onArrival?.({ distinctId, atMs: startedAtMs })
    const exchange = new Exchange(request, response, (status, clientLeft) => {
      const nowMs = performance.now()
      this.#world.traffic.ended(arrival, { method, status, clientLeft, nowMs })
      this.#watchers.onRequest?.({ method, distinctId, status, durationMs: nowMs - startedAtMs })
    })
    if (!this.#admits(request, exchange)) return
    if (path === PREFIX && method === 'GET') {
      exchange.answer(200, listUsers(this.#world.stored, pageQuery(query)))
    } else if (distinctId === null) {
      refuse(exchange, path === PREFIX ? 405 : 404, `no such endpoint: ${method} on this path`)
    } else {
      this.#route(request, { exchange, response, method, distinctId })
    }
  }

  #route(message: IncomingMessage, call: Call): void {
    switch (call.method) {
      case 'GET':
        this.#meet(call, { kind: 'get' })
        break
      case 'DELETE':
        this.#meet(call, { kind: 'delete' })
        break
      case 'POST':
      case 'PATCH':
        readJsonBody(message, this.#world.settings.bodyLimitBytes, (result) => {
          if (result.kind === 'refused') return refuse(call.exchange, result.status, result.message)
          if (call.method === 'POST') return this.#meet(call, { kind: 'upsert', body: result.body })
          const operations = operationsOf(result.body)
          if (operations === null) refuse(call.exchange, 400, NO_OPERATIONS)
          else this.#meet(call, { kind: 'edit', operations })
        })
        break
      default:
        refuse(call.exchange, 405, `method not allowed: ${call.method}`)
    }
  }

  /** The key and the rate limit, which come before any user. */
  #admits(request: IncomingMessage, exchange: Exchange): boolean {
    const { apiKey, unauthorized, rateLimit } = this.#world.settings
    const key = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
    const known = key !== undefined && (apiKey === null || key === apiKey)
    const waitSeconds = known && !unauthorized ? this.#world.rate.excess(rateLimit, Date.now()) : null
    if (known && !unauthorized && waitSeconds === null) return true
    if (waitSeconds === null) exchange.answer(401, UNAUTHORIZED)
    else refuse(exchange, 429, 'too many requests', ['retry-after', String(waitSeconds)])
    return false
  }

  #meet(call: Call, request: UserRequest): void {
    const { faults, random, settings } = this.#world
    const action = faults.take(call.distinctId, call.method) ?? random.draw(settings.failureRate)
    const apply = (): Applied => {
      const answer = this.#world.apply(call.distinctId, call.method, request)
      return { status: answer.status, body: answerBody(answer) }
    }
    if (action === null) this.#answer(call, apply())
    else this.#suffer(call, action, apply)
  }

  #suffer(call: Call, action: FaultAction, apply: () => Applied): void {
    const { exchange } = call
    switch (action.kind) {
      case 'status':
        this.#answer(call, { status: action.status, body: faultBody(action) }, action.retryAfter)
        break
      case 'apply_then_status':
        apply()
        this.#answer(call, { status: action.status, body: faultBody(action) })
        break
      case 'reset':
        exchange.reset()
        break
      case 'apply_then_drop':
        apply()
        exchange.drop()
        break
      case 'delay':
        this.#waiting.delay(call.response, action.ms, (end) => {
          if (end === 'due') this.#answer(call, apply())
          else exchange.drop()
        })
        break
      case 'hold':
        this.#hold(call, action.apply, apply)
        break
      case 'garbage':
        apply()
        if (action.body === 'huge') exchange.answerHuge(action.status, action.sizeBytes)
        else this.#answer(call, { status: action.status, body: action.body === 'html' ? HTML : null })
        break
    }
  }

  #hold(call: Call, when: 'before' | 'after' | 'never', apply: () => Applied): void {
    const early = when === 'before' ? apply() : null
    this.#waiting.hold(call.response, (end) => {
      const answer = when === 'after' && end !== 'stopped' ? apply() : early
      if (answer === null || end !== 'due') call.exchange.drop()
      else call.exchange.answer(answer.status, answer.body)
    })
  }

  /** Latency is the way back: what is answered late was applied when it arrived. */
  #answer({ exchange, response }: Call, { status, body }: Applied, retryAfter?: number | string): void {
    const headers = retryAfter === undefined ? [] : ['retry-after', String(retryAfter)]
    const { latencyMs } = this.#world.settings
    if (latencyMs === 0) {
      exchange.answer(status, body, headers)
      return
    }
    this.#waiting.delay(response, latencyMs, (end) => {
      if (end === 'due') exchange.answer(status, body, headers)
      else exchange.drop()
    })
  }
}

interface Call {
  readonly exchange: Exchange
  readonly response: ServerResponse
  readonly method: string
  readonly distinctId: string
}

interface Applied {
  readonly status: number
  readonly body: Json
}

export function splitTarget(target: string): readonly [path: string, query: string] {
  const at = target.indexOf('?')
  return at === -1 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)]
}

/** Null when the path is not exactly `/v1/user/{id}/`, slash included, or its escapes are none. */
function distinctIdOf(path: string): string | null {
  if (!path.startsWith(PREFIX) || !path.endsWith('/') || path.length <= PREFIX.length) return null
  const segment = path.slice(PREFIX.length, -1)
  if (segment.includes('/')) return null
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    // A URIError: a lone % or broken UTF-8 is no id.
    return null
  }
}

function pageQuery(query: string): { limit: number; before: string; after: string } {
  const params = new URLSearchParams(query)
  const limit = Number.parseInt(params.get('limit') ?? '', 10)
  return {
    limit: Number.isNaN(limit) ? DEFAULT_PAGE : Math.min(Math.max(limit, 1), MAX_PAGE),
    before: params.get('before') ?? '',
    after: params.get('after') ?? '',
  }
}

function faultBody(action: { readonly status: number; readonly body?: Json | undefined }): Json {
  if (action.body !== undefined) return action.body
  if (action.status === 401) return UNAUTHORIZED
  return action.status === 204 ? null : { code: action.status, message: 'scripted by the emulator' }
}

function refuse(exchange: Exchange, status: number, message: string, headers: readonly string[] = []): void {
  exchange.answer(status, { code: status, message }, headers)
}
