// docs/operations.md, "A gap": its statements as they stand there. After the slot was lost the service refuses to go on,
// starting over makes every row's user right again, and the lists name exactly what it leaves to be removed by hand.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase } from '../support/database.ts'
import { expectConverged } from '../support/oracle.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { createUsersTable, insertUsers } from '../support/workload.ts'

const [, GAP = ''] = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8').split('### A gap')
const [LISTS = '', DROPS = ''] = [...GAP.matchAll(/```sql\n(.*?)```/gs)].map(([, sql = '']) => sql)
const [DELETED = '', REPLACED = ''] = LISTS.split(';')

test.each(['append', 'replace'] as const)('starting over after a gap, POST that reads as %s', async (postReading) => {
  await using database = await createTestDatabase()
  await createUsersTable(database)
  await insertUsers(database, 10)
  await using emulator = await startEmulator({ postReading })
  const start = () => startService({ databaseUrl: database.url, emulatorUrl: emulator.url, slot: database.slot })
  {
    await using service = await start()
    await service.waitStreaming()
    await expectConverged({ database, emulator, config: service.config })
    await service.stop()
  }
  // The slot goes, and with it what is changed now.
  await database.query('SELECT pg_drop_replication_slot($1)', [database.slot])
  await database.query('DELETE FROM users WHERE id = 1')
  await database.query("UPDATE users SET email = 'new@example.com' WHERE id = 2")
  await database.query('UPDATE users SET email = NULL WHERE id = 3')
  {
    await using service = await start()
    await service.waitFor('the refusal', ({ err }) => codeOf(err) === 'slot_missing')
    await service.stop()
  }

  expect(await database.query(DELETED)).toEqual([{ distinct_id: '1' }])
  const replaced = await database.query<{ distinct_id: string; sent: string }>(`${REPLACED} ORDER BY 1`)
  expect(replaced).toEqual([
    { distinct_id: '2', sent: '["u2@example.com"]' },
    { distinct_id: '3', sent: '["u3@example.com"]' },
  ])
  await database.query(DROPS.replaceAll('suprsync_app', database.slot))

  await using service = await start()
  await service.waitStreaming()
  await until(
    async () => (await database.query('SELECT FROM suprsync.profile WHERE due_at IS NOT NULL')).length === 0,
    {
      what: 'everybody to be sent again',
    },
  )
  expect(emulator.users().size).toBe(10)
  await fetch(`${emulator.url}/v1/user/1/`, { method: 'DELETE', headers: HEADERS })
  for (const { distinct_id: id, sent } of replaced) {
    const operations = JSON.parse(sent).map((email: string) => ({ $remove: { $email: email } }))
    await fetch(`${emulator.url}/v1/user/${id}/`, {
      method: 'PATCH',
      headers: HEADERS,
      body: JSON.stringify({ operations }),
    })
  }
  await expectConverged({ database, emulator, config: service.config })
})

const HEADERS = { authorization: 'Bearer test', 'content-type': 'application/json' }

function codeOf(err: unknown): unknown {
  return typeof err === 'object' && err !== null && 'code' in err ? err.code : null
}
