// `approve` and `reject` as they are run, killed between two of their slices: the breaker stays open with what is not decided, and the
// next one goes on with exactly that.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { createTestDatabase } from '../support/database.ts'
import { BIN, install } from '../support/installation.ts'
import { makeStateAtCheckpoint } from '../support/seeded-state.ts'
import { until } from '../support/wait.ts'

/** Of more than two slices. */
const HELD = 12_000

test.each(['approve', 'reject'] as const)('%s is killed halfway, and run again', async (name) => {
  await using database = await createTestDatabase()
  const db = await makeStateAtCheckpoint(database)
  await db.destroy()
  await using installation = await install({ database, suprsendUrl: 'http://127.0.0.1:9' })
  await database.query(
    `INSERT INTO suprsync.profile (distinct_id, bucket, synced, synced_hash, changed_at, lost_at, held, change_lsn)
     SELECT 'u' || lpad(n::text, 6, '0'), 0, '{"channels": {}, "properties": {}}', 'h', now(), now(), true, '0/1'
     FROM generate_series(1, $1::int) n`,
    [HELD],
  )
  await database.query(`INSERT INTO suprsync.breaker (recent, users) VALUES (${HELD}, ${HELD})`)
  const held = async () => (await database.query('SELECT FROM suprsync.profile WHERE held')).length

  const blocker = await database.pool.connect()
  try {
    await blocker.query('BEGIN')
    await blocker.query("SELECT FROM suprsync.profile WHERE distinct_id = 'u007000' FOR UPDATE")
    const command = spawn(process.execPath, [BIN, name, '--yes', '--config', installation.file], { stdio: 'ignore' })
    const ended = once(command, 'close')
    const waiting = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    const [found] = await until(
      async () => {
        const rows = await database.query<{ pid: number }>(waiting)
        return rows.length > 0 ? rows : null
      },
      { what: 'the second slice to wait', timeoutMs: 20_000 },
    )
    command.kill('SIGKILL')
    await ended
    // The host is gone as well: nothing finishes what it had begun.
    await database.query('SELECT pg_terminate_backend($1)', [found?.pid])
    await until(async () => (await database.query(waiting)).length === 0, { what: 'its session to be gone' })
  } finally {
    await blocker.query('ROLLBACK')
    blocker.release()
  }
  const left = await held()
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThan(HELD)
  expect(await database.query('SELECT FROM suprsync.breaker')).toHaveLength(1)
  const status = JSON.parse((await installation.run('status', '--json')).stdout) as { readonly breaker: object }
  expect(status.breaker).toMatchObject({ open: true, held: { deletions: left, channels: 0, at_least: false } })

  const again = await installation.run(name, '--yes', '--json')
  expect(JSON.parse(again.stdout)).toEqual({ open: false, users: left })
  expect(await held()).toBe(0)
  expect(await database.query('SELECT FROM suprsync.breaker')).toEqual([])
  const [decided] = await database.query(
    `SELECT count(*) FILTER (WHERE due_at IS NOT NULL)::int AS due, count(*) FILTER (WHERE rejected)::int AS rejected FROM suprsync.profile`,
  )
  expect(decided).toEqual(name === 'approve' ? { due: HELD, rejected: 0 } : { due: 0, rejected: HELD })
  const { rejected } = JSON.parse((await installation.run('status', '--json')).stdout) as { readonly rejected: object }
  expect(rejected).toEqual({ total: name === 'approve' ? 0 : HELD, at_least: false })
})
