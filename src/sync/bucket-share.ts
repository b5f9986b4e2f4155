// A sender's part of the buckets (DESIGN §7.1): looks every second, or when called, who is there and whose each bucket is; takes what is
// free of its share, gives up what is beyond it once nothing of it is under way, and ends the session of a sender that is stuck.
// Passes on what SuprSend answered others. Which buckets those are is core/buckets.ts; that no bucket has two owners, the locks.
import { BUCKETS, shareBuckets } from '../core/buckets.ts'
import { newsSince } from '../core/host-news.ts'
import type { Logger } from '../core/logger.ts'
import type { Metrics } from '../core/metrics.ts'
import type { SenderReport, SenderSession, SendersView } from '../core/sender-port.ts'
import type { Deliver } from './deliver.ts'
import type { Gate } from './gate.ts'
import type { HeldBuckets } from './held-buckets.ts'
import { Signal } from './signal.ts'

export interface BucketShareOptions {
  readonly session: SenderSession
  readonly buckets: HeldBuckets
  readonly deliver: Pick<Deliver, 'wake' | 'quietBuckets' | 'inHand' | 'accepted' | 'turnedAtMs'>
  readonly gate: Pick<Gate, 'hold' | 'tell' | 'isFitting' | 'turnAway' | 'probers'>
  /** Without a word for so long others take it for stuck. */
  readonly stuckAfterMs: number
  readonly metrics: Metrics
  readonly log: Logger
}

const LOOK_MS = 1_000
/** How often it is asked, within this process, whether something can be given up: others wait for it. */
const LEAVING_MS = 20
/** How often it says that it makes progress. */
const BEAT_MS = 5_000

const NOTHING = { keep: [], take: [] } as const

export class BucketShare {
  readonly #options: BucketShareOptions
  readonly #called = new Signal()
  #beatAtMs = Number.NEGATIVE_INFINITY
  #acceptedBefore = 0
  #rate = 0
  #view: SendersView | null = null
  /** Stuck ones whose sessions were to be ended. */
  #ended: ReadonlySet<string> = new Set()

  constructor(options: BucketShareOptions) {
    this.#options = options
  }

  /** Something has changed among the senders. */
  call(): void {
    this.#called.notify()
  }

  /** How many senders there are, this one among them; 0: not known yet. */
  get senders(): number {
    return this.#view?.senders.length ?? 0
  }

  /**
   * Until `over` aborts; from `stop` on it keeps nothing and gives up each bucket as soon as it can. Rejects when the session is lost.
   */
  async run(stop: AbortSignal, over: AbortSignal): Promise<void> {
    const onAbort = () => this.call()
    stop.addEventListener('abort', onAbort)
    over.addEventListener('abort', onAbort)
    try {
      while (!over.aborted) {
        const seen = this.#called.count
        await this.turn({ stopping: stop.aborted })
        await this.#pause(seen)
      }
    } finally {
      stop.removeEventListener('abort', onAbort)
      over.removeEventListener('abort', onAbort)
    }
  }

  /** Until the next look: when called, when something can be given up, or after its time. */
  async #pause(seen: number): Promise<void> {
    const { buckets, deliver, gate } = this.#options
    const untilMs = performance.now() + LOOK_MS
    for (let leftMs = LOOK_MS; leftMs >= 1 && this.#called.count === seen; leftMs = untilMs - performance.now()) {
      const isLeaving = buckets.leaving.size > 0
      if (isLeaving && gate.isFitting && deliver.quietBuckets().length > 0) return
      await this.#called.after(seen, isLeaving ? Math.min(LEAVING_MS, leftMs) : leftMs)
    }
  }

  /** One look, and what follows from it. */
  async turn({ stopping }: { readonly stopping: boolean }): Promise<void> {
    const { session, buckets, deliver, gate } = this.#options
    const view = await session.look(this.#beat())
    this.#learn(view)
    const wanted = shareBuckets(view, { me: session.id, leaving: buckets.leaving })
    const { keep, take } = stopping ? NOTHING : wanted
    const before = buckets.open.length
    buckets.keep(keep)
    if (buckets.leaving.size > 0) gate.turnAway()
    if (buckets.open.length > before) deliver.wake()
    await this.#giveQuiet()
    if (take.length > 0) await this.#take(take)
    this.#observe(view)
    if (!stopping) await this.#end(view.stuck)
    gate.probers = Math.max(1, view.senders.length)
  }

  /** First fewer requests, then fewer buckets: what the others may send then is no more than what is given up. */
  async #giveQuiet(): Promise<void> {
    const { session, buckets, deliver, gate } = this.#options
    const quiet = deliver.quietBuckets()
    gate.hold((buckets.size - quiet.length) / BUCKETS)
    if (quiet.length === 0 || !gate.isFitting) return
    await session.give(quiet)
    buckets.drop(quiet)
  }

  async #take(wanted: readonly number[]): Promise<void> {
    const { session, buckets, deliver, gate } = this.#options
    const taken = await session.take(wanted)
    if (taken.length === 0) return
    const isFirst = buckets.size === 0 && session.isFirst
    buckets.take(taken)
    gate.hold(buckets.size / BUCKETS, { settled: isFirst && this.senders <= 1 })
    deliver.wake()
  }

  /** What is to be told now; null: nothing, or nothing is well. */
  #beat(): SenderReport | null {
    const { buckets, deliver, stuckAfterMs } = this.#options
    const nowMs = performance.now()
    const sinceMs = nowMs - this.#beatAtMs
    // Loops that have not gone round for so long make no progress: it must not say that they do.
    const isTurning = nowMs - deliver.turnedAtMs < stuckAfterMs / 2
    if (sinceMs < Math.min(BEAT_MS, stuckAfterMs / 4) || !isTurning) return null
    if (Number.isFinite(sinceMs)) this.#rate = ((deliver.accepted - this.#acceptedBefore) * 1000) / sinceMs
    this.#acceptedBefore = deliver.accepted
    this.#beatAtMs = nowMs
    return { buckets: buckets.size, inHand: deliver.inHand, acceptedPerSecond: Math.round(this.#rate * 10) / 10 }
  }

  #learn(view: SendersView): void {
    for (const news of newsSince(this.#view?.news ?? [], view.news)) this.#options.gate.tell(news)
    this.#view = view
  }

  #observe(view: SendersView): void {
    const { metrics, buckets } = this.#options
    metrics.sharing({ buckets: buckets.size, senders: view.senders.length })
  }

  /** Said once of each: while its part of the server stands still it stays there. */
  async #end(stuck: SendersView['stuck']): Promise<void> {
    const { session, log } = this.#options
    const known = this.#ended
    this.#ended = new Set(stuck.map(({ id }) => id))
    for (const { pid, id, silentMs } of stuck) {
      const end = await session.end(pid, id)
      if (known.has(id) || end === 'gone') continue
      const fields = { sender: id, backend_pid: pid, silent_ms: Math.round(silentMs) }
      if (end === 'ended')
        log.warn(fields, 'a sender made no progress; its session was ended, so that others take its users')
      else log.error(fields, 'a sender makes no progress, and our role may not end its session: its users wait')
    }
  }
}
