// What one look of a sender shows: whose sessions are there and whose each bucket is, by their locks; what each has met, by its row. Guarantees
// that no clock of the server makes anybody stuck: who has shown the same sign of life for too long by this process's own clock is.
import { BUCKETS } from '../core/buckets.ts'
import { SuprsyncError } from '../core/error.ts'
import type { HostNews } from '../core/host-state.ts'
import type { SendersView } from '../core/sender-port.ts'
import { isHeld, lockedBucket, SENDERS_LOCK } from './locks.ts'

/** $1: the locks' name, $2: that of the signs of life. */
export const LOOK = `select
  (select json_agg(json_build_object('number', l.objid::int, 'pid', l.pid)) from pg_locks l where ${isHeld('$1')}) as locks,
  (select json_agg(json_build_object('id', s.id, 'pid', s.pid, 'most', s.most, 'news', s.news,
    'left_ms', (s.news ->> 'untilMs')::float8 - extract(epoch from clock_timestamp()) * 1000,
    'beat', (select max(l.objid::int) from pg_locks l where ${isHeld('$2')} and l.pid = s.pid))
    order by s.started_at, s.id) from sender s) as senders`

export interface Look {
  readonly locks: readonly { readonly number: number; readonly pid: number }[] | null
  readonly senders: readonly SeenSender[] | null
}

interface SeenSender {
  readonly id: string
  readonly pid: number
  readonly most: number
  readonly news: { readonly kind: string; readonly account: string; readonly forMs: number | null } | null
  readonly left_ms: number | null
  readonly beat: number | null
}

interface Watched {
  readonly beat: number | null
  readonly sinceMs: number
}

export interface SenderViewsOptions {
  readonly me: string
  readonly accountHash: string
  readonly stuckAfterMs: number
  /** See mostSenders (core/buckets.ts). */
  readonly most: number
}

export class SenderViews {
  readonly #options: SenderViewsOptions
  #watched: ReadonlyMap<string, Watched> = new Map()

  constructor(options: SenderViewsOptions) {
    this.#options = options
  }

  /** @throws SuprsyncError `sender_unknown`: this one's row is gone, without which it can claim nothing. */
  see({ locks, senders: rows }: Look, nowMs: number): SendersView {
    const { me, most, stuckAfterMs } = this.#options
    const present = new Set(locks?.flatMap(({ number, pid }) => (number === SENDERS_LOCK ? [pid] : [])))
    const senders = (rows ?? []).filter(({ pid }) => present.has(pid))
    if (!senders.some(({ id }) => id === me))
      throw new SuprsyncError('sender_unknown', 'This sender is not listed among the senders any more.')
    const ids = new Map(senders.map(({ pid, id }) => [pid, id]))
    const owners: (string | null)[] = Array.from({ length: BUCKETS }, () => null)
    for (const { number, pid } of locks ?? []) {
      // Whoever it is, it is not free.
      const bucket = lockedBucket(number)
      if (bucket !== null) owners[bucket] = ids.get(pid) ?? `${pid}`
    }
    const others = senders.filter(({ id }) => id !== me)
    this.#watched = new Map(others.map(({ id, beat }) => [id, watched(this.#watched.get(id), beat, nowMs)]))
    return {
      senders: senders.map(({ id }) => id),
      owners,
      most: Math.min(most, ...senders.map((sender) => sender.most)),
      news: others.flatMap((other) => this.#newsOf(other)),
      stuck: others
        .map(({ id, pid }) => ({ id, pid, silentMs: nowMs - (this.#watched.get(id)?.sinceMs ?? nowMs) }))
        .filter(({ silentMs }) => silentMs > stuckAfterMs),
    }
  }

  #newsOf({ news, left_ms: leftMs }: SeenSender): readonly HostNews[] {
    if (news === null || news.account !== this.#options.accountHash) return []
    // A clock of the server that was set back makes it no longer than it was.
    const forMs = Math.min(leftMs ?? 0, news.forMs ?? 0)
    if (news.kind === 'throttled') return forMs > 0 ? [{ kind: 'throttled', forMs }] : []
    return news.kind === 'unauthorized' ? [{ kind: 'unauthorized' }] : []
  }
}

function watched(before: Watched | undefined, beat: number | null, nowMs: number): Watched {
  return before !== undefined && before.beat === beat ? before : { beat, sinceMs: nowMs }
}
