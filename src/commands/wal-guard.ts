// What the slot costs the application's disk, looked at every few seconds, whether we stream, or wait for what we need to start:
// for readiness and metrics, and, where `safety.max_retained_wal` says so, the slot is dropped before the disk is in danger.
// Capture then finds it gone and recovers, or says so (core/start-decision.ts). Where the server has a limit of its own, pages wait
// while little is left of it: what they write beside the table would cost us the slot, and the reading would begin anew (P5).
import { sleep } from '../core/abort.ts'
import { errorCode, errorMessage } from '../core/error.ts'
import type { Logger } from '../core/logger.ts'
import type { ServiceStatus } from '../core/service-status.ts'
import { isAmple, isCaughtUp, walBudget, withLimit } from '../core/slot-lag.ts'
import { type SlotKnowledge, whyNotOurs } from '../core/slot-ownership.ts'
import type { WalRoom } from '../core/source-port.ts'
import type { SlotReport } from '../core/status-report.ts'
import { invalidatedInMs, type WalSample, walRate, walSample } from '../core/wal-trend.ts'
import { type Queryable, queryRows } from '../postgres/query.ts'
import { dropSlot } from '../postgres/slot.ts'
import { readSlotReport } from '../postgres/slot-report.ts'

export interface WalGuardOptions {
  readonly source: Queryable
  readonly slot: string
  /** null: never. */
  readonly maxRetainedBytes: number | null
  /** `streaming` from the slot; `broken`: we would, and cannot; else the slot is not our business. */
  readonly capturing: () => 'streaming' | 'broken' | 'neither'
  /** What the state knows of the slot. Rejects when it cannot be asked. */
  readonly known: () => Promise<SlotKnowledge>
  /** Has the server let go of what is confirmed, now rather than in 15 s. */
  readonly release: () => Promise<void>
  readonly log: Logger
}

interface WalState {
  readonly level: ReturnType<typeof walBudget>
  readonly invalidatedInMs: number | null
  /** What was seen holds until it is looked at again. */
  readonly isAmple: boolean
}

const EVERY_MS = 2_000
/** Where little is left, or the limit is a few segments of WAL. */
const SOON_MS = 500
/** The server lets go of WAL by itself so often. */
const BY_ITSELF_MS = 15_000
const SAMPLES = 30
/** The server lists its transactions every 15 s. Who keeps WAL for longer is a transaction that stays open. */
const PATIENCE_MS = 30_000
const WARN_EVERY_MS = 60_000

export class WalGuard implements WalRoom {
  readonly #options: WalGuardOptions
  #samples: readonly WalSample[] = []
  #state: WalState | null = null
  #looking: Promise<void> | null = null
  #pagesWait = false
  #tooMuchSince: number | null = null
  #saidThatPagesWait = false
  /** What was warned of: under a small limit it comes and goes with each segment of WAL. */
  #warned: { readonly level: WalState['level']; readonly atMs: number } | null = null
  /** For the server to let go of WAL, since little was left. */
  #asked = { times: 0, atMs: Number.NEGATIVE_INFINITY }
  /** Said already; null: the slot is dropped when it costs too much. */
  #leftBecause: string | null = null

  constructor(options: WalGuardOptions) {
    this.#options = options
  }

  /** null: not known, or there is no slot. */
  get state(): ServiceStatus['wal'] {
    return this.#state && { ...this.#state, pagesWait: this.#pagesWait, leftBecause: this.#leftBecause }
  }

  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#lookOnce(stop)
      await this.#askToRelease()
      await sleep((this.#state?.isAmple ?? true) ? EVERY_MS : SOON_MS, stop)
    }
  }

  isScarce(): boolean {
    return this.#state !== null && this.#state.level !== 'enough'
  }

  async forPage(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#state?.isAmple) {
      await this.#lookOnce(signal)
      if (!this.isScarce()) break
      if (!this.#saidThatPagesWait)
        this.#options.log.info({}, 'the reading waits: little WAL is left before the slot is lost')
      this.#saidThatPagesWait = true
      this.#pagesWait = true
      await sleep(SOON_MS, signal)
    }
    this.#pagesWait = false
  }

