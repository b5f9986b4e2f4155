// The one PostgreSQL that a test run shares: TEST_POSTGRES_URL (a superuser on a server with wal_level=logical), else
// Docker where an engine answers and can start one, else the embedded 18 or TEST_POSTGRES_MAJOR. Tests that stop or
// reconfigure a server start their own instead.
import { errorMessage } from '../../src/core/error.ts'
import { startCluster } from './cluster.ts'
import { dockerAnswers, startDockerPostgres } from './docker-postgres.ts'

export interface SharedServer {
  readonly url: string
  close(): Promise<void>
}

const settings = { wal_level: 'logical', max_wal_senders: '40', max_replication_slots: '40', fsync: 'off' }

export async function startSharedServer(): Promise<SharedServer> {
  const given = process.env.TEST_POSTGRES_URL
  if (given) return { url: given, close: async () => undefined }
  if (!process.env.TEST_POSTGRES_MAJOR && (await dockerAnswers())) {
    try {
      return await startDockerPostgres(settings)
    } catch (error) {
      // No network for the image, say. A run that could do without Docker does.
      const [reason] = errorMessage(error).split('\n')
      process.stderr.write(`Docker gives no PostgreSQL (${reason}): the tests use the embedded one.\n`)
    }
  }
  const cluster = await startCluster({ settings })
  return { url: cluster.url(), close: () => cluster[Symbol.asyncDispose]() }
}
