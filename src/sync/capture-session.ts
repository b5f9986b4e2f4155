// One stretch of capturing: takes over (which fences off whoever captured before), opens the source as it is now, then
// streams and, where a backfill is owed, pages beside it. Ends with the first error of either; whoever runs it decides
// when to begin again.
import type { CaptureState } from '../core/capture-port.ts'
import type { FailPoints } from '../core/fail-points.ts'
import type { Logger } from '../core/logger.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Source } from '../core/source-port.ts'
import { type BackfillOptions, type BackfillStart, runBackfill } from './backfill.ts'
import { Capture } from './capture.ts'
import type { CaptureStart } from './checkpoint-progress.ts'
import { type CompiledSource, RowMapper } from './row-mapper.ts'
import { StateWriter } from './state-writer.ts'

export interface CapturePorts {
  /** Makes sure that publication, slot and checkpoint are there and fit together. */
  prepare(): Promise<void>
  takeOver(): Promise<{ readonly state: CaptureState; readonly startXid: bigint } & CaptureStart>
  openSource(): Promise<{ readonly source: Source } & CompiledSource>
  owedBackfill(era: number): Promise<BackfillStart | null>
}

export interface CaptureSessionOptions {
  readonly ports: CapturePorts
  readonly metrics: Metrics
  readonly log: Logger
  readonly failPoints: FailPoints
  readonly onPending: () => void
  readonly onStreaming: () => void
  readonly onBackfill: BackfillOptions['onProgress']
}

export async function runCaptureSession(options: CaptureSessionOptions, signal: AbortSignal): Promise<void> {
  const { ports, metrics, failPoints, log } = options
  // Each step may take a while, and whoever was told to stop meanwhile must not take over from anybody.
  await ports.prepare()
  signal.throwIfAborted()
  const { source, ...compiled } = await ports.openSource()
  signal.throwIfAborted()
  const { state, lsn, slicedLsn, startXid } = await ports.takeOver()
  signal.throwIfAborted()
  const { table, pages } = source
  const owed = await ports.owedBackfill(state.era)
  const mapper = new RowMapper(compiled, metrics)
  const writer = new StateWriter({
    state,
    mapper,
    paging: owed !== null,
    source: `${table.schema}.${table.name}`,
    metrics,
    failPoints,
    onPending: options.onPending,
  })
  const capture = new Capture(
    { source, mapper, writer, metrics, log, failPoints, onStreaming: options.onStreaming },
    { lsn, slicedLsn },
  )

  const ended = new AbortController()
  const either = AbortSignal.any([signal, ended.signal])
  const captured = capture.run(either)
  const backfilled = owed
    ? runBackfill(
        { table, pages, mapper, writer, startXid, log, failPoints, onProgress: options.onBackfill },
        owed,
        either,
      )
    : Promise.resolve(true)
  try {
    await Promise.all([captured, backfilled])
  } finally {
    ended.abort()
    await Promise.allSettled([captured, backfilled])
  }
}
