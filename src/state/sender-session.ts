// A sender among others (DESIGN §7.1): its session's locks are its buckets, its row in `sender` is what the others see of it. Guarantees
// that who has lost its session can claim nothing any more before another claims what it had: its row is the fence of its
// claims (delivery-store.ts), and goes first. Leaves to core/buckets.ts which buckets are whose.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type pg from 'pg'
import { BUCKETS } from '../core/buckets.ts'
import { SuprsyncError } from '../core/error.ts'
import type { HostNews } from '../core/host-state.ts'
import type { SenderReport, SenderSession, SendersView } from '../core/sender-port.ts'
import { DirectSession } from './direct-session.ts'
import { bucketLock, lockName, SENDERS_LOCK } from './locks.ts'
import { CHANNEL, sendersPayload } from './notice.ts'

export interface JoinOptions {
  readonly connection: pg.ClientConfig
  readonly schema: string
  /** Of SuprSend's address and the API key: what is said of one says nothing of another. */
  readonly accountHash: string
  readonly stuckAfterMs: number
  /** See mostSenders (core/buckets.ts). */
  readonly most: number
  /** Something may be due. */
  readonly onWork: () => void
  /** A sender came, went, gave up buckets, or has news. */
  readonly onSenders: () => void
}

/** Longer than the time between two beats and one more second. */
const RECENT_MS = 10_000

/** $1: the locks' name. */
const HELD = `l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = hashtext($1)::oid
  and l.database = (select oid from pg_database where datname = current_database())`

interface SeenLock {
  readonly number: number
  readonly pid: number
}

interface SeenSender {
  readonly id: string
  readonly pid: number
  readonly most: number
  readonly silent_ms: number
  readonly news: { readonly kind: string; readonly account: string; readonly left_ms: number | null } | null
}

export class StateSenderSession implements SenderSession {
  readonly #session: DirectSession
  readonly #options: JoinOptions
  readonly #name: string
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
    const [row] = await this.#session.query<{
      locks: readonly SeenLock[] | null
      senders: readonly SeenSender[] | null
    }>(
      `select (select json_agg(json_build_object('number', l.objid::int, 'pid', l.pid)) from pg_locks l where ${HELD}) as locks,
        (select json_agg(json_build_object('id', id, 'pid', pid, 'most', most, 'silent_ms', extract(epoch from clock_timestamp() - seen_at) * 1000,
          'news', case when news is not null then news || jsonb_build_object('left_ms', (news ->> 'untilMs')::float8 - extract(epoch from clock_timestamp()) * 1000) end)
          order by started_at, id) from sender) as senders`,
      [this.#name],
    )
    return this.#view(row?.locks ?? [], row?.senders ?? [])
  }

  #view(locks: readonly SeenLock[], rows: readonly SeenSender[]): SendersView {
    const present = new Set(locks.flatMap(({ number, pid }) => (number === SENDERS_LOCK ? [pid] : [])))
    const senders = rows.filter(({ pid }) => present.has(pid))
    const ids = new Map(senders.map(({ pid, id }) => [pid, id]))
    const owners: (string | null)[] = Array.from({ length: BUCKETS }, () => null)
    for (const { number, pid } of locks) {
      // Whoever it is, it is not free.
      if (number >= bucketLock(0) && number <= bucketLock(BUCKETS - 1))
        owners[number - bucketLock(0)] = ids.get(pid) ?? `${pid}`
    }
    const others = senders.filter(({ id }) => id !== this.id)
    return {
      senders: senders.map(({ id }) => id),
      owners,
      most: Math.min(this.#options.most, ...senders.map(({ most }) => most)),
      news: others.flatMap(({ news }) => this.#readNews(news)),
      stuck: others
        .filter(({ silent_ms: silentMs }) => silentMs > this.#options.stuckAfterMs)
        .map(({ id, pid, silent_ms: silentMs }) => ({ id, pid, silentMs })),
    }
  }

  #readNews(news: SeenSender['news']): readonly HostNews[] {
    if (news === null || news.account !== this.#options.accountHash) return []
    if (news.kind === 'throttled')
      return (news.left_ms ?? 0) > 0 ? [{ kind: 'throttled', forMs: news.left_ms ?? 0 }] : []
    return news.kind === 'unauthorized' ? [{ kind: 'unauthorized' }] : []
  }

  /** @throws SuprsyncError `sender_unknown`: somebody has taken it for gone. */
  async #beat(report: SenderReport): Promise<void> {
    const rows = await this.#session.query(
      'update sender set seen_at = clock_timestamp(), report = $2::jsonb where id = $1 returning id',
      [this.id, JSON.stringify(report)],
    )
    if (rows.length === 0)
      throw new SuprsyncError('sender_unknown', 'This sender is not listed among the senders any more.')
  }

  async take(buckets: readonly number[]): Promise<readonly number[]> {
    if (buckets.length === 0) return []
    const rows = await this.#session.query<{ bucket: number }>(
      'select bucket from unnest($2::int[]) as bucket where pg_try_advisory_lock(hashtext($1), bucket + 1)',
      [this.#name, buckets],
    )
    // Waits for a claim of theirs that is under way; one that comes later finds no row.
    if (rows.length > 0) {
      await this.#session.query(
        `delete from sender s where s.id <> $2 and not exists (
          select from pg_locks l where ${HELD} and l.objid = ${SENDERS_LOCK} and l.pid = s.pid)`,
        [this.#name, this.id],
      )
    }
    return rows.map(({ bucket }) => bucket)
  }

  async give(buckets: readonly number[]): Promise<void> {
    if (buckets.length === 0) return
    await this.#session.query('select pg_advisory_unlock(hashtext($1), bucket + 1) from unnest($2::int[]) as bucket', [
      this.#name,
      buckets,
    ])
    await this.#call()
  }

  async tell(news: HostNews): Promise<void> {
    const { accountHash } = this.#options
    const forMs = news.kind === 'throttled' ? news.forMs : null
    const kind = news.kind === 'open' ? null : news.kind
    await this.#session.query(
      `update sender set news = case when $2::text is not null then jsonb_build_object('kind', $2::text, 'account', $3::text,
        'untilMs', extract(epoch from clock_timestamp()) * 1000 + $4::float8) end where id = $1`,
      [this.id, kind, accountHash, forMs],
    )
    await this.#call()
  }

  async end(pid: number, id: string): Promise<boolean> {
    const rows = await this.#session.query<{ ended: boolean }>(
      `select pg_terminate_backend(a.pid) as ended from sender s join pg_stat_activity a on a.pid = s.pid
       where s.id = $1 and s.pid = $2 and a.backend_start is not distinct from s.backend_start`,
      [id, pid],
    )
    return rows[0]?.ended ?? false
  }

  async #call(): Promise<void> {
    await this.#session.query('select pg_notify($1, $2)', [CHANNEL, sendersPayload(this.#options.schema)])
  }

  /** The server frees its buckets; the others look at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#session.query('update sender set seen_at = clock_timestamp(), news = null where id = $1', [this.id])
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
  { schema, most }: JoinOptions,
  own: { readonly id: string; readonly fence: string },
): Promise<boolean | null> {
  const name = lockName(schema)
  const [lock] = await session.query<{ shared: boolean }>(
    'select pg_try_advisory_lock_shared(hashtext($1), $2) as shared',
    [name, SENDERS_LOCK],
  )
  if (!lock?.shared) return null
  const [others] = await session.query<{ recent: boolean }>(
    "select exists (select from sender where seen_at > clock_timestamp() - $1 * interval '1 ms') as recent",
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
  return !(others?.recent ?? false)
}
