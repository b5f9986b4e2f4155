// A mixed load on the tables that belong to users: devices come, change hands, are revoked and go, addresses are added and
// taken away, before, with and after their users; now and then one of the tables is emptied. The same for the same seed.
import { setTimeout as delay } from 'node:timers/promises'
import { isLostConnection } from '../../src/postgres/connection-failure.ts'
import type { TestDatabase } from './database.ts'
import { seededRandom } from './workload.ts'

export const CHILD_TABLES = `
  CREATE TABLE user_devices (id bigint PRIMARY KEY, user_id bigint, platform text, token text, revoked_at timestamptz, seen_at timestamptz);
  CREATE TABLE user_emails (user_id bigint, address text, note text, PRIMARY KEY (user_id, address))`

export const CHILDREN = [
  {
    table: 'public.user_devices',
    user: 'user_id',
    when: 'revoked_at == null && platform == "android"',
    profile: { $androidpush: 'token' },
  },
  { table: 'public.user_emails', user: 'user_id', profile: { $email: 'address' } },
]

export interface ChildLoad extends AsyncDisposable {
  readonly statements: number
  stop(): Promise<void>
}

export interface ChildLoadOptions {
  readonly database: TestDatabase
  readonly seed: number
  readonly users: number
  /** Between two statements. Default 2. */
  readonly pauseMs?: number
  /** A lost connection is taken anew, as an application does. Else stop() throws. */
  readonly reconnects?: boolean
}

export function startChildLoad({
  database,
  seed,
  users,
  pauseMs = 2,
  reconnects = false,
}: ChildLoadOptions): ChildLoad {
  const stopping = new AbortController()
  const random = seededRandom(seed)
  const upTo = (most: number) => 1 + Math.floor(random() * most)
  const devices = users * 2
  const kinds = [
    () => `INSERT INTO user_devices VALUES (${upTo(devices)}, ${upTo(users)}, ${random() < 0.8 ? "'android'" : "'ios'"}, 'token-${upTo(devices)}')
      ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, token = excluded.token, platform = excluded.platform`,
    () => `UPDATE user_devices SET user_id = ${upTo(users)} WHERE id = ${upTo(devices)}`,
    () => `UPDATE user_devices SET token = 'token-${upTo(devices)}' WHERE id = ${upTo(devices)}`,
    () =>
      `UPDATE user_devices SET revoked_at = CASE WHEN revoked_at IS NULL THEN now() END WHERE id = ${upTo(devices)}`,
    () => `UPDATE user_devices SET seen_at = now() WHERE id % 7 = ${upTo(7)}`,
    () => `DELETE FROM user_devices WHERE id = ${upTo(devices)}`,
    () => `INSERT INTO user_emails VALUES (${upTo(users)}, 'more${upTo(9)}@example.com') ON CONFLICT DO NOTHING`,
    () => `DELETE FROM user_emails WHERE user_id = ${upTo(users)}`,
    () =>
      `BEGIN; INSERT INTO user_emails VALUES (${upTo(users)}, 'undone@example.com') ON CONFLICT DO NOTHING; ROLLBACK`,
    () => (random() < 0.02 ? 'TRUNCATE user_emails' : 'UPDATE user_emails SET note = now()::text'),
  ]
  let statements = 0
  const run = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await database.query(kinds[Math.floor(random() * kinds.length)]?.() ?? '')
        statements += 1
      } catch (error) {
        if (!reconnects || !isLostConnection(error)) throw error
      }
      await delay(pauseMs * 2 * random())
    }
  })()
  run.catch(() => stopping.abort()) // thrown by stop()
  return {
    get statements() {
      return statements
    },
    stop: async () => {
      stopping.abort()
      await run
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      await run.catch(() => undefined)
    },
  }
}
