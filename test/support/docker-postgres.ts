// PostgreSQL from Docker for the test run, where an engine answers. Kept apart so that testcontainers is loaded only then.
import { once } from 'node:events'
import { connect } from 'node:net'
import type { SharedServer } from './shared-server.ts'

const PORT = 5432

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

/** Pulls the image when it is not there. Throws what the engine refuses: the pull, the container or its ports. */
export async function startDockerPostgres(settings: Readonly<Record<string, string>>): Promise<SharedServer> {
  const { GenericContainer, Wait } = await import('testcontainers')
  const password = 'test'
  const container = await new GenericContainer(process.env.TEST_POSTGRES_IMAGE ?? 'postgres:18')
    .withEnvironment({ POSTGRES_PASSWORD: password })
    .withExposedPorts(PORT)
    .withCommand(['postgres', ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])])
    // The image's first server only sets the cluster up; the second is the one that stays.
    .withWaitStrategy(Wait.forAll([Wait.forLogMessage(/ready to accept connections/, 2), Wait.forListeningPorts()]))
    .start()
  return {
    url: `postgres://postgres:${password}@${container.getHost()}:${container.getMappedPort(PORT)}/postgres`,
    close: async () => {
      await container.stop()
    },
  }
}
