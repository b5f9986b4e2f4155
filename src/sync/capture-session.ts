// One stretch of capturing: takes over (which fences off whoever captured before), opens the source as it is now, then
// streams and, where backfills are owed, pages beside it: child tables before the users, so that a user is told whole. Ends
// with the first error of either; whoever runs it decides when to begin again.
import type { CaptureState } from '../core/capture-port.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { Logger } from '../core/logger.ts'
import { later, NO_LSN } from '../core/lsn.ts'
import type { Metrics } from '../core/metrics.ts'
import { RemapSteps } from '../core/remap-steps.ts'
import type { Source, WalRoom } from '../core/source-port.ts'
import { type BackfillOptions, type BackfillStart, backfillOnce } from './backfill.ts'
import { Capture } from './capture.ts'
import type { CaptureStart } from './checkpoint-progress.ts'
import { forget } from './mass-writes.ts'
import { readUsers } from './read-users.ts'
import { type CompiledSource, RowMapper } from './row-mapper.ts'
import { StateWriter } from './state-writer.ts'

export interface Owed {
  readonly backfills: readonly BackfillStart[]
  /** Tables that are mapped no more and whose rows state still holds. */
  readonly dropped: readonly string[]
}

export interface CapturePorts<State extends CaptureState = CaptureState> {
  /** Makes sure that publication, slot and checkpoint are there and fit together, or begins anew past a gap. */
  prepare(): Promise<void>
  takeOver(): Promise<{ readonly state: State; readonly startXid: bigint } & CaptureStart>
  openSource(): Promise<{ readonly source: Source } & CompiledSource>
  /** What the mapping of today owes; noted in state, so that an interrupted one is resumed. */
  owed(state: State, compiled: CompiledSource): Promise<Owed>
  /** Readings that were asked for since; waits for the first. Empty when the signal aborts. */
  nextBackfills(state: State, compiled: CompiledSource, signal: AbortSignal): Promise<readonly BackfillStart[]>
  /** A reading ended with this code. */
  endBackfill(run: BackfillStart, code: string): Promise<void>
  /** Rejects when a table is no longer what it was opened as; resolves when the signal aborts. */
  watch(source: Source, signal: AbortSignal): Promise<void>
}

export interface CaptureSessionOptions<State extends CaptureState = CaptureState> {
  readonly ports: CapturePorts<State>
  readonly wal: WalRoom
  readonly metrics: Metrics
  readonly log: Logger
  readonly failPoints: FailPoints
  readonly onPending: () => void
  readonly onStreaming: () => void
  readonly onBackfill: BackfillOptions['onProgress']
  readonly mostRowsPerSecond: number | null
}

export async function runCaptureSession<State extends CaptureState>(
  options: CaptureSessionOptions<State>,
  signal: AbortSignal,
): Promise<void> {
  const { ports, wal, metrics, failPoints, log, mostRowsPerSecond } = options
  // Each step may take a while, and whoever was told to stop meanwhile must not take over from anybody.
  await ports.prepare()
  signal.throwIfAborted()
  const { source, ...compiled } = await ports.openSource()
  signal.throwIfAborted()
  const { state, lsn, slicedLsn, startXid } = await ports.takeOver()
  signal.throwIfAborted()
  const owed = await ports.owed(state, compiled)
  const mapper = new RowMapper(compiled, metrics)
  const [users, ...children] = compiled.tables
  const steps = new RemapSteps({
    sources: [users.name, ...children.map(({ name }) => name)],
    readings: owed.backfills,
    forgets: owed.dropped.length > 0,
    era: state.era,
    since: later(lsn, slicedLsn ?? NO_LSN),
  })
  const visibleFrom = owed.backfills.reduce(
    (xid, run) => ((run.startXid ?? 0n) > xid ? (run.startXid ?? 0n) : xid),
    startXid,
  )
  const writer = new StateWriter({
    state,
    mapper,
    sources: [users.name, ...children.map(({ name }) => name), ...owed.dropped],
    owedBackfills: owed.backfills.length,
    steps,
    readUsers: (keys) => readUsers({ users, mapper, startXid: visibleFrom, log }, keys),
    metrics,
    failPoints,
    onPending: options.onPending,
  })
  const capture = new Capture(
    { source, wal, mapper, writer, metrics, log, failPoints, onStreaming: options.onStreaming },
    { lsn, slicedLsn },
  )

  const ended = new AbortController()
  const either = AbortSignal.any([signal, ended.signal])
  const caughtUp = async (ending: AbortSignal) => await capture.settled(await source.readInsertLsn(), ending)
  /** A step is done when what the stream has brought until then is stored; with the last whoever is parked goes on. */
  const stepDone = async (done: () => void) => {
    await caughtUp(either)
    either.throwIfAborted()
    done()
    if (steps.left === 0) await writer.unpark()
  }
  // Last of all: what a table gave may come from another one now.
  const forgetDropped = async () => {
    for (const dropped of owed.dropped) {
      log.info({ table: dropped }, 'the mapping no longer reads this table; what it gave is taken back')
      await forget(writer, dropped, either)
      await state.dropTable(dropped)
    }
    if (owed.dropped.length > 0) await stepDone(() => steps.forgotten())
  }
  const backfill = async () => {
    // It was ended between the last step and this.
    if (steps.left === 0 && (await state.hasParked())) await stepDone(() => undefined)
    const shared = {
      wal,
      mapper,
      writer,
      startXid,
      log,
      failPoints,
      mostRowsPerSecond,
      caughtUp,
      onProgress: options.onBackfill,
    }
    for (let runs = owed.backfills; !either.aborted; ) {
      for (const run of runs) {
        const table = compiled.tables.find(({ name }) => name === run.source)
        if (table === undefined) continue
        const end = await backfillOnce({ source: table, ...shared }, run, either)
        if (end === 'stopped') return
        if (end !== 'finished') {
          writer.readingEnded()
          await ports.endBackfill(run, end)
        }
        if (steps.isStep(run.id)) await stepDone(() => steps.read(run.id))
      }
      if (runs === owed.backfills) await forgetDropped()
      runs = await ports.nextBackfills(state, compiled, either)
      writer.owe(runs.length)
    }
  }
  const captured = capture.run(either)
  const backfilled = backfill().catch((error: unknown) => {
    if (!either.aborted) throw error
  })
  const watched = ports.watch(source, either)
  try {
    await Promise.race([Promise.all([captured, backfilled]), untilItFails(watched)])
  } finally {
    ended.abort()
    await Promise.allSettled([captured, backfilled, watched])
  }
}

/** Its end alone ends nothing. */
async function untilItFails(task: Promise<void>): Promise<never> {
  await task
  return await new Promise<never>(() => undefined)
}
