// A replication session that the server ends at any moment of its opening: the follower is told, and the process lives on.
// (An `error` event that nobody listens to would end it; Vitest reports that as an unhandled error and fails the run.)
import { expect, test } from 'vitest'
import type { Table } from '../../src/core/row.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { describe, Follower, publish } from '../support/followed-table.ts'

const TIMES = 60

test('ended while it opens or just after: the reason is thrown, and nothing is left without a listener', async () => {
  await using database = await createTestDatabase()
  const startLsn = await publish(database, 'CREATE TABLE users (id bigint PRIMARY KEY)')
  const table = await describe(database)
  for (let time = 0; time < TIMES; time += 1) {
    const following = follow(database, table, startLsn)
    let ended = false
    const end = () => {
      ended = true
    }
    following.then(end, end)
    while (!ended) await endWalSenders(database)
    await expect(following).rejects.toMatchObject({ code: '57P01' })
  }
})

async function follow(database: TestDatabase, table: Table, startLsn: Awaited<ReturnType<typeof publish>>) {
  await using follower = await Follower.open(database, table, { startLsn })
  for (;;) await follower.take()
}

/** Also of those that have not taken the slot yet. */
async function endWalSenders(database: TestDatabase): Promise<void> {
  await database.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'walsender'",
  )
}
