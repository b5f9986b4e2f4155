// The service's HTTP endpoints: /livez, /readyz and /metrics. Owns the listening socket; what "ready" means and what is
// measured come in as ports. Closing ends idle keep-alive connections too, so that a scraper cannot delay a shutdown.
import { fastify } from 'fastify'
import { errorCode, SuprsyncError } from '../core/error.ts'
import type { Logger } from '../core/logger.ts'

export interface NotReady {
  readonly code: string
  readonly message: string
}

export interface Readiness {
  readonly ready: boolean
  /** What each part of the process does: active, standby, stuck, starting or off. */
  readonly capture: string
  readonly delivery: string
  readonly reasons: readonly NotReady[]
  readonly warnings: readonly NotReady[]
}

export interface HttpOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly readiness: () => Readiness
  readonly metrics: { readonly contentType: string; expose(): Promise<string> }
  readonly log: Logger
}

export interface HttpServer extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** Without a slash at its end. */
  readonly url: string
}

const LISTEN_REASONS: { readonly [code: string]: string } = {
  EADDRINUSE: 'the address is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not listen there',
  ENOTFOUND: 'the host name is not known',
}

/** @throws SuprsyncError `http_listen_failed` */
export async function startHttpServer(options: HttpOptions): Promise<HttpServer> {
  const { readiness, metrics, log } = options
  const app = fastify({ logger: false, forceCloseConnections: true })

  // That it answers is the proof: a wedged event loop does not.
  app.get('/livez', () => ({ live: true }))
  app.get('/readyz', (_request, reply) => {
    const answer = readiness()
    return reply.code(answer.ready ? 200 : 503).send(answer)
  })
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.expose()))

  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ code: 'not_found' }))
  app.setErrorHandler((error, request, reply) => {
    log.warn({ err: error, route: request.routeOptions.url }, 'http request failed')
    return reply.code(500).send({ code: 'internal_error' })
  })

  try {
    await app.listen({ host: options.host, port: options.port })
  } catch (error) {
    await app.close()
    throw listenFailed(options, error)
  }
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port
  return {
    host: options.host,
    port,
    url: `http://${authority(options.host, port)}`,
    [Symbol.asyncDispose]: () => app.close(),
  }
}

function listenFailed({ host, port }: HttpOptions, cause: unknown): SuprsyncError {
  const reason = errorCode(cause) ?? 'unknown'
  const message = `cannot listen on ${authority(host, port)}: ${LISTEN_REASONS[reason] ?? reason}`
  return new SuprsyncError('http_listen_failed', message, { details: { host, port, reason }, cause })
}

function authority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
