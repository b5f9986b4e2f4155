// Which columns the indexes of the state's busy tables depend on, predicates and expressions included: an UPDATE of one of
// them is no HOT update and writes to every index of its table.
import { expect, test } from 'vitest'
import { CaptureHarness } from '../support/capture-harness.ts'
import { createTestDatabase } from '../support/database.ts'

test.for([
  { table: 'source_row', never: ['part', 'part_hash', 'row_hash', 'change_xid', 'change_lsn', 'read_snapshot'] },
  {
    table: 'profile',
    never: ['desired', 'desired_hash', 'changed_at', 'pending_since', 'change_lsn', 'sending', 'claimed_by'],
  },
])('no index of $table depends on what an edit or a claim changes', async ({ table, never }) => {
  await using database = await createTestDatabase()
  await using _harness = await CaptureHarness.create(database, {
    create: 'CREATE TABLE users (id int PRIMARY KEY, email text)',
    profile: { $email: 'email' },
  })
  const rows = await database.query<{ column: string }>(
    `select distinct a.attname as column from pg_index i
     join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.refobjid = i.indrelid
     join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
     where i.indrelid = 'suprsync.${table}'::regclass and not i.indisprimary`,
  )
  const columns = rows.map(({ column }) => column)
  expect(columns).toContain('distinct_id')
  expect(columns.filter((column) => never.includes(column))).toEqual([])
})
