// The major version of the server that a test runs on: TEST_POSTGRES_URL and TEST_POSTGRES_MAJOR may name any from 14 on.
import type { TestDatabase } from './database.ts'

export async function majorOf(database: TestDatabase): Promise<number> {
  const [row] = await database.query<{ major: number }>(
    "SELECT current_setting('server_version_num')::int / 10000 AS major",
  )
  return row?.major ?? 0
}
