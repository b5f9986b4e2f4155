// The SQL that `init` prints: what a managed database needs instead, and names that would end a comment or a statement.
// That a real server takes it is shown by test/postgres/init.test.ts.
import { describe, expect, test } from 'vitest'
import { type RoleSqlOptions, roleSql } from '../../../src/postgres/role-sql.ts'

const TABLE = {
  name: { schema: 'public', name: 'users' },
  columns: ['id', 'Email "x"'],
  owner: 'app',
  rowSecurity: false,
}
const OPTIONS = {
  role: 'suprsync',
  schema: 'suprsync',
  publication: 'suprsync',
  tables: [{ ...TABLE, partitioned: false }],
  server: { database: 'app', rds: false, walLevel: 'logical', walKeepMb: 1024, standby: false },
  supabase: false,
} as unknown as RoleSqlOptions
const lines = (options: Partial<RoleSqlOptions> = {}) => roleSql({ ...OPTIONS, ...options }).split('\n')
const statements = (options: Partial<RoleSqlOptions> = {}) =>
  lines(options).filter((line) => line && !line.startsWith('--'))

describe('where the rights come from', () => {
  test('a server of one’s own: the attribute, and no membership', () => {
    expect(statements()).toEqual([
      'CREATE ROLE "suprsync" WITH LOGIN REPLICATION;',
      'GRANT CONNECT ON DATABASE "app" TO "suprsync";',
      'GRANT USAGE ON SCHEMA "public" TO "suprsync";',
      'GRANT SELECT ("id", "Email ""x""") ON "public"."users" TO "suprsync";',
      'CREATE SCHEMA "suprsync" AUTHORIZATION "suprsync";',
      expect.stringMatching(/^CREATE PUBLICATION "suprsync" FOR TABLE ONLY "public"\."users".*;$/),
    ])
  })

  test('RDS has a role instead of the attribute, and nobody is a superuser', () => {
    const rds = statements({ server: { ...OPTIONS.server, rds: true } })
    expect(rds.slice(0, 2)).toEqual(['CREATE ROLE "suprsync" WITH LOGIN;', 'GRANT rds_replication TO "suprsync";'])
    expect(rds.indexOf('GRANT "suprsync" TO CURRENT_USER;')).toBe(
      rds.indexOf('CREATE SCHEMA "suprsync" AUTHORIZATION "suprsync";') - 1,
    )
  })

  test('Supabase: the attribute, the membership, and where to run it', () => {
    expect(statements({ supabase: true })).toContain('GRANT "suprsync" TO CURRENT_USER;')
    expect(statements({ supabase: true })[0]).toBe('CREATE ROLE "suprsync" WITH LOGIN REPLICATION;')
    expect(lines({ supabase: true }).join('\n')).toContain('not through the pooler')
  })
})

test('row security asks for BYPASSRLS and says why; a server that is not ready is told first', () => {
  const hidden = [{ ...TABLE, rowSecurity: true }] as unknown as RoleSqlOptions['tables']
  expect(statements({ tables: hidden })).toContain('ALTER ROLE "suprsync" WITH BYPASSRLS;')
  expect(statements()).not.toContain('ALTER ROLE "suprsync" WITH BYPASSRLS;')
  expect(statements({ server: { ...OPTIONS.server, walLevel: 'replica' } })[0]).toMatch(/^ALTER SYSTEM SET wal_level/)
})

test('no name ends a comment or a statement', () => {
  const evil = 'x";\nDROP TABLE users;--'
  const tables = [
    { ...TABLE, name: { schema: evil, name: evil }, columns: [evil], owner: evil, rowSecurity: true },
  ] as unknown as RoleSqlOptions['tables']
  const sql = roleSql({ ...OPTIONS, role: evil, schema: evil, publication: evil, tables })
  // What is left when quoted names are taken out first, and comments then, is the server's to read.
  const tokens = sql.match(/"(?:[^"]|"")*"|--[^\n]*|[^"-]+|-/g) ?? []
  const bare = tokens.filter((token) => !/^("|--)/.test(token)).join('')
  expect(tokens.join('')).toBe(sql)
  expect(bare).toContain('CREATE ROLE')
  expect(bare).not.toContain('DROP')
})
