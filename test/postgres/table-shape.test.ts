// DDL that changes rows, or keeps changes out of the stream, shows in how the table looks; what changes nothing does not.
import { expect, test } from 'vitest'
import { shapeChange, type TableShape } from '../../src/core/table-shape.ts'
import { readTableShape } from '../../src/postgres/table-shape.ts'
import { createTestDatabase } from '../support/database.ts'
import { describe as describeTable } from '../support/followed-table.ts'

const PLAIN = 'CREATE TABLE users (id int PRIMARY KEY, email varchar(40), name text, note text)'
const PARTITIONED = `CREATE TABLE users (id int PRIMARY KEY, email varchar(40), name text, note text) PARTITION BY RANGE (id);
  CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (10); CREATE TABLE high PARTITION OF users FOR VALUES FROM (10) TO (20)`
const SWEPT = { sweep: true }
const REWRITTEN = { code: 'table_rewritten', ...SWEPT, isGap: false }

test.each<[string, string, string, object | null]>([
  [
    'a value that is rewritten by the type it has',
    PLAIN,
    "ALTER TABLE users ALTER name TYPE text USING 'x'",
    REWRITTEN,
  ],
  ['a shorter varchar', PLAIN, 'ALTER TABLE users ALTER email TYPE varchar(5) USING left(email, 5)', REWRITTEN],
  ['TRUNCATE of a partition', PARTITIONED, 'TRUNCATE low', REWRITTEN],
  ['VACUUM FULL', PLAIN, 'VACUUM FULL users', REWRITTEN],
  [
    'a partition that was away for a moment',
    PARTITIONED,
    'ALTER TABLE users DETACH PARTITION low; ALTER TABLE users ATTACH PARTITION low FOR VALUES FROM (0) TO (10)',
    { code: 'partitions_changed', ...SWEPT },
  ],
  ['a table that inherits', PLAIN, 'CREATE TABLE more () INHERITS (users)', { code: 'partitions_changed', ...SWEPT }],
  [
    'a key of another type',
    PLAIN,
    'ALTER TABLE users ALTER id TYPE numeric(10, 2)',
    { code: 'primary_key_changed', ...SWEPT, isGap: false },
  ],
  [
    'a value of an enum that is renamed',
    "CREATE TYPE plan AS ENUM ('a', 'b'); CREATE DOMAIN chosen AS plan; CREATE TABLE users (id int PRIMARY KEY, email varchar(40), name chosen)",
    "ALTER TYPE plan RENAME VALUE 'a' TO 'c'",
    { code: 'columns_changed' },
  ],
  ['a longer varchar', PLAIN, 'ALTER TABLE users ALTER email TYPE varchar(80)', null],
  ['a column more', PLAIN, 'ALTER TABLE users ADD more text DEFAULT 7', null],
  ['an index', PLAIN, 'CREATE INDEX ON users (name)', null],
  ['statistics and a VACUUM', PARTITIONED, 'VACUUM ANALYZE users', null],
  ['rows', PARTITIONED, "INSERT INTO users VALUES (1, 'a', 'b'); UPDATE users SET name = 'c'; DELETE FROM users", null],
])('%s', async (_, create, ddl, expected) => {
  await using database = await createTestDatabase()
  await database.query(`${create}; CREATE PUBLICATION p FOR TABLE ONLY users WITH (publish_via_partition_root)`)
  const table = await describeTable(database, { name: 'users' }, ['email', 'name'])
  const look = async (): Promise<TableShape> => {
    const shape = await readTableShape(database.pool, 'p', table)
    if (shape === null) throw new Error('there is no such table')
    return shape
  }
  const was = await look()
  for (const statement of ddl.split('; ')) await database.query(statement)
  const change = shapeChange(was, await look())
  if (expected === null) expect(change).toBeNull()
  else expect(change).toMatchObject(expected)
})
