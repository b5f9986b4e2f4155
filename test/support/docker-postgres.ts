// PostgreSQL from Docker for the test run, where an engine answers. Kept apart so that testcontainers is loaded only then.
import { once } from 'node:events'
import { connect } from 'node:net'
import type { SharedServer } from './shared-server.ts'

/** Asks the engine's socket in at most half a second; a missing engine costs nothing. */
export async function dockerAnswers(): Promise<boolean> {
  const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock'
  const url = URL.parse(host)
  if (!url) return false
  const socket =
    url.protocol === 'unix:' ? connect(url.pathname) : connect(Number(url.port) || 2375, url.hostname || '127.0.0.1')
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(500) })
    return true
  } catch {
    return false // No engine: the embedded server is used.
  } finally {
    socket.destroy()
  }
}

export async function startDockerPostgres(settings: Readonly<Record<string, string>>): Promise<SharedServer> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql')
  const image = process.env.TEST_POSTGRES_IMAGE ?? 'postgres:18'
  const container = await new PostgreSqlContainer(image)
    .withCommand(['postgres', ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])])
    .start()
  return {
    url: container.getConnectionUri(),
    close: async () => {
      await container.stop()
    },
  }
}
