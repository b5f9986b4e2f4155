// P8, P4: a bot token of the environment reaches SuprSend in each value that needs it, and rests in no table, log or metric; with
// another token the users are told anew and the old value goes, though nobody knows the old text any more.
import { expect, test } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createTestDatabase } from '../support/database.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const OLD = 'xoxb-canary-old'
const NEW = 'xoxb-canary-new'

test.each(['append', 'replace'] as const)(
  'a bot token, rotated and its address changed: POST %s',
  async (postReading) => {
    await using database = await createTestDatabase()
    await database.query(`
    CREATE TABLE users (id int PRIMARY KEY, email text, name text);
    INSERT INTO users VALUES (1, 'one@example.com', 'One'), (2, 'two@example.com', 'Two'), (3, NULL, 'Three')`)
    await using emulator = await startEmulator({ postReading })
    const service = (token: string) =>
      startService({
        databaseUrl: database.url,
        emulatorUrl: emulator.url,
        slot: database.slot,
        config: {
          // biome-ignore lint/suspicious/noTemplateCurlyInString: the file's own syntax
          profile: { $slack: { email: 'email', access_token: { const: '${SLACK_BOT_TOKEN}' } }, name: 'name' },
        },
        env: { SLACK_BOT_TOKEN: token },
      })
    const slack = (id: string) => emulator.users().get(id)?.channels.$slack
    const untilSlack = (id: string, expected: readonly object[] | undefined) =>
      until(() => JSON.stringify(slack(id)) === JSON.stringify(expected), {
        what: `Slack of user ${id}`,
        timeoutMs: 20_000,
      })
    const value = (email: string, token: string) => ({ email, access_token: token })

    const firstLife = async () => {
      await using first = await service(OLD)
      await untilSlack('1', [value('one@example.com', OLD)])
      await untilSlack('2', [value('two@example.com', OLD)])
      expect(slack('3')).toBeUndefined()
      await expectNowhere(first)
      await first.stop()
    }
    await firstLife()
    await database.query("UPDATE users SET email = 'moved@example.com' WHERE id = 2")
    await using second = await service(NEW)
    // The same address with another token, and another address as well: exactly the new value is left.
    await untilSlack('1', [value('one@example.com', NEW)])
    await untilSlack('2', [value('moved@example.com', NEW)])
    await database.query('UPDATE users SET email = NULL WHERE id = 1')
    await untilSlack('1', undefined)
    expect(await database.query('SELECT distinct_id FROM suprsync.profile WHERE failure IS NOT NULL')).toEqual([])
    await expectNowhere(second)

    async function expectNowhere(running: Awaited<ReturnType<typeof service>>): Promise<void> {
      for (const table of ['profile', 'source_row', 'mapped_table', 'checkpoint', 'backfill']) {
        const [found] = await database.query<{ found: boolean }>(
          `SELECT coalesce(bool_or(t::text LIKE '%canary%'), false) AS found FROM suprsync.${table} t`,
        )
        expect(found, table).toEqual({ found: false })
      }
      expect(JSON.stringify(running.log())).not.toContain('canary')
      expect(JSON.stringify([...(await running.metrics())])).not.toContain('canary')
    }
  },
)
