// Watches what the service does to the application's database while a test runs (P5): how old its transactions become, and whether
// any session of the application waits for one of them.
import pg from 'pg'
import type { TestDatabase } from './database.ts'

const LOOK = `
  SELECT coalesce(max(extract(epoch FROM clock_timestamp() - o.xact_start)) FILTER (WHERE o.application_name LIKE 'suprsync%'), 0)::float8 * 1000 AS oldest,
    count(*) FILTER (WHERE o.application_name LIKE 'suprsync%')::int AS seen,
    coalesce(max(extract(epoch FROM clock_timestamp() - o.query_start)) FILTER (WHERE o.application_name NOT LIKE 'suprsync%' AND EXISTS (
      SELECT FROM unnest(pg_blocking_pids(o.pid)) AS b (pid) JOIN pg_stat_activity h ON h.pid = b.pid
      WHERE h.application_name LIKE 'suprsync%' AND h.xact_start IS NOT NULL)), 0)::float8 * 1000 AS waited
  FROM pg_stat_activity o
  WHERE o.datname = current_database() AND o.backend_type = 'client backend' AND o.xact_start IS NOT NULL AND o.pid <> pg_backend_pid()`

export class OurTransactions implements AsyncDisposable {
  readonly #client: pg.Client
  #watching: Promise<void> = Promise.resolve()
  #isOver = false
  /** Looks that found a transaction of ours. */
  seen = 0
  /** Of any transaction of ours, milliseconds. */
  oldestMs = 0
  /** The longest that a session of the application waited for a lock that ours held, milliseconds. */
  longestWaitMs = 0

  private constructor(client: pg.Client) {
    this.#client = client
  }

  static async watch(database: TestDatabase): Promise<OurTransactions> {
    const client = new pg.Client({ connectionString: database.url, application_name: 'watch' })
    await client.connect()
    const watch = new OurTransactions(client)
    watch.#watching = watch.#look()
    watch.#watching.catch(() => undefined) // thrown when it is disposed of
    return watch
  }

  async #look(): Promise<void> {
    while (!this.#isOver) {
      const { rows } = await this.#client.query<{ oldest: number; seen: number; waited: number }>(LOOK)
      const { oldest = 0, seen = 0, waited = 0 } = rows[0] ?? {}
      this.seen += seen
      this.oldestMs = Math.max(this.oldestMs, oldest)
      this.longestWaitMs = Math.max(this.longestWaitMs, waited)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    try {
      await this.#watching
    } finally {
      await this.#client.end()
    }
  }
}
