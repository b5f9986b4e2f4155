// /_emulator/ over HTTP: what a test or a developer at a terminal uses to script faults, change settings and look at the
// users. Not part of SuprSend's API and without a key: it holds nothing but test data and listens on loopback by default.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { Exchange } from './exchange.ts'
import { faultSchema } from './fault.ts'
import { readJsonBody } from './request-body.ts'
import { settingsChangeSchema } from './settings.ts'
import { splitTarget } from './user-api.ts'
import type { WaitingRoom } from './waiting-room.ts'
import type { World } from './world.ts'

export const CONTROL_PREFIX = '/_emulator/'

/** One fault as it is, or `{"faults": […]}`. */
const faultsSchema = z.preprocess(
  (body) => (typeof body === 'object' && body !== null && 'faults' in body ? body : { faults: [body] }),
  z.strictObject({ faults: z.array(faultSchema) }),
)

export class ControlApi {
  readonly #world: World
  readonly #waiting: WaitingRoom

  constructor(world: World, waiting: WaitingRoom) {
    this.#world = world
    this.#waiting = waiting
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const exchange = new Exchange(request, response, () => undefined)
    const [path] = splitTarget(request.url ?? '')
    switch (`${request.method} ${path.replace(/\/$/, '')}`) {
      case 'GET /_emulator/users':
        exchange.answer(200, Object.fromEntries(this.#world.users()))
        break
      case 'GET /_emulator/stats':
        exchange.answer(200, this.#world.traffic.stats())
        break
      case 'GET /_emulator/settings':
        exchange.answer(200, this.#shownSettings())
        break
      case 'POST /_emulator/settings':
        withBody({ request, exchange, schema: settingsChangeSchema }, (change) => {
          this.#world.changeSettings(change)
          exchange.answer(200, this.#shownSettings())
        })
        break
      case 'POST /_emulator/faults':
        withBody({ request, exchange, schema: faultsSchema }, ({ faults }) => {
          for (const fault of faults) this.#world.faults.add(fault)
          exchange.answer(201, { added: faults.length })
        })
        break
      case 'DELETE /_emulator/faults':
        this.#world.faults.clear()
        exchange.answer(204, null)
        break
      case 'POST /_emulator/release':
        exchange.answer(200, { released: this.#waiting.release() })
        break
      case 'POST /_emulator/reset':
        this.#waiting.stop()
        this.#world.reset()
        exchange.answer(204, null)
        break
      default:
        this.#history(request, exchange, path)
    }
  }

  #history(request: IncomingMessage, exchange: Exchange, path: string): void {
    const id = /^\/_emulator\/users\/([^/]+)\/history\/?$/.exec(path)?.[1]
    const distinctId = id === undefined ? null : decoded(id)
    if (request.method === 'GET' && distinctId !== null) {
      exchange.answer(200, this.#world.history.of(distinctId))
      return
    }
    exchange.answer(404, { code: 404, message: 'no such endpoint; see docs/emulator.md' })
  }

  #shownSettings(): object {
    const { apiKey, ...rest } = this.#world.settings
    return { ...rest, apiKey: apiKey === null ? null : '[redacted]' }
  }
}

interface Expected<T> {
  readonly request: IncomingMessage
  readonly exchange: Exchange
  readonly schema: z.ZodType<T>
}

function withBody<T>({ request, exchange, schema }: Expected<T>, next: (value: T) => void): void {
  readJsonBody(request, null, (result) => {
    if (result.kind === 'refused') {
      exchange.answer(result.status, { code: result.status, message: result.message })
      return
    }
    const parsed = schema.safeParse(result.body)
    if (parsed.success) next(parsed.data)
    else exchange.answer(400, { code: 400, message: z.prettifyError(parsed.error) })
  })
}

function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment)
  } catch {
    // A URIError: not an id.
    return null
  }
}
