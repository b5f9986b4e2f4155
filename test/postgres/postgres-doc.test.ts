// docs/postgres.md: a role made by its SQL may do all that suprsync does and nothing to the application, and its other SQL
// takes everything away again.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { isSupported } from '../../src/core/values.ts'
import { checkSource, checkState } from '../../src/postgres/check.ts'
import { connectionConfig, openClient } from '../../src/postgres/connection.ts'
import { createSlot } from '../../src/postgres/slot.ts'
import { openStateDatabase } from '../../src/state/database.ts'
import { migrate } from '../../src/state/migrations.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const DOC = readFileSync(new URL('../../docs/postgres.md', import.meta.url), 'utf8')
const [PREPARE = '', REMOVE = ''] = [...DOC.matchAll(/```sql\n(.*?)```/gs)].map(([, sql = '']) => sql)
const COLUMNS = ['id', 'email', 'phone', 'country', 'timezone', 'locale', 'name', 'plan', 'deleted_at']
const PASSWORD = 'choose-one'

/** Roles and slots are the whole server's, which other tests share: the names of this test's own. */
function own(sql: string, database: TestDatabase): string {
  return sql
    .replaceAll(/(ROLE|TO|FROM|AUTHORIZATION) suprsync\b/g, `$1 ${database.name}`)
    .replaceAll('DATABASE app', `DATABASE ${database.name}`)
    .replaceAll('suprsync_app', database.slot)
}

test('the role may do what suprsync does, and no more; and all of it can be taken away', async () => {
  await using database = await createTestDatabase()
  await database.query(
    `CREATE TABLE users (id bigint PRIMARY KEY, ${COLUMNS.slice(1).map((name) => `${name} text`)}, secret text)`,
  )
  await database.query("INSERT INTO users (id, email, secret) VALUES (1, 'a@example.com', 'not for suprsync')")
  await database.query(own(PREPARE, database))

  const connection = connectionConfig(database.urlAs(database.name, PASSWORD))
  const wanted = {
    tables: [{ table: { schema: 'public', name: 'users' }, columns: COLUMNS, distinctId: 'id', supports: isSupported }],
    publication: 'suprsync',
    slot: database.slot,
    create: true,
  }
  const findings = [
    ...(await checkSource(connection, wanted)),
    ...(await checkState(connection, { schema: 'suprsync' })),
  ]
  expect(findings.filter(({ level }) => level === 'error')).toEqual([])

  const state = openStateDatabase({ connection, schema: 'suprsync', maxConnections: 1, onIdleError: () => undefined })
  try {
    expect(await migrate(state, 'suprsync')).toContain('0001_state.sql')
  } finally {
    await state.destroy()
  }
  const client = await openClient(connection)
  try {
    await createSlot(client, { name: database.slot })
    expect((await client.query(`SELECT ${COLUMNS.join(', ')} FROM users`)).rows).toHaveLength(1)
    const denied = { code: '42501' }
    await expect(client.query('SELECT secret FROM users')).rejects.toMatchObject(denied)
    await expect(client.query("UPDATE users SET email = ''")).rejects.toMatchObject(denied)
    await expect(client.query('DELETE FROM users')).rejects.toMatchObject(denied)
    await expect(client.query('ALTER TABLE users ADD COLUMN more int')).rejects.toMatchObject(denied)
  } finally {
    await client.end()
  }

  await database.query(own(REMOVE, database))
  const left = await database.query(
    `SELECT rolname AS name FROM pg_roles WHERE rolname = '${database.name}'
     UNION ALL SELECT slot_name FROM pg_replication_slots WHERE slot_name = '${database.slot}'
     UNION ALL SELECT pubname FROM pg_publication
     UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'suprsync'`,
  )
  expect(left).toEqual([])
})
