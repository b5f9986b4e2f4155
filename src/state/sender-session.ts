// A sender among others (DESIGN §7.1): its session's locks are its buckets, its row in `sender` is what the others see of it. Guarantees
// that who has lost its session can claim nothing any more before another claims what it had: its row is the fence of its
// claims (delivery-store.ts), and goes first. Leaves to core/buckets.ts which buckets are whose.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type pg from 'pg'
import { errorCode } from '../core/error.ts'
import type { HostNews } from '../core/host-state.ts'
import type { SenderReport, SenderSession, SendersView } from '../core/sender-port.ts'
import { DirectSession } from './direct-session.ts'
import { BEAT_SECOND, beatName, bucketLock, isHeld, lockedBucket, lockName, SENDERS_LOCK } from './locks.ts'
import { CHANNEL, sendersPayload } from './notice.ts'
import { LOOK, type Look, SenderViews } from './sender-view.ts'

export interface JoinOptions {
  readonly connection: pg.ClientConfig
  readonly schema: string
  /** Of SuprSend's address and the API key: what is said of one says nothing of another. */
  readonly accountHash: string
  readonly stuckAfterMs: number
  /** See mostSenders (core/buckets.ts). */
  readonly most: number
  /** This process has not sent before. What it sent is in no row where the server has crashed since. */
  readonly isNew: boolean
  /** Something may be due. */
  readonly onWork: () => void
  /** A sender came, went, gave up buckets, or has news. */
  readonly onSenders: () => void
}

const INSUFFICIENT_PRIVILEGE = '42501'
/** Nobody who left before can have sent anything within the last second. */
const RECENT_MS = 2_000

/** In `sender s`: its session is there. $1: the locks' name. */
const IS_THERE = `exists (select from pg_locks l where ${isHeld('$1')} and l.objid = ${SENDERS_LOCK} and l.pid = s.pid)`

export class StateSenderSession implements SenderSession {
  readonly #session: DirectSession
  readonly #options: JoinOptions
  readonly #name: string
  readonly #views: SenderViews
  /** Its sign of life that it holds, and what it last reported. */
  #beatSecond: number | null = null
  #reported = '{}'
  readonly id: string
  /** Claims are made under it. */
  readonly fence: string
  readonly isFirst: boolean

  private constructor(
    session: DirectSession,
    options: JoinOptions,
    own: { id: string; fence: string; isFirst: boolean },
  ) {
    this.#session = session
    this.#options = options
    this.#name = lockName(options.schema)
    this.#views = new SenderViews({ ...options, me: own.id })
    this.id = own.id
    this.fence = own.fence
    this.isFirst = own.isFirst
  }

  /** @returns null while somebody needs everything to be still (acquireEverything). */
  static async join(options: JoinOptions): Promise<StateSenderSession | null> {
    const { connection, schema, onWork, onSenders } = options
    const session = await DirectSession.open({ connection, schema, applicationName: 'suprsync sender' })
    try {
      await session.listen(CHANNEL, (payload) => {
        if (payload === schema) onWork()
        if (payload === sendersPayload(schema)) onSenders()
      })
      const own = { id: randomUUID(), fence: randomUUID() }
      const isFirst = await register(session, options, own)
      if (isFirst !== null) return new StateSenderSession(session, options, { ...own, isFirst })
    } catch (error) {
      await session[Symbol.asyncDispose]()
      throw error
    }
    await session[Symbol.asyncDispose]()
    return null
  }

  get lost(): Promise<unknown> {
    return this.#session.lost
  }

  confirm(): Promise<boolean> {
    return this.#session.confirm()
  }

  async look(beat: SenderReport | null): Promise<SendersView> {
    if (beat !== null) await this.#beat(beat)
    const [look] = await this.#session.query<Look>(LOOK, [this.#name, beatName(this.#options.schema)])
    return this.#views.see(look ?? { locks: null, senders: null }, performance.now())
  }

