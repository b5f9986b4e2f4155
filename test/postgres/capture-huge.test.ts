// P7: one huge transaction in bounded memory, none of its users sent before its commit is stored.
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase } from '../support/database.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const ROWS = 300_000
/** What the process itself has; the pages of Node's own program, which are the machine's to keep, come on top. */
const MOST_BYTES = 180 << 20

async function ownBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

test('300,000 rows in one transaction within 180 MB', async () => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 10)
  await using emulator = await startEmulator()
  await emulator.pause()
  await using service = await startService({
    databaseUrl: database.url,
    emulatorUrl: emulator.url,
    slot: database.slot,
  })
  await service.waitStreaming()
  await until(async () => (await database.query('SELECT FROM suprsync.profile')).length === 10, {
    what: 'the first rows',
  })

  await database.query(
    `INSERT INTO users (id, email, phone, name) SELECT n, 'user' || n || '@example.com', '+1415555' || lpad((n % 10000)::text, 4, '0'), 'User ' || n
     FROM generate_series(1001, ${ROWS + 1000}) n`,
  )
  const progress = async () => {
    const [row] = await database.query<{ stored: number; claimable: number }>(
      `SELECT count(*)::int AS stored, (count(*) FILTER (WHERE change_lsn < (SELECT lsn FROM suprsync.checkpoint)))::int AS claimable
       FROM suprsync.profile WHERE distinct_id::int > 1000`,
    )
    return row ?? { stored: 0, claimable: 0 }
  }
  // Never some of them: all at once, with the transaction's end.
  const seen = new Set<number>()
  let peakBytes = 0
  await until(
    async () => {
      const { stored, claimable } = await progress()
      seen.add(claimable)
      peakBytes = Math.max(peakBytes, await ownBytes(service.pid))
      return stored === ROWS && claimable === ROWS
    },
    { what: 'the transaction to be stored', timeoutMs: 55_000, pollMs: 500 },
  )
  expect([...seen].toSorted((a, b) => a - b)).toEqual([0, ROWS])
  expect(peakBytes).toBeLessThan(MOST_BYTES)
  expect(emulator.users().size).toBe(0)
})
