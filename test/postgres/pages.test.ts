// Keyset pages: every row once and in order, by keys of whatever type, in pages of whatever size; single rows by their keys.
import pg from 'pg'
import { expect, test } from 'vitest'
import type { TextRow } from '../../src/core/row.ts'
import { connectionConfig } from '../../src/postgres/connection.ts'
import { PageReader } from '../../src/postgres/pages.ts'
import { createTestDatabase } from '../support/database.ts'
import { describe } from '../support/followed-table.ts'

test.for([
  ['int8', 'SELECT (9007199254740900 + n)::int8 FROM generate_series(1, 150) n'],
  ['text', "SELECT chr(64 + n) || repeat('''%_', n % 3) || n FROM generate_series(1, 150) n"],
  ['text COLLATE "und-x-icu"', "SELECT CASE n % 2 WHEN 0 THEN 'ä' ELSE 'Z' END || n FROM generate_series(1, 150) n"],
  ['uuid', 'SELECT gen_random_uuid() FROM generate_series(1, 150)'],
  ['timestamptz', "SELECT '2024-01-01'::timestamptz + n * '1.000001 s'::interval FROM generate_series(1, 150) n"],
  ['numeric', 'SELECT n / 7.0 FROM generate_series(1, 150) n'],
  ['char(4)', 'SELECT n::text FROM generate_series(1, 150) n'],
] as const)('pages by a key of %s and another column, in any page size', async ([type, keys]) => {
  await using database = await createTestDatabase()
  await database.query(
    `CREATE TABLE "Users" ("Key" ${type}, part int, PRIMARY KEY (part, "Key")); INSERT INTO "Users" SELECT k, row_number() OVER () % 3 FROM (${keys}) t(k)`,
  )
  const table = await describe(database, { name: 'Users' })
  const pool = new pg.Pool(connectionConfig(database.url))
  try {
    const pages = new PageReader(pool, table)
    const everything = (await pages.page(null, 1_000)).rows
    expect(everything).toHaveLength(150)
    for (const limit of [1, 7, 149, 150]) {
      const read: TextRow[] = []
      for (let cursor: TextRow | null = null; ; ) {
        const { rows } = await pages.page(cursor, limit)
        read.push(...rows)
        const last = rows.at(-1)
        if (!last) break
        cursor = last.slice(0, 2)
      }
      expect(read).toEqual(everything)
    }
    const some = everything.filter((_, index) => index % 10 === 0)
    const found = await pages.rows([...some.map((row) => row.slice(0, 2)), ['7', some[0]?.[1] ?? null]])
    expect(found.rows.toSorted()).toEqual(some.toSorted())
    expect(await pages.rows([])).toMatchObject({ rows: [] })
  } finally {
    await pool.end()
  }
})