  async #beat(report: SenderReport): Promise<void> {
    const [beat] = await this.#session.query<{ second: number }>(
      `select b.second, case when b.second is distinct from $2::int then pg_try_advisory_lock_shared(hashtext($1), b.second) end,
        case when b.second <> $2::int then pg_advisory_unlock_shared(hashtext($1), $2::int) end
       from (select ${BEAT_SECOND} as second offset 0) as b`,
      [beatName(this.#options.schema), this.#beatSecond],
    )
    this.#beatSecond = beat?.second ?? null
    const text = JSON.stringify(report)
    if (text === this.#reported) return
    await this.#session.query('update sender set report = $2::jsonb where id = $1', [this.id, text])
    this.#reported = text
  }

  async take(buckets: readonly number[]): Promise<readonly number[]> {
    if (buckets.length === 0) return []
    const rows = await this.#session.query<{ number: number }>(
      'select number from unnest($2::int[]) as number where pg_try_advisory_lock(hashtext($1), number)',
      [this.#name, buckets.map(bucketLock)],
    )
    const taken = rows.flatMap(({ number }) => lockedBucket(number) ?? [])
    if (taken.length === 0 || (await this.#fenceOff())) return taken
    await this.#unlock(taken)
    return []
  }

  /**
   * A claim that comes later than this finds no row of its sender. One that is under way holds that row, and may take long where the
   * server stands still: this session, on whose answers everything of ours rests, does not wait for it.
   * @returns whether whoever is gone can claim nothing any more.
   */
  async #fenceOff(): Promise<boolean> {
    await this.#session.query(
      `delete from sender where id in (select s.id from sender s where s.id <> $2 and not ${IS_THERE} for update skip locked)`,
      [this.#name, this.id],
    )
    const [left] = await this.#session.query<{ claiming: boolean }>(
      `select exists (select from sender s where s.id <> $2 and not ${IS_THERE}) as claiming`,
      [this.#name, this.id],
    )
    return left?.claiming === false
  }

  async give(buckets: readonly number[]): Promise<void> {
    if (buckets.length === 0) return
    await this.#unlock(buckets)
    await this.#call()
  }

  async #unlock(buckets: readonly number[]): Promise<void> {
    await this.#session.query('select pg_advisory_unlock(hashtext($1), number) from unnest($2::int[]) as number', [
      this.#name,
      buckets.map(bucketLock),
    ])
  }

  async tell(news: HostNews): Promise<void> {
    const { accountHash } = this.#options
    const forMs = news.kind === 'throttled' ? news.forMs : null
    const kind = news.kind === 'open' ? null : news.kind
    await this.#session.query(
      `update sender set news = case when $2::text is not null then jsonb_build_object('kind', $2::text, 'account', $3::text, 'forMs', $4::float8,
        'untilMs', extract(epoch from clock_timestamp()) * 1000 + $4::float8) end where id = $1`,
      [this.id, kind, accountHash, forMs],
    )
    await this.#call()
  }

  async end(pid: number, id: string): Promise<'ended' | 'gone' | 'denied'> {
    try {
      // Of a role whose sessions this one may not see, the start is not shown: the lock says enough.
      const rows = await this.#session.query(
        `select pg_terminate_backend(s.pid) from sender s left join pg_stat_activity a on a.pid = s.pid
         where s.id = $2 and s.pid = $3 and ${IS_THERE} and coalesce(a.backend_start = s.backend_start, true)`,
        [this.#name, id, pid],
      )
      return rows.length > 0 ? 'ended' : 'gone'
    } catch (error) {
      if (errorCode(error) === INSUFFICIENT_PRIVILEGE) return 'denied'
      throw error
    }
  }

  async #call(): Promise<void> {
    await this.#session.query('select pg_notify($1, $2)', [CHANNEL, sendersPayload(this.#options.schema)])
  }

  /** The server frees its buckets; the others look at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#session.query('update sender set left_at = clock_timestamp(), news = null where id = $1', [this.id])
      await this.#session.query('select pg_advisory_unlock_all()')
      await this.#call()
    } catch {
      // The session is gone, and everything with it.
    }
    await this.#session[Symbol.asyncDispose]()
  }
}

/** @returns whether nobody else has sent of late; null: not now. */
async function register(
  session: DirectSession,
  { schema, most, isNew }: JoinOptions,
  own: { readonly id: string; readonly fence: string },
): Promise<boolean | null> {
  const name = lockName(schema)
  const [lock] = await session.query<{ shared: boolean }>(
    'select pg_try_advisory_lock_shared(hashtext($1), $2) as shared',
    [name, SENDERS_LOCK],
  )
  if (!lock?.shared) return null
  // Who vanished, nobody knows when: that is recently.
  const [others] = await session.query<{ recent: boolean }>(
    "select exists (select from sender where left_at is null or left_at > clock_timestamp() - $1 * interval '1 ms') as recent",
    [RECENT_MS],
  )
  // The server uses its numbers again.
  await session.query('delete from sender where pid = pg_backend_pid()')
  await session.query(
    `insert into sender (id, fence, pid, backend_start, host, process, most)
     select $1, $2, pg_backend_pid(), (select backend_start from pg_stat_activity where pid = pg_backend_pid()), $3, $4, $5`,
    [own.id, own.fence, hostname(), process.pid, most],
  )
  await session.query('select pg_notify($1, $2)', [CHANNEL, sendersPayload(schema)])
  return isNew && !(others?.recent ?? false)
}
