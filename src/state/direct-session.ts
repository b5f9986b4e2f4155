// One direct connection to the state's server that lives as long as what it stands for: ownership by session advisory locks. No clocks, no
// renewals: when this process dies the server frees them; while it is paused they stay its own. Losing the session is told at once,
// and whoever owned through it must stop.
import pg from 'pg'
import { SuprsyncError } from '../core/error.ts'
import { endWhenSilent, endWithin } from '../core/silent-connection.ts'
import { STATE_SETTINGS, startupValue } from './database.ts'
import { namedRefusal, SessionMark } from './pooler.ts'

/**
 * The server notices a vanished host after about a minute, longer than a request's time-outs: only then may another sender
 * have its buckets. What bounds a statement is MOST_SILENT_MS.
 */
const SETTINGS =
  '-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 -c tcp_user_timeout=60s -c idle_session_timeout=0 -c statement_timeout=0'

/**
 * For an answer to a question that is asked every second or two. A host that is cut off stops sending long before the server gives its
 * buckets to another.
 */
const MOST_SILENT_MS = 15_000

/** For the server to answer that it has heard the end; who is cut off must not wait for it to stop. */
const GOODBYE_MS = 1_000

export interface DirectSessionOptions {
  readonly connection: pg.ClientConfig
  readonly applicationName: string
  readonly schema: string
}

export class DirectSession implements AsyncDisposable {
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

  static async open({ connection, applicationName, schema }: DirectSessionOptions): Promise<DirectSession> {
    const mark = new SessionMark()
    const client = new pg.Client({
      ...connection,
      options: [connection.options, SETTINGS, STATE_SETTINGS, `-c search_path=${startupValue(schema)}`, mark.option]
        .filter(Boolean)
        .join(' '),
      application_name: applicationName,
      keepAlive: true,
    })
    const session = new DirectSession(client)
    try {
      await client.connect()
      endWhenSilent(client, MOST_SILENT_MS)
      await mark.assertDirect(client)
      return session
    } catch (error) {
      await session[Symbol.asyncDispose]()
      throw namedRefusal(error)
    }
  }

  async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return (await this.#client.query<Row>(text, [...values])).rows
  }

  /** @param onNotice told the payload of each. */
  async listen(channel: string, onNotice: (payload: string) => void): Promise<void> {
    this.#client.on('notification', ({ payload }) => onNotice(payload ?? ''))
    await this.#client.query(`listen ${pg.escapeIdentifier(channel)}`)
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
    await endWithin(this.#client, GOODBYE_MS)
  }
}
