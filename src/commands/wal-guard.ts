// What the slot costs the application's disk, looked at every few seconds for as long as we own the work, whether we stream or not:
// for readiness and metrics, and, where `safety.max_retained_wal` says so, the slot is dropped before the disk is in danger.
// Capture then finds it gone and recovers, or says so (core/start-decision.ts).
import { sleep } from '../core/abort.ts'
import { errorCode, errorMessage } from '../core/error.ts'
import type { Logger } from '../core/logger.ts'
import { walBudget } from '../core/slot-lag.ts'
import { type SlotKnowledge, whyNotOurs } from '../core/slot-ownership.ts'
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
  readonly log: Logger
}

export interface WalState {
  readonly level: ReturnType<typeof walBudget>
  readonly invalidatedInMs: number | null
}

const EVERY_MS = 2_000
const SAMPLES = 30

export class WalGuard {
  readonly #options: WalGuardOptions
  #samples: readonly WalSample[] = []
  #state: WalState | null = null
  /** Said already. */
  #leftBecause: string | null = null

  constructor(options: WalGuardOptions) {
    this.#options = options
  }

  /** null: not known, or there is no slot. */
  get state(): WalState | null {
    return this.#state
  }

  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      try {
        await this.#look(stop)
      } catch (error) {
        this.#state = null
        this.#options.log.debug({ err: error }, 'the slot could not be looked at')
      }
      await sleep(EVERY_MS, stop)
    }
  }

  async #look(stop: AbortSignal): Promise<void> {
    const { source, slot, log } = this.#options
    const report = await readSlotReport(source, slot)
    if (report === null) {
      this.#samples = []
      this.#state = null
      return
    }
    this.#samples = [...this.#samples, walSample(report, performance.now())].slice(-SAMPLES)
    const level = walBudget(report)
    const inMs = invalidatedInMs(report, walRate(this.#samples))
    if (level !== 'enough' && this.#state?.level !== level) {
      const seconds = inMs === null ? null : Math.round(inMs / 1_000)
      log.warn(
        { code: 'wal_budget_low', retained_bytes: report.retainedWalBytes, invalidated_in_s: seconds },
        'little is left before the server gives the slot up',
      )
    }
    this.#state = { level, invalidatedInMs: inMs }
    const { maxRetainedBytes } = this.#options
    const isTooMuch = maxRetainedBytes !== null && (report.retainedWalBytes ?? 0) > maxRetainedBytes
    if (isTooMuch) await this.#drop(report, stop)
  }

  /** Why the slot is not ours to drop; null: it is. */
  async #whyNot(report: SlotReport): Promise<string | null> {
    const { source, capturing, known } = this.#options
    if (capturing() === 'streaming') return null
    const knowledge = await known().catch((error: unknown) => errorMessage(error))
    if (typeof knowledge === 'string') return `the state cannot be asked whether it is ours: ${knowledge}`
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
