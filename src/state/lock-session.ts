// Ownership by session advisory locks (DESIGN §7.1): one direct connection to the state database that holds the lock of
// capture and those of the 64 buckets. No clocks, no renewals: when this process dies the server frees them; while it is
// paused they stay its own. Losing the session is told at once, and whoever owned through it must stop.
import pg from 'pg'
import { SuprsyncError } from '../core/error.ts'
import { endWhenSilent } from '../core/silent-connection.ts'
import { CHANNEL } from './notice.ts'
import { namedRefusal, SessionMark } from './pooler.ts'

const BUCKETS = 64
/** Lock 0 is capture's, 1 to 64 are the buckets'. */
const LOCKS = BUCKETS + 1

/** The first half of the locks' key, hashed by the server. */
export function lockName(schema: string): string {
  return `suprsync ${schema}`
}

/**
 * The server notices a vanished host after about a minute, longer than a request's time-outs: only then may another sender
 * have its buckets.
 */
const SESSION =
  '-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 -c tcp_user_timeout=60s -c idle_session_timeout=0'

/** For an answer to the simplest of questions. */
const MOST_SILENT_MS = 15_000

export class LockSession implements AsyncDisposable {
  readonly #client: pg.Client
  /** Resolves with the reason when the session is gone. */
  readonly lost: Promise<unknown>

  private constructor(client: pg.Client) {
    this.#client = client
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.lost = promise
    client.on('error', resolve)
    client.on('end', () =>
      resolve(new SuprsyncError('lock_session_ended', 'The session that holds our locks has ended.')),
    )
  }

  /**
   * @param onNotice another process has something for the owner (backfill-request.ts).
   * @returns null when another process owns this schema.
   */
  static async acquire(
    connection: pg.ClientConfig,
    schema: string,
    onNotice: () => void = () => undefined,
  ): Promise<LockSession | null> {
    const mark = new SessionMark()
    const client = new pg.Client({
      ...connection,
      options: [connection.options, SESSION, mark.option].filter(Boolean).join(' '),
      application_name: 'suprsync locks',
      keepAlive: true,
    })
    const session = new LockSession(client)
    try {
      await client.connect()
      endWhenSilent(client, MOST_SILENT_MS)
      await mark.assertDirect(client)
      const { rows } = await client.query<{ owned: boolean }>(
        `select bool_and(pg_try_advisory_lock(hashtext($1), number)) as owned
         from generate_series(0, $2::int - 1) as number`,
        [lockName(schema), LOCKS],
      )
      if (rows[0]?.owned) {
        client.on('notification', ({ payload }) => {
          if (payload === schema) onNotice()
        })
        await client.query(`listen ${CHANNEL}`)
        return session
      }
    } catch (error) {
      await session[Symbol.asyncDispose]()
      throw namedRefusal(error)
    }
    await session[Symbol.asyncDispose]()
    return null
  }

  /** Whether the locks are still ours: asks the server, who may have ended the session without our having heard. */
  async confirm(): Promise<boolean> {
    try {
      await this.#client.query('select 1')
      return true
    } catch {
      return false // why, `lost` tells
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end().catch(() => undefined) // gone already: that is what is wanted
  }
}