  /** One look at a time, whoever asks. */
  #lookOnce(stop: AbortSignal): Promise<void> {
    this.#looking ??= this.#look(stop)
      .catch((error: unknown) => {
        this.#state = null
        this.#options.log.debug({ err: error }, 'the slot could not be looked at')
      })
      .finally(() => {
        this.#looking = null
      })
    return this.#looking
  }

  /** Ever more rarely while it does not help, as where a transaction of the application is open. */
  async #askToRelease(): Promise<void> {
    const { release, capturing, log } = this.#options
    if (!this.isScarce()) this.#asked = { times: 0, atMs: Number.NEGATIVE_INFINITY }
    const { times, atMs } = this.#asked
    const apartMs = Math.min(BY_ITSELF_MS, SOON_MS * 2 ** times)
    if (!this.isScarce() || capturing() !== 'streaming' || performance.now() - atMs < apartMs) return
    this.#asked = { times: times + 1, atMs: performance.now() }
    try {
      await release()
    } catch (error) {
      log.debug({ err: error }, 'the server could not be asked to let go of WAL')
    }
  }

  async #look(stop: AbortSignal): Promise<void> {
    const { source, slot, log } = this.#options
    const found = await readSlotReport(source, slot)
    // What we would drop it for is a limit like the server's own.
    const report = found && withLimit(found, this.#options.maxRetainedBytes)
    if (report === null) {
      this.#samples = []
      this.#state = null
      return
    }
    const nowMs = performance.now()
    if (nowMs - (this.#samples.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) > SOON_MS)
      this.#samples = [...this.#samples, walSample(report, nowMs)].slice(-SAMPLES)
    const level = walBudget(report)
    const inMs = invalidatedInMs(report, walRate(this.#samples))
    if (this.#warned !== null && nowMs - this.#warned.atMs > WARN_EVERY_MS && level === 'enough') this.#warned = null
    if (level !== 'enough' && this.#warned?.level !== level && this.#warned?.level !== 'spent') {
      this.#warned = { level, atMs: nowMs }
      const seconds = inMs === null ? null : Math.round(inMs / 1_000)
      log.warn(
        { code: 'wal_budget_low', retained_bytes: report.retainedWalBytes, invalidated_in_s: seconds },
        'little is left before the server gives the slot up',
      )
    }
    this.#state = { level, invalidatedInMs: inMs, isAmple: isAmple(report) }
    const { maxRetainedBytes } = this.#options
    const isTooMuch = maxRetainedBytes !== null && (report.retainedWalBytes ?? 0) > maxRetainedBytes
    if (!isTooMuch) {
      this.#leftBecause = null
      this.#tooMuchSince = null
      return
    }
    this.#tooMuchSince ??= performance.now()
    if (!this.#isAboutToShrink(report, performance.now() - this.#tooMuchSince)) await this.#drop(report, stop)
  }

  /** All is confirmed, and the server lets go with its next list of transactions: dropped, the slot would free no more. */
  #isAboutToShrink(report: SlotReport, forMs: number): boolean {
    return this.#options.capturing() === 'streaming' && isCaughtUp(report) && forMs < PATIENCE_MS
  }

  /** Why the slot is not ours to drop; null: it is. */
  async #whyNot(report: SlotReport): Promise<string | null> {
    const { source, slot, capturing, known } = this.#options
    if (capturing() === 'streaming') return null
    const knowledge = await known().catch((error: unknown) => errorMessage(error) || (errorCode(error) ?? 'no answer'))
    if (typeof knowledge === 'string') {
      return `the state cannot be asked whether it is ours (${knowledge}); if it is, SELECT pg_drop_replication_slot('${slot}') frees the disk`
    }
    const [row] = await queryRows<{ database: string }>(source, 'select current_database() as database', [])
    return whyNotOurs(report, row?.database ?? '', knowledge)
  }

  async #drop(report: SlotReport, stop: AbortSignal): Promise<void> {
    const { source, slot, maxRetainedBytes, log } = this.#options
    const { retainedWalBytes, activePid } = report
    if (this.#options.capturing() === 'neither') return
    const why = await this.#whyNot(report)
    if (why !== null) {
      if (why === this.#leftBecause) return
      this.#leftBecause = why
      log.warn(
        { code: 'max_retained_wal', slot, retained_bytes: retainedWalBytes, max_bytes: maxRetainedBytes },
        `the server keeps too much WAL for a slot of our name, which is left alone: ${why}`,
      )
      return
    }
    log.error(
      { code: 'max_retained_wal', slot, retained_bytes: retainedWalBytes, max_bytes: maxRetainedBytes },
      'the server keeps more WAL for the slot than safety.max_retained_wal allows: the slot is dropped, and what follows is a gap',
    )
    try {
      await dropSlot(source, {
        name: slot,
        ...(activePid !== null && { endPid: activePid }),
        signal: AbortSignal.any([stop, AbortSignal.timeout(10_000)]),
      })
    } catch (error) {
      log.warn({ err: error, code: errorCode(error) }, 'the slot could not be dropped; trying again')
    }
  }
}
